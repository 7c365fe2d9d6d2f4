// Chats on disk: one SQLite database (WAL, foreign keys on, user_version migrations), a tree of messages per
// chat, full-text search, one writer thread. Reads may come from any thread; each reading thread has its own
// connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::store {

using Id = std::int64_t;

struct Folder {
  Id id = 0;
  std::string name;
  std::int32_t chats = 0;
};

struct Chat {
  Id id = 0;
  std::string title;
  std::optional<Id> folder;
  bool pinned = false;
  std::int64_t createdMs = 0;  ///< Unix time
  std::int64_t updatedMs = 0;
  std::string model;  ///< the name last used
  std::string systemPrompt;
  std::string parametersJson;  ///< sampling and load parameters as the window keeps them
  std::optional<Id> leaf;      ///< the message at the end of the branch that is shown
};

enum class Role : std::uint8_t { kSystem = 0, kUser = 1, kAssistant = 2, kTool = 3 };
/// kStreaming becomes kInterrupted when a database with such messages is opened: their process died.
enum class MessageState : std::uint8_t {
  kComplete = 0,
  kStreaming = 1,
  kInterrupted = 2,
  kFailed = 3,
  kStopped = 4
};

/// Messages form a tree: edit and regenerate add a sibling, they never destroy.
struct Message {
  Id id = 0;
  Id chat = 0;
  std::optional<Id> parent;
  Role role = Role::kUser;
  std::string content;
  MessageState state = MessageState::kComplete;
  std::int64_t createdMs = 0;
  std::string model;
  std::string statsJson;        ///< usage and timings of an answer; empty otherwise
  std::string attachmentsJson;  ///< [{"name":…, "text":…}]; empty for none
};

/// A message of the branch that is shown, and its place among its siblings ("2/3").
struct BranchMessage {
  Message message;
  std::int32_t sibling = 0;  ///< from 0
  std::int32_t siblings = 1;
};

struct SearchHit {
  Id chat = 0;
  Id message = 0;  ///< 0: the chat's title matched
  std::string chatTitle;
  std::string snippet;  ///< with \x01…\x02 around the words that matched
};

class Store {
 public:
  /// Opens or creates; migrates older versions after a backup beside the file ("quern.db.v1.bak"). Errors:
  /// kIo, kMalformed (not a database), kUnsupported (written by a newer Quern).
  static base::Result<std::unique_ptr<Store>> open(const std::filesystem::path& path);
  virtual ~Store() = default;  ///< writes what is queued

  // Reads: blocking, from any thread. They see every write that was queued before them.
  virtual base::Result<std::vector<Chat>> chats() = 0;  ///< newest first; deleted ones are not among them
  virtual base::Result<std::optional<Chat>> chat(Id id) = 0;
  virtual base::Result<std::vector<Folder>> folders() = 0;
  /// From the root to the chat's leaf.
  virtual base::Result<std::vector<BranchMessage>> branch(Id chat) = 0;
  virtual base::Result<std::optional<Message>> message(Id id) = 0;
  virtual base::Result<std::vector<Id>> siblings(
      Id message) = 0;  ///< of the same parent, oldest first, itself included
  /// All messages of a chat, parents before children: for export.
  virtual base::Result<std::vector<Message>> tree(Id chat) = 0;
  /// Any words, as a person types them; never a syntax error. Best first.
  virtual base::Result<std::vector<SearchHit>> search(const std::string& words, std::int32_t limit = 100) = 0;
  /// Are there chats or messages that purgeDeleted() would remove for good?
  virtual base::Result<bool> hasDeleted() = 0;
  virtual base::Result<std::optional<std::string>> setting(const std::string& key) = 0;

  // Writes that answer with an id: done when they return.
  virtual base::Result<Id> createChat(const Chat& chat) = 0;
  /// Adds below message.parent and makes it the chat's leaf.
  virtual base::Result<Id> addMessage(const Message& message) = 0;
  /// A chat with its whole tree at once: `messages` parents before children, their ids and `chat.leaf` only
  /// naming each other; new ids are given. kInvalidArgument for a parent that is not among those before it.
  virtual base::Result<Id> importChat(const Chat& chat, const std::vector<Message>& messages) = 0;
  virtual base::Result<Id> createFolder(const std::string& name) = 0;

  // Writes that are queued for the writer thread, in order, and in the database within a second.
  virtual void updateChat(const Chat& chat) = 0;  ///< title, folder, pinned, model, prompt, parameters
  /// Shows the branch through `message`: the leaf becomes the newest message below it.
  virtual void setLeaf(Id chat, Id message) = 0;
  /// Replaces content, state and stats of an answer that is being streamed.
  virtual void updateMessage(Id message, std::string content, MessageState state, std::string statsJson) = 0;
  /// Hides the message and everything below it; the leaf moves to a sibling or the parent.
  virtual void deleteMessage(Id message) = 0;
  virtual void undeleteMessage(Id message) = 0;
  virtual void deleteChat(Id chat) = 0;  ///< hidden until undeleteChat() or purgeDeleted()
  virtual void undeleteChat(Id chat) = 0;
  virtual void purgeDeleted() = 0;
  virtual void renameFolder(Id folder, const std::string& name) = 0;
  virtual void deleteFolder(Id folder) = 0;  ///< its chats stay, without a folder
  virtual void setSetting(const std::string& key, const std::string& value) = 0;
  /// Returns when everything queued so far is in the database.
  virtual base::Result<void> flush() = 0;

  /// Told about failed queued writes, on the writer thread.
  virtual void onWriteError(std::function<void(const base::Error&)> handler) = 0;
};

}  // namespace quern::engine::store
