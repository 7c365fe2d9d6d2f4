#include "ui/bridge/answer_text.h"

#include <QCoreApplication>
#include <QLocale>
#include <QRegularExpression>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/base/result.h"

namespace quern::ui {
namespace {

using nlohmann::json;

constexpr qsizetype kTitleCharacters = 60;
constexpr std::string_view kThinkBegin = "<think>";
constexpr std::string_view kThinkEnd = "</think>";

QString tr(const char* text) { return QCoreApplication::translate("AnswerText", text); }

bool isBlank(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
}

/// A thought or text as offsets into the answer.
struct Span {
  bool thought;
  bool open;
  std::string_view text;
};

std::string_view lineAt(std::string_view text, std::size_t from) {
  return text.substr(from, text.find('\n', from) - from);
}

/// Length of a fence's run of ` or ~ at the start of `line`, which may be indented by three spaces; 0 for
/// none.
std::size_t fenceLength(std::string_view line, char* mark) {
  std::size_t start = 0;
  while (start < line.size() && start < 3 && line[start] == ' ') ++start;
  if (start >= line.size() || (line[start] != '`' && line[start] != '~')) return 0;
  *mark = line[start];
  const std::size_t end = line.find_first_not_of(*mark, start);
  const std::size_t length = (end == std::string_view::npos ? line.size() : end) - start;
  return length >= 3 ? length : 0;
}

std::vector<Span> spansOf(std::string_view answer) {
  std::vector<Span> spans;
  std::size_t from = 0;
  const auto add = [&](std::size_t end, bool thought, bool open) {
    const std::string_view text = answer.substr(from, end - from);
    if (open || !isBlank(text)) spans.push_back({thought, open, text});
  };
  // Some templates put the opening tag into the prompt: then the answer starts inside the thought.
  const std::size_t begin = answer.find(kThinkBegin);
  const std::size_t end = answer.find(kThinkEnd);
  bool thought = end != std::string_view::npos && (begin == std::string_view::npos || end < begin) &&
                 answer.substr(0, end).find("```") == std::string_view::npos;
  std::size_t fence = 0;
  char fenceMark = 0;
  for (std::size_t at = 0; at < answer.size();) {
    const bool lineStart = at == 0 || answer[at - 1] == '\n';
    if (lineStart && !thought) {
      char mark = 0;
      const std::size_t length = fenceLength(lineAt(answer, at), &mark);
      if (fence == 0 && length > 0) {
        fence = length;
        fenceMark = mark;
      } else if (fence > 0 && length >= fence && mark == fenceMark) {
        fence = 0;
      }
    }
    if (!thought && fence == 0 && answer.substr(at, kThinkBegin.size()) == kThinkBegin) {
      add(at, false, false);
      thought = true;
      at += kThinkBegin.size();
      from = at;
    } else if (thought && answer.substr(at, kThinkEnd.size()) == kThinkEnd) {
      add(at, true, false);
      thought = false;
      at += kThinkEnd.size();
      from = at;
    } else {
      // Straight to what could matter next; an answer may be long.
      const std::size_t next = answer.find_first_of("<\n", at);
      if (next == std::string_view::npos) break;
      at = next == at || answer[next] == '\n' ? next + 1 : next;
    }
  }
  if (from < answer.size() || thought) add(answer.size(), thought, thought);
  return spans;
}

template <class Number>
Number numberOf(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return Number{};
  const double value = found->template get<double>();
  // Out of range is undefined behaviour for integers, so that hostile numbers count as missing.
  return std::isfinite(value) && std::abs(value) < 2e9 ? static_cast<Number>(value) : Number{};
}

std::string stringOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

std::size_t longestFence(std::string_view text) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest;
}

/// Why no more of a prompt was known; empty where all that can be was, or nobody asked.
QString reuseText(const engine::scheduler::ReuseReport& report) {
  using Why = engine::scheduler::ReuseReport::Why;
  switch (report.why) {
    case Why::kUnknown:
      return tr("Nothing more was known: no text that goes on like this has been read");
    case Why::kDiffers:
      return tr("Nothing more was known: what was read before differs from token %1 on")
          .arg(QLocale().toString(report.position + 1));
    case Why::kEvicted:
      return tr("Nothing more was known: what comes next had made room for others");
    case Why::kWhole:
    case Why::kNotAsked:
      break;
  }
  return {};
}

}  // namespace

std::vector<AnswerPart> splitThoughts(const QString& answer) {
  const std::string text = answer.toStdString();
  std::vector<AnswerPart> parts;
  for (const Span& span : spansOf(text)) {
    parts.push_back(
        {span.thought, span.open,
         QString::fromUtf8(span.text.data(), static_cast<qsizetype>(span.text.size())).trimmed()});
  }
  return parts;
}

std::string withoutThoughts(std::string_view answer) {
  if (answer.find(kThinkBegin) == std::string_view::npos &&
      answer.find(kThinkEnd) == std::string_view::npos) {
    return std::string(answer);
  }
  std::string rest;
  for (const Span& span : spansOf(answer)) {
    if (!span.thought) rest += span.text;
  }
  const std::size_t start = rest.find_first_not_of(" \t\r\n");
  return start == std::string::npos ? std::string() : rest.substr(start);
}

QString titleFromQuestion(const QString& question) {
  static const QRegularExpression marks(QStringLiteral("^\\s*(?:#{1,6}\\s+|>\\s*|[-*+]\\s+|\\d+[.)]\\s+)+"));
  QString title;
  // A pasted file may be huge; what a title can be made of stands at its beginning.
  for (const QString& line : question.left(4000).split(QLatin1Char('\n'))) {
    if (line.trimmed().startsWith(QStringLiteral("```"))) continue;
    QString plain = line;
    plain.remove(marks);
    plain.remove(QLatin1Char('`')).remove(QStringLiteral("**"));
    title = plain.simplified();
    const bool says = std::any_of(title.begin(), title.end(),
                                  [](QChar c) { return c.isLetterOrNumber() || c.isSurrogate(); });
    if (says) break;
  }
  if (title.isEmpty()) return tr("New chat");
  if (title.size() <= kTitleCharacters) return title;
  qsizetype cut = title.lastIndexOf(QLatin1Char(' '), kTitleCharacters);
  if (cut < kTitleCharacters / 2) cut = kTitleCharacters;  // one long word, or a script without spaces
  if (title.at(cut).isLowSurrogate()) --cut;
  return title.left(cut).trimmed() + QChar(0x2026);
}

std::string promptText(std::string_view question, const std::string& attachmentsJson) {
  std::string prompt;
  for (const Attachment& attachment : attachmentsFromJson(attachmentsJson)) {
    const std::string text = attachment.text.toStdString();
    const std::string fence(std::max<std::size_t>(3, longestFence(text) + 1), '`');
    prompt += "File \"" + attachment.name.simplified().toStdString() + "\":\n" + fence + '\n' + text;
    if (text.empty() || text.back() != '\n') prompt += '\n';
    prompt += fence + "\n\n";
  }
  return prompt.append(question);
}

std::string attachmentsToJson(const std::vector<Attachment>& attachments) {
  if (attachments.empty()) return {};
  json list = json::array();
  for (const Attachment& attachment : attachments) {
    list.push_back({{"name", attachment.name.toStdString()}, {"text", attachment.text.toStdString()}});
  }
  return dumped(list);
}

std::vector<Attachment> attachmentsFromJson(const std::string& text) {
  std::vector<Attachment> attachments;
  if (text.empty()) return attachments;
  const json list = json::parse(text, nullptr, false);
  if (!list.is_array()) return attachments;
  for (const json& entry : list) {
    if (!entry.is_object()) continue;
    attachments.push_back(
        {QString::fromStdString(stringOf(entry, "name")), QString::fromStdString(stringOf(entry, "text"))});
  }
  return attachments;
}

QStringList attachmentNames(const std::string& text) {
  QStringList names;
  for (const Attachment& attachment : attachmentsFromJson(text)) names.append(attachment.name);
  return names;
}

std::string statsToJson(const AnswerStats& stats) {
  json object;
  const auto& usage = stats.usage;
  const auto& timings = stats.timings;
  object["promptTokens"] = usage.promptTokens;
  object["cachedTokens"] = usage.cachedTokens;
  object["completionTokens"] = usage.completionTokens;
  object["reuse"] = static_cast<int>(usage.reuse.why);
  object["reusePosition"] = usage.reuse.position;
  object["draftedTokens"] = usage.draftedTokens;
  object["acceptedTokens"] = usage.acceptedTokens;
  object["queueMs"] = timings.queueMs;
  object["promptMs"] = timings.promptMs;
  object["firstTokenMs"] = timings.firstTokenMs;
  object["decodeMs"] = timings.decodeMs;
  object["tokensPerSecond"] = timings.tokensPerSecond;
  object["promptTokensPerSecond"] = timings.promptTokensPerSecond;
  object["bandwidthShare"] = timings.bandwidthShare;
  if (!stats.model.isEmpty()) object["model"] = stats.model.toStdString();
  if (!stats.reason.isEmpty()) object["reason"] = stats.reason.toStdString();
  if (!stats.error.isEmpty()) object["error"] = stats.error.toStdString();
  if (!stats.errorDetails.isEmpty()) object["errorDetails"] = stats.errorDetails.toStdString();
  return dumped(object);
}

AnswerStats statsFromJson(const std::string& text) {
  AnswerStats stats;
  if (text.empty()) return stats;
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return stats;
  stats.usage.promptTokens = numberOf<std::int32_t>(object, "promptTokens");
  stats.usage.cachedTokens = numberOf<std::int32_t>(object, "cachedTokens");
  stats.usage.completionTokens = numberOf<std::int32_t>(object, "completionTokens");
  using Why = engine::scheduler::ReuseReport::Why;
  const auto why = numberOf<std::int32_t>(object, "reuse");
  stats.usage.reuse.why = static_cast<Why>(std::clamp(why, 0, static_cast<int>(Why::kNotAsked)));
  stats.usage.reuse.position = numberOf<std::int32_t>(object, "reusePosition");
  stats.usage.draftedTokens = numberOf<std::int32_t>(object, "draftedTokens");
  stats.usage.acceptedTokens = numberOf<std::int32_t>(object, "acceptedTokens");
  stats.timings.queueMs = numberOf<double>(object, "queueMs");
  stats.timings.promptMs = numberOf<double>(object, "promptMs");
  stats.timings.firstTokenMs = numberOf<double>(object, "firstTokenMs");
  stats.timings.decodeMs = numberOf<double>(object, "decodeMs");
  stats.timings.tokensPerSecond = numberOf<double>(object, "tokensPerSecond");
  stats.timings.promptTokensPerSecond = numberOf<double>(object, "promptTokensPerSecond");
  stats.timings.bandwidthShare = numberOf<double>(object, "bandwidthShare");
  stats.model = QString::fromStdString(stringOf(object, "model"));
  stats.reason = QString::fromStdString(stringOf(object, "reason"));
  stats.error = QString::fromStdString(stringOf(object, "error"));
  stats.errorDetails = QString::fromStdString(stringOf(object, "errorDetails"));
  return stats;
}

QString reasonText(engine::scheduler::FinishReason reason) {
  using Reason = engine::scheduler::FinishReason;
  switch (reason) {
    case Reason::kEndOfTurn:
      return QStringLiteral("end of turn");
    case Reason::kStopString:
      return QStringLiteral("stop text");
    case Reason::kMaxTokens:
      return QStringLiteral("token limit");
    case Reason::kContextFull:
      return QStringLiteral("context full");
    case Reason::kCancelled:
      return QStringLiteral("cancelled");
    case Reason::kFailed:
      return QStringLiteral("failed");
    case Reason::kDeadline:
      return QStringLiteral("deadline");
    case Reason::kComplete:
      return QStringLiteral("complete");
  }
  return {};
}

QString footerText(const AnswerStats& stats) {
  QStringList parts;
  const auto& timings = stats.timings;
  if (timings.tokensPerSecond > 0) parts.append(tr("%1 tok/s").arg(timings.tokensPerSecond, 0, 'f', 1));
  const std::int32_t tokens = stats.usage.completionTokens;
  if (tokens > 0) parts.append(tokens == 1 ? tr("1 token") : tr("%1 tokens").arg(tokens));
  if (timings.firstTokenMs > 0) {
    parts.append(tr("%1 s to first token").arg(timings.firstTokenMs / 1000, 0, 'f', 2));
  }
  if (timings.bandwidthShare > 0) {
    parts.append(tr("%1 % of bandwidth limit").arg(std::lround(timings.bandwidthShare * 100)));
  }
  if (!stats.reason.isEmpty()) {
    // The reasons are kept in English and shown in the person's language.
    parts.append(tr("stopped: %1").arg(tr(stats.reason.toUtf8().constData())));
  }
  return parts.join(QStringLiteral(" · "));
}

QString footerDetails(const AnswerStats& stats) {
  const auto& usage = stats.usage;
  const auto& timings = stats.timings;
  if (usage.promptTokens == 0 || timings.promptMs <= 0) return {};
  const QLocale locale;
  QStringList lines;
  lines.append(tr("Question and history: %1 tokens, %2 of them known from before, read in %3 s")
                   .arg(locale.toString(usage.promptTokens), locale.toString(usage.cachedTokens))
                   .arg(timings.promptMs / 1000, 0, 'f', 2));
  const QString why = reuseText(usage.reuse);
  if (!why.isEmpty()) lines.append(why);
  if (usage.draftedTokens > 0) {
    lines.append(tr("Guessed ahead: %1 tokens, %2 of them right")
                     .arg(locale.toString(usage.draftedTokens), locale.toString(usage.acceptedTokens)));
  }
  if (timings.queueMs >= 1)
    lines.append(tr("Waited for others: %1 s").arg(timings.queueMs / 1000, 0, 'f', 2));
  return lines.join(QLatin1Char('\n'));
}

QString detailsOf(const engine::base::Error& error) {
  QStringList lines;
  for (const std::string& line : error.chain()) lines.append(QString::fromStdString(line));
  const std::string_view code = engine::base::errorCodeName(error.code());
  lines.append(QString::fromUtf8(code.data(), static_cast<qsizetype>(code.size())));
  return lines.join(QLatin1Char('\n'));
}

}  // namespace quern::ui
