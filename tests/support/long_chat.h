// A chat of many messages, for tests of what must not grow with it.
#pragma once

#include <string>
#include <vector>

#include "engine/store/store.h"

namespace quern::test {

/// Questions and answers in turn, each the child of the one before, with ids 1…`messages` as
/// `Store::importChat` takes them. Every message is some 1,000 characters of Markdown; answers also have a
/// list, a code block and the numbers that the window keeps with an answer.
inline std::vector<engine::store::Message> longChat(int messages) {
  std::vector<engine::store::Message> tree;
  for (int i = 0; i < messages; ++i) {
    engine::store::Message message;
    message.id = i + 1;
    if (i > 0) message.parent = i;
    message.role = i % 2 == 0 ? engine::store::Role::kUser : engine::store::Role::kAssistant;
    message.content = "Message " + std::to_string(i) + ": ";
    for (int word = 0; word < 60; ++word) message.content += "some **words** ";
    if (i % 2 == 1) {
      message.content += "\n\n- one\n- two\n\n```cpp\nint a = 1;\n```\n";
      message.statsJson = R"({"promptTokens": 10, "completionTokens": 5, "model": "other"})";
    }
    tree.push_back(std::move(message));
  }
  return tree;
}

}  // namespace quern::test
