// A chat as a file and back: Markdown of the branch that is shown, JSON of the whole tree. Blocking; any
// thread.
#pragma once

#include <string>
#include <string_view>

#include "engine/store/store.h"

namespace quern::ui {

/// "# title", then "## You" and "## Answer" with the messages of the branch; attachments as fenced blocks.
engine::base::Result<std::string> exportMarkdown(engine::store::Store& store, engine::store::Id chat);
/// {"format": "quern.chat", "version": 1, "title", "systemPrompt", …, "messages": [{"id", "parent", "role",
/// "content", "state", …}]}: parents before children, every version.
engine::base::Result<std::string> exportJson(engine::store::Store& store, engine::store::Id chat);

/// Files larger than this are refused.
inline constexpr std::size_t kImportLimitBytes = 64u << 20;

/// Stores the chat that `text` holds (JSON or Markdown as written above; which one is seen from the text) and
/// returns its id. Nothing is stored on an error: kMalformed, kUnsupported (a newer version), kLimit.
engine::base::Result<engine::store::Id> importChat(engine::store::Store& store, std::string_view text);

}  // namespace quern::ui
