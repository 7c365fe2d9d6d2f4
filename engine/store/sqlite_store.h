// Store over SQLite: what each read and write means in SQL.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/store/connections.h"
#include "engine/store/store.h"

namespace quern::engine::store {

class SqliteStore final : public Store {
 public:
  SqliteStore(std::filesystem::path path, std::unique_ptr<SQLite::Database> writer)
      : writer_(std::move(writer)), readers_(std::move(path)) {}

  base::Result<std::vector<Chat>> chats() override;
  base::Result<std::optional<Chat>> chat(Id id) override;
  base::Result<std::vector<Folder>> folders() override;
  base::Result<std::vector<BranchMessage>> branch(Id chat) override;
  base::Result<std::optional<Message>> message(Id id) override;
  base::Result<std::vector<Id>> siblings(Id message) override;
  base::Result<std::vector<Message>> tree(Id chat) override;
  base::Result<std::vector<SearchHit>> search(const std::string& words, std::int32_t limit) override;
  base::Result<std::optional<std::string>> setting(const std::string& key) override;

  base::Result<Id> createChat(const Chat& chat) override;
  base::Result<Id> addMessage(const Message& message) override;
  base::Result<Id> importChat(const Chat& chat, const std::vector<Message>& messages) override;
  base::Result<Id> createFolder(const std::string& name) override;

  void updateChat(const Chat& chat) override;
  void setLeaf(Id chat, Id message) override;
  void updateMessage(Id message, std::string content, MessageState state, std::string statsJson) override;
  void deleteMessage(Id message) override;
  void undeleteMessage(Id message) override;
  base::Result<bool> hasDeleted() override;
  void deleteChat(Id chat) override;
  void undeleteChat(Id chat) override;
  void purgeDeleted() override;
  void renameFolder(Id folder, const std::string& name) override;
  void deleteFolder(Id folder) override;
  void setSetting(const std::string& key, const std::string& value) override;
  base::Result<void> flush() override;
  void onWriteError(std::function<void(const base::Error&)> handler) override;

 private:
  /// A read that sees everything queued before it.
  template <class T>
  base::Result<T> read(const std::function<T(SQLite::Database&)>& query) {
    writer_.drain();
    return readers_.with<T>(query);
  }
  /// Runs `work` on the writer thread and waits for its id.
  base::Result<Id> write(std::function<Id(SQLite::Database&)> work);

  Writer writer_;
  Readers readers_;
};

}  // namespace quern::engine::store
