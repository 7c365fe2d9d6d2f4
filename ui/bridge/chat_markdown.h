// A branch of messages as Markdown, and back. Any thread; nothing is stored here.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/store/store.h"

namespace quern::ui {

struct MarkdownChat {
  engine::store::Chat chat;
  std::vector<engine::store::Message> messages;  ///< a chain; ids count from 1
};

/// Lines within messages that look like this format's own headings get a backslash in front, which Markdown
/// shows as the plain line.
std::string toMarkdown(const engine::store::Chat& chat, const std::vector<engine::store::Message>& branch);
/// Also takes "## User" and "## Assistant". kMalformed when no message is found.
engine::base::Result<MarkdownChat> fromMarkdown(std::string_view text);
/// A title from the first question; empty chats are "Imported chat".
std::string titleOf(const std::vector<engine::store::Message>& messages);

}  // namespace quern::ui
