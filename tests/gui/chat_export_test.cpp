#include "ui/bridge/chat_export.h"

#include <gtest/gtest.h>

#include <QTemporaryDir>
#include <nlohmann/json.hpp>

#include "ui/bridge/answer_text.h"

namespace quern::ui {
namespace {

using engine::base::ErrorCode;
using engine::store::Chat;
using engine::store::Id;
using engine::store::Message;
using engine::store::MessageState;
using engine::store::Role;
using engine::store::Store;

class ChatExport : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Store::open(folder_.filePath(QStringLiteral("quern.db")).toStdString());
    ASSERT_TRUE(opened);
    store_ = std::move(*opened);
  }
  Id add(Id chat, std::optional<Id> parent, Role role, const std::string& content,
         const std::string& attachments = {}) {
    Message message;
    message.chat = chat;
    message.parent = parent;
    message.role = role;
    message.content = content;
    message.attachmentsJson = attachments;
    return store_->addMessage(message).value_or(0);
  }
  Id sample() {
    Chat chat;
    chat.title = "Mills & grain";
    chat.systemPrompt = "Be brief.\n## You\nare kind";
    const Id id = store_->createChat(chat).value_or(0);
    const Id question = add(id, {}, Role::kUser, "## Answer\n\\## You\nWhat?",
                            attachmentsToJson({{QStringLiteral("a.md"), QStringLiteral("```\n## You\n```")},
                                               {QStringLiteral("b.txt"), QStringLiteral("line\n\n")}}));
    add(id, question, Role::kAssistant, "first version");
    const Id answer =
        add(id, question, Role::kAssistant, "A *hand mill*.\n\n### Attached file: no\n\n- x\n  - y");
    add(id, answer, Role::kUser, "Grüße 😀");
    return id;
  }
  Id imported(const std::string& text) {
    const auto id = importChat(*store_, text);
    EXPECT_TRUE(id) << id.error().describe();
    return id.value_or(0);
  }
  QTemporaryDir folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(ChatExport, JsonKeepsTheWholeTree) {
  const Id chat = sample();
  const auto text = exportJson(*store_, chat);
  ASSERT_TRUE(text);
  const Id copy = imported(*text);
  const auto before = *store_->tree(chat);
  const auto after = *store_->tree(copy);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].content, after[i].content);
    EXPECT_EQ(before[i].role, after[i].role);
    EXPECT_EQ(before[i].attachmentsJson, after[i].attachmentsJson);
    EXPECT_EQ(before[i].parent.has_value(), after[i].parent.has_value());
    if (before[i].parent) {
      EXPECT_EQ(*before[i].parent - before[0].id, *after[i].parent - after[0].id);
    }
  }
  EXPECT_EQ(store_->branch(copy)->size(), 3U);
  EXPECT_EQ(store_->branch(copy)->at(1).sibling, 1);
  EXPECT_EQ((*store_->chat(copy))->title, "Mills & grain");
  EXPECT_EQ((*store_->chat(copy))->systemPrompt, "Be brief.\n## You\nare kind");
  EXPECT_EQ(*exportMarkdown(*store_, copy), *exportMarkdown(*store_, chat));
}

TEST_F(ChatExport, MarkdownKeepsTheBranch) {
  const Id chat = sample();
  const auto text = exportMarkdown(*store_, chat);
  ASSERT_TRUE(text);
  EXPECT_TRUE(text->starts_with("# Mills & grain\n\n## System\n\nBe brief.\n\\## You\nare kind\n"));
  const Id copy = imported(*text);
  const auto before = *store_->branch(chat);
  const auto after = *store_->branch(copy);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].message.content, after[i].message.content);
    EXPECT_EQ(before[i].message.role, after[i].message.role);
    EXPECT_EQ(before[i].message.attachmentsJson, after[i].message.attachmentsJson);
  }
  EXPECT_EQ((*store_->chat(copy))->systemPrompt, "Be brief.\n## You\nare kind");
}

TEST_F(ChatExport, MarkdownByHandIsTaken) {
  const Id chat = imported("\xEF\xBB\xBF## User\r\nHi\r\n\r\n## Assistant  \r\n\r\nHello\r\n");
  const auto branch = *store_->branch(chat);
  ASSERT_EQ(branch.size(), 2U);
  EXPECT_EQ(branch[0].message.content, "Hi");
  EXPECT_EQ(branch[1].message.content, "Hello");
  EXPECT_EQ((*store_->chat(chat))->title, "Hi");
}

TEST_F(ChatExport, HostileFilesGiveASentenceAndStoreNothing) {
  const std::string head = R"({"format": "quern.chat", "version": 1, "messages": )";
  const std::string cases[] = {
      "",
      "   \n",
      "just text",
      "# Title only",
      std::string("## You\n\0x", 9),
      "## You\n\xFF\xFE",
      "{",
      "[]",
      "{}",
      R"({"format": "quern.chat"})",
      R"({"format": "quern.chat", "version": "1", "messages": []})",
      R"({"format": "other", "version": 1, "messages": []})",
      R"({"format": "quern.chat", "version": 2, "messages": []})",
      R"({"format": "quern.chat", "version": 1e400, "messages": []})",
      head + "7}",
      head + "[1]}",
      head + "[{}]}",
      head + R"([{"id": 1.5, "role": "user", "content": ""}]})",
      head + R"([{"id": 1, "role": "root", "content": ""}]})",
      head + R"([{"id": 1, "role": "user"}]})",
      head + R"([{"id": 1, "role": "user", "content": "", "parent": "x"}]})",
      head + R"([{"id": 1, "role": "user", "content": "", "parent": 1}]})",
      head +
          R"([{"id": 1, "role": "user", "content": "", "parent": 2}, {"id": 2, "role": "user", "content": ""}]})",
      head + R"([{"id": 1, "role": "user", "content": ""}, {"id": 1, "role": "user", "content": ""}]})",
      std::string(1'000'000, '['),
      head + "[" + std::string(3'000'000, ',') + "]}",
  };
  for (const std::string& text : cases) {
    const auto result = importChat(*store_, text);
    ASSERT_FALSE(result) << text.substr(0, 100);
    EXPECT_TRUE(result.error().message().ends_with(".")) << result.error().message();
  }
  EXPECT_TRUE(store_->chats()->empty());
}

TEST_F(ChatExport, OddButHarmlessValuesAreLeftOut) {
  const Id chat = imported(
      R"({"format": "quern.chat", "version": 1, "title": 5, "leaf": 99, "createdMs": -4, "parameters": [],
          "messages": [{"id": -7, "parent": null, "role": "assistant", "content": "x", "state": "streaming",
          "stats": "no", "attachments": {"a": 1}}]})");
  const auto branch = *store_->branch(chat);
  ASSERT_EQ(branch.size(), 1U);
  EXPECT_EQ(branch[0].message.state, MessageState::kInterrupted);
  EXPECT_EQ((*store_->chat(chat))->title, "Imported chat");
}

TEST_F(ChatExport, AChatThatIsGoneIsASentence) {
  EXPECT_EQ(exportJson(*store_, 12345).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(exportMarkdown(*store_, 12345).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace quern::ui
