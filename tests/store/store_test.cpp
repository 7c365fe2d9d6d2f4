#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "engine/store/schema.h"
#include "engine/store/store.h"

namespace quern::engine::store {
namespace {

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    folder_ = std::filesystem::temp_directory_path() /
              ("quern-store-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    path_ = folder_ / "quern.db";
  }
  ~StoreTest() override { std::filesystem::remove_all(folder_); }

  void open() {
    store_.reset();
    auto store = Store::open(path_);
    ASSERT_TRUE(store) << store.error().describe();
    store_ = std::move(*store);
  }
  Id newChat(const std::string& title) {
    Chat chat;
    chat.title = title;
    return *store_->createChat(chat);
  }
  Id add(Id chat, std::optional<Id> parent, Role role, const std::string& text,
         MessageState state = MessageState::kComplete) {
    Message message;
    message.chat = chat;
    message.parent = parent;
    message.role = role;
    message.content = text;
    message.state = state;
    return *store_->addMessage(message);
  }
  std::string shown(Id chat) {
    std::string text;
    for (const BranchMessage& entry : *store_->branch(chat)) {
      if (!text.empty()) text += " | ";
      text += entry.message.content;
      if (entry.siblings > 1)
        text += " " + std::to_string(entry.sibling + 1) + "/" + std::to_string(entry.siblings);
    }
    return text;
  }

  std::filesystem::path folder_;
  std::filesystem::path path_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, ChatIsThereAfterReopening) {
  open();
  const Id chat = newChat("Grüße");
  add(chat, add(chat, std::nullopt, Role::kUser, "question"), Role::kAssistant, "answer");
  open();
  ASSERT_EQ(store_->chats()->size(), 1U);
  EXPECT_EQ(store_->chats()->front().title, "Grüße");
  EXPECT_EQ(shown(chat), "question | answer");
}

TEST_F(StoreTest, RegeneratingAddsASiblingAndDestroysNothing) {
  open();
  const Id chat = newChat("t");
  const Id question = add(chat, std::nullopt, Role::kUser, "q");
  const Id first = add(chat, question, Role::kAssistant, "a1");
  add(chat, question, Role::kAssistant, "a2");
  EXPECT_EQ(shown(chat), "q | a2 2/2");
  store_->setLeaf(chat, first);
  EXPECT_EQ(shown(chat), "q | a1 1/2");
  EXPECT_EQ(store_->siblings(first)->size(), 2U);
  EXPECT_EQ(store_->tree(chat)->size(), 3U);
}

TEST_F(StoreTest, ShowingAnOlderVersionGoesToItsNewestEnd) {
  open();
  const Id chat = newChat("t");
  const Id old = add(chat, std::nullopt, Role::kUser, "old");
  const Id answer = add(chat, old, Role::kAssistant, "reply");
  add(chat, answer, Role::kUser, "more");
  add(chat, std::nullopt, Role::kUser, "edited");
  EXPECT_EQ(shown(chat), "edited 2/2");
  store_->setLeaf(chat, old);
  EXPECT_EQ(shown(chat), "old 1/2 | reply | more");
}

TEST_F(StoreTest, DeletingAMessageFallsBackToSiblingThenParentAndCanBeUndone) {
  open();
  const Id chat = newChat("t");
  const Id question = add(chat, std::nullopt, Role::kUser, "q");
  const Id first = add(chat, question, Role::kAssistant, "a1");
  const Id second = add(chat, question, Role::kAssistant, "a2");
  add(chat, second, Role::kUser, "follow");
  store_->deleteMessage(second);
  EXPECT_EQ(shown(chat), "q | a1");
  store_->deleteMessage(first);
  EXPECT_EQ(shown(chat), "q");
  store_->deleteMessage(question);
  EXPECT_EQ(shown(chat), "");
  store_->undeleteMessage(question);
  EXPECT_EQ(shown(chat), "q");
  store_->undeleteMessage(second);
  EXPECT_EQ(shown(chat), "q | a2 | follow");
}

TEST_F(StoreTest, DeletedChatComesBackUntilItIsPurged) {
  open();
  const Id chat = newChat("findable");
  add(chat, std::nullopt, Role::kUser, "needle");
  store_->deleteChat(chat);
  EXPECT_TRUE(store_->chats()->empty());
  EXPECT_TRUE(store_->search("needle")->empty());
  store_->undeleteChat(chat);
  EXPECT_EQ(store_->search("needle")->size(), 1U);
  EXPECT_FALSE(*store_->hasDeleted());
  store_->deleteChat(chat);
  EXPECT_TRUE(*store_->hasDeleted());
  store_->purgeDeleted();
  EXPECT_FALSE(*store_->hasDeleted());
  store_->undeleteChat(chat);
  EXPECT_TRUE(store_->chats()->empty());
}

TEST_F(StoreTest, SearchFindsWordsInTitlesAndMessagesWhileTyping) {
  open();
  const Id chat = newChat("Quarterly numbers");
  add(chat, std::nullopt, Role::kUser, "How fast does the café's espresso machine heat up?");
  EXPECT_EQ(store_->search("cafe espr")->size(), 1U);
  EXPECT_NE(store_->search("espresso")
                ->front()
                .snippet.find("\x01"
                              "espresso"
                              "\x02"),
            std::string::npos);
  ASSERT_EQ(store_->search("quart")->size(), 1U);
  EXPECT_EQ(store_->search("quart")->front().message, 0);
  EXPECT_TRUE(store_->search("tea")->empty());
}

TEST_F(StoreTest, SearchNeverFailsOnWhatAPersonTypes) {
  open();
  add(newChat("t"), std::nullopt, Role::kUser, "a \"quoted\" word, AND NOT near(x)");
  for (const char* words :
       {"", "\"", "\"\"", "* *", "AND", "NOT (", "near(", "a OR", "col:umn", "!!! word", "-x", "quoted\""}) {
    const auto hits = store_->search(words);
    EXPECT_TRUE(hits) << words << ": " << hits.error().describe();
  }
  EXPECT_EQ(store_->search("!!! word")->size(), 1U);
}

TEST_F(StoreTest, StreamedAnswerIsMarkedInterruptedWhenItsProcessDied) {
  open();
  const Id chat = newChat("t");
  const Id answer = add(chat, std::nullopt, Role::kAssistant, "", MessageState::kStreaming);
  store_->updateMessage(answer, "half an ans", MessageState::kStreaming, "");
  EXPECT_TRUE(store_->search("half")->empty()) << "an unfinished answer is not indexed";
  open();
  EXPECT_EQ((*store_->message(answer))->state, MessageState::kInterrupted);
  EXPECT_EQ((*store_->message(answer))->content, "half an ans");
  EXPECT_EQ(store_->search("half")->size(), 1U);
}

TEST_F(StoreTest, FoldersKeepTheirChatsWhenTheyAreDeleted) {
  open();
  const Id folder = *store_->createFolder("Papers");
  Chat chat;
  chat.title = "t";
  chat.folder = folder;
  chat.id = *store_->createChat(chat);
  EXPECT_EQ(store_->folders()->front().chats, 1);
  store_->renameFolder(folder, "Articles");
  EXPECT_EQ(store_->folders()->front().name, "Articles");
  store_->deleteFolder(folder);
  EXPECT_TRUE(store_->folders()->empty());
  EXPECT_FALSE((*store_->chat(chat.id))->folder.has_value());
}

TEST_F(StoreTest, ManyThreadsReadWhileOneWrites) {
  open();
  const Id chat = newChat("t");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 40; ++j) {
        if (i == 0) {
          add(chat, std::nullopt, Role::kUser, "word" + std::to_string(j));
        } else {
          EXPECT_TRUE(store_->branch(chat));
          EXPECT_TRUE(store_->search("word"));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->tree(chat)->size(), 40U);
}

TEST_F(StoreTest, FailedQueuedWriteIsReportedAndLeavesTheOthersAlone) {
  open();
  std::atomic<int> failures = 0;
  store_->onWriteError([&](const base::Error&) { ++failures; });
  const Id chat = newChat("t");
  Chat bad;
  bad.id = chat;
  bad.title = "in a folder that does not exist";
  bad.folder = 999;
  store_->updateChat(bad);
  store_->setSetting("theme", "dark");
  EXPECT_TRUE(store_->flush());
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(*store_->setting("theme"), "dark");
  EXPECT_EQ((*store_->chat(chat))->title, "t");
}

TEST_F(StoreTest, RefusesAFileThatIsNoDatabase) {
  std::ofstream(path_) << "This is a text file, long enough to be read as a page of something else entirely.";
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), base::ErrorCode::kMalformed);
}

TEST_F(StoreTest, RefusesADatabaseOfANewerQuern) {
  open();
  store_.reset();
  SQLite::Database(path_.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 999");
  const auto store = Store::open(path_);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code(), base::ErrorCode::kUnsupported);
}

TEST_F(StoreTest, MigratesEveryEarlierVersionAfterABackup) {
  for (int version = 1; version < schemaVersion(); ++version) {
    const std::string sql =
        std::string(QUERN_SOURCE_DIR) + "/tests/data/store/v" + std::to_string(version) + ".sql";
    std::ifstream stream(sql);
    ASSERT_TRUE(stream) << "every released version keeps a dump: " << sql;
    std::stringstream text;
    text << stream.rdbuf();
    store_.reset();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    SQLite::Database(path_.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE).exec(text.str());
    open();
    EXPECT_TRUE(std::filesystem::exists(path_.string() + ".v" + std::to_string(version) + ".bak"));
    EXPECT_EQ(shown(1), "What is a quern? | A hand mill.");
    EXPECT_EQ(store_->search("hand")->size(), 1U);
    EXPECT_EQ(store_->search("stones")->size(), 1U) << "titles are searched too";
  }
}

}  // namespace
}  // namespace quern::engine::store
