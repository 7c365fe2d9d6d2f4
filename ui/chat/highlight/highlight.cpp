#include "ui/chat/highlight/highlight.h"

#include <algorithm>

#include "ui/chat/highlight/languages.h"

namespace quern::ui {
namespace {

/// Longer lines are data, not code that anybody reads; they stay plain.
constexpr qsizetype kLongestLine = 5000;

bool isWordStart(QChar c) { return c.isLetter() || c == u'_' || c == u'#' || c == u'@' || c == u'$'; }
bool isWord(QChar c) { return c.isLetterOrNumber() || c == u'_'; }

class Scanner {
 public:
  Scanner(const Language& language, QStringView line, HighlightState& state)
      : language_(language), line_(line), state_(state) {}

  std::vector<HighlightRun> scan() {
    while (at_ < line_.size()) step();
    return std::move(runs_);
  }

 private:
  void step() {
    if (state_.inComment)
      return finishUntil(language_.commentEnd, Color::kComment, [this] { state_.inComment = false; });
    if (state_.inString >= 0) {
      return finishUntil(language_.longStrings[state_.inString], Color::kOk,
                         [this] { state_.inString = -1; });
    }
    const QStringView rest = line_.mid(at_);
    if (!language_.commentBegin.isEmpty() && rest.startsWith(language_.commentBegin)) {
      add(language_.commentBegin.size(), Color::kComment);
      state_.inComment = true;
      return;
    }
    for (const QString& comment : language_.lineComments) {
      const bool mayBegin = !language_.commentNeedsSpace || at_ == 0 || line_[at_ - 1].isSpace();
      if (mayBegin && rest.startsWith(comment)) return add(rest.size(), Color::kComment);
    }
    for (int i = 0; i < language_.longStrings.size(); ++i) {
      if (rest.startsWith(language_.longStrings[i])) {
        add(language_.longStrings[i].size(), Color::kOk);
        state_.inString = i;
        return;
      }
    }
    const QChar c = rest[0];
    if (language_.isMarkup && (c == u'<' || c == u'>')) state_.inTag = c == u'<';
    const bool isProse = language_.isMarkup && !state_.inTag;  // "don't" opens no string there
    if (language_.quotes.contains(c) && !isProse) return string(c);
    if (c.isDigit()) return number();
    if (isWordStart(c)) return word();
    if (language_.isMarkup && (c == u'<' || c == u'>')) return add(1, Color::kText3);
    ++at_;
  }

  template <class Closed>
  void finishUntil(const QString& end, Color color, Closed&& closed) {
    const qsizetype found = line_.indexOf(end, at_);
    if (found < 0) return add(line_.size() - at_, color);
    add(found + end.size() - at_, color);
    closed();
  }

  void string(QChar quote) {
    qsizetype end = at_ + 1;
    while (end < line_.size() && line_[end] != quote) end += line_[end] == u'\\' ? 2 : 1;
    add(std::min(end + 1, line_.size()) - at_, Color::kOk);
  }

  void number() {
    qsizetype end = at_;
    while (end < line_.size() && (isWord(line_[end]) || line_[end] == u'.' || line_[end] == u'\'')) ++end;
    add(end - at_, Color::kSeries3);
  }

  void word() {
    qsizetype end = at_ + 1;
    while (end < line_.size() && isWord(line_[end])) ++end;
    QString text = line_.mid(at_, end - at_).toString();
    const bool isTag = language_.isMarkup && at_ > 0 && (line_[at_ - 1] == u'<' || line_[at_ - 1] == u'/');
    const bool known = language_.keywords.contains(text) ||
                       (language_.ignoresCase && (language_.keywords.contains(text.toLower()) ||
                                                  language_.keywords.contains(text.toUpper())));
    if (isTag || known) return add(end - at_, Color::kAccent);
    if (language_.isMarkup) {
      at_ = end;
      return;
    }
    if (language_.types.contains(language_.ignoresCase ? text.toLower() : text) ||
        (text.size() > 1 && text[0].isUpper() &&
         std::any_of(text.begin(), text.end(), [](QChar c) { return c.isLower(); }))) {
      return add(end - at_, Color::kInfo);
    }
    at_ = end;
  }

  void add(qsizetype length, Color color) {
    if (!runs_.empty() && runs_.back().color == color && runs_.back().start + runs_.back().length == at_) {
      runs_.back().length += static_cast<int>(length);
    } else if (length > 0) {
      runs_.push_back({static_cast<int>(at_), static_cast<int>(length), color});
    }
    at_ += length;
  }

  const Language& language_;
  QStringView line_;
  HighlightState& state_;
  qsizetype at_ = 0;
  std::vector<HighlightRun> runs_;
};

}  // namespace

const Language& languageFor(const QString& name) {
  const QString wanted = name.section(u' ', 0, 0).toLower();
  for (const Language& language : languages()) {
    if (language.names.contains(wanted)) return language;
  }
  return languages().front();
}

QString languageTitle(const QString& name) {
  const Language& language = languageFor(name);
  return &language == &languages().front() ? name : language.title;
}

std::vector<HighlightRun> highlightLine(const Language& language, QStringView line, HighlightState& state) {
  if (line.size() > kLongestLine) return {};
  if (language.isDiff) {
    if (line.isEmpty()) return {};
    const Color color = line[0] == u'+'   ? Color::kOk
                        : line[0] == u'-' ? Color::kError
                        : line[0] == u'@' ? Color::kInfo
                                          : Color::kText;
    return {{0, static_cast<int>(line.size()), color}};
  }
  return Scanner(language, line, state).scan();
}

}  // namespace quern::ui
