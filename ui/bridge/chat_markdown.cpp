#include "ui/bridge/chat_markdown.h"

#include <QCoreApplication>
#include <algorithm>
#include <optional>

#include "ui/bridge/answer_text.h"

namespace quern::ui {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::store::Chat;
using engine::store::Message;
using engine::store::Role;

namespace {

constexpr std::string_view kAttached = "### Attached file: ";
constexpr std::size_t kMessageLimit = 200'000;

struct Heading {
  std::string_view line;
  Role role;
};
constexpr Heading kHeadings[] = {{"## You", Role::kUser},      {"## Answer", Role::kAssistant},
                                 {"## System", Role::kSystem}, {"## Tool", Role::kTool},
                                 {"## User", Role::kUser},     {"## Assistant", Role::kAssistant}};

std::string_view trimmedEnd(std::string_view line) {
  const std::size_t last = line.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view() : line.substr(0, last + 1);
}

std::optional<Role> headingOf(std::string_view line) {
  for (const Heading& heading : kHeadings) {
    if (trimmedEnd(line) == heading.line) return heading.role;
  }
  return std::nullopt;
}

/// A line that this format means, behind any number of backslashes.
bool isMarked(std::string_view line) {
  const std::size_t start = line.find_first_not_of('\\');
  if (start == std::string_view::npos) return false;
  line.remove_prefix(start);
  return headingOf(line).has_value() || line.starts_with(kAttached);
}

template <class Visit>
void eachLine(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    visit(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
}

std::string escaped(std::string_view content) {
  std::string text;
  eachLine(content, [&](std::string_view line) {
    if (isMarked(line)) text += '\\';
    text.append(line) += '\n';
  });
  return text;
}

/// Without blank lines at both ends.
std::string_view body(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  const std::size_t line = text.rfind('\n', start);
  if (line != std::string_view::npos) text.remove_prefix(line + 1);
  return trimmedEnd(text);
}

std::string fenceFor(std::string_view text) {
  std::size_t longest = 2;
  std::size_t run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return std::string(longest + 1, '`');
}

/// Collects lines into messages.
class Reader {
 public:
  MarkdownChat result;

  void line(std::string_view text) {
    if (!fence_.empty()) {
      if (trimmedEnd(text) == fence_) {
        fence_.clear();
        return;
      }
      attachmentText_.append(text) += '\n';
      return;
    }
    if (const auto role = headingOf(text)) {
      finish();
      role_ = *role;
    } else if (!role_) {
      if (text.starts_with("# ") && result.chat.title.empty()) {
        const std::string_view title = body(text.substr(2));
        result.chat.title = std::string(title);
      }
    } else if (text.starts_with(kAttached)) {
      keepAttachment();
      attachmentName_ = trimmedEnd(text.substr(kAttached.size()));
    } else if (attachmentName_ && attachmentText_.empty() && text.starts_with("```")) {
      fence_ = trimmedEnd(text);
    } else {
      if (!trimmedEnd(text).empty()) keepAttachment();
      if (isMarked(text)) text.remove_prefix(1);  // headings themselves never come here
      content_.append(text) += '\n';
    }
  }

  void finish() {
    keepAttachment();
    if (!role_) return;
    const std::string content(body(content_));
    if (*role_ == Role::kSystem && result.messages.empty()) {
      result.chat.systemPrompt = content;
    } else {
      Message message;
      message.id = static_cast<engine::store::Id>(result.messages.size()) + 1;
      if (!result.messages.empty()) message.parent = message.id - 1;
      message.role = *role_;
      message.content = content;
      message.attachmentsJson = attachmentsToJson(attachments_);
      result.messages.push_back(std::move(message));
    }
    content_.clear();
    attachments_.clear();
    role_.reset();
  }

 private:
  void keepAttachment() {
    if (attachmentName_) {
      if (!attachmentText_.empty()) attachmentText_.pop_back();  // the line end before the fence
      attachments_.push_back(
          {QString::fromStdString(*attachmentName_), QString::fromStdString(attachmentText_)});
    }
    attachmentName_.reset();
    attachmentText_.clear();
    fence_.clear();
  }

  std::optional<Role> role_;
  std::string content_;
  std::vector<Attachment> attachments_;
  std::optional<std::string> attachmentName_;
  std::string attachmentText_;
  std::string fence_;
};

}  // namespace

std::string titleOf(const std::vector<Message>& messages) {
  for (const Message& message : messages) {
    if (message.role == Role::kUser)
      return titleFromQuestion(QString::fromStdString(message.content)).toStdString();
  }
  return QCoreApplication::translate("ChatExport", "Imported chat").toStdString();
}

std::string toMarkdown(const Chat& chat, const std::vector<Message>& branch) {
  std::string text = "# " + QString::fromStdString(chat.title).simplified().toStdString() + "\n\n";
  if (!chat.systemPrompt.empty()) text += "## System\n\n" + escaped(chat.systemPrompt) + '\n';
  for (const Message& message : branch) {
    const auto heading = std::find_if(std::begin(kHeadings), std::end(kHeadings),
                                      [&](const Heading& entry) { return entry.role == message.role; });
    text.append(heading->line) += "\n\n";
    for (const Attachment& attachment : attachmentsFromJson(message.attachmentsJson)) {
      const std::string content = attachment.text.toStdString();
      const std::string fence = fenceFor(content);
      text.append(kAttached) += attachment.name.simplified().toStdString() + "\n\n";
      text += fence + '\n' + content + '\n' + fence + "\n\n";
    }
    text += escaped(message.content) + '\n';
  }
  return text;
}

engine::base::Result<MarkdownChat> fromMarkdown(std::string_view text) {
  Reader reader;
  bool tooMany = false;
  eachLine(text, [&](std::string_view line) {
    tooMany = tooMany || reader.result.messages.size() > kMessageLimit;
    if (!tooMany) reader.line(line);
  });
  reader.finish();
  if (tooMany) return Error(ErrorCode::kLimit, "This chat has too many messages.");
  if (reader.result.messages.empty()) {
    return Error(ErrorCode::kMalformed,
                 "No chat is in this file: choose JSON that Quern exported, or Markdown with the headings "
                 "\"## You\" and \"## Answer\".");
  }
  Chat& chat = reader.result.chat;
  chat.title = QString::fromStdString(chat.title).simplified().left(1000).toStdString();
  if (chat.title.empty()) chat.title = titleOf(reader.result.messages);
  return std::move(reader.result);
}

}  // namespace quern::ui
