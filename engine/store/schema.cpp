#include "engine/store/schema.h"

#include <array>
#include <string>

namespace quern::engine::store {
namespace {

// A step is never changed once it has been released: databases in the field have been through it as it was.
constexpr std::array<const char*, 2> kSteps = {
    // 1: folders, chats, a tree of messages, settings
    R"sql(
    CREATE TABLE folders(
      id INTEGER PRIMARY KEY,
      name TEXT NOT NULL);
    CREATE TABLE chats(
      id INTEGER PRIMARY KEY,
      title TEXT NOT NULL,
      folder_id INTEGER REFERENCES folders(id) ON DELETE SET NULL,
      pinned INTEGER NOT NULL DEFAULT 0,
      created_ms INTEGER NOT NULL,
      updated_ms INTEGER NOT NULL,
      model TEXT NOT NULL DEFAULT '',
      system_prompt TEXT NOT NULL DEFAULT '',
      parameters_json TEXT NOT NULL DEFAULT '',
      leaf_id INTEGER REFERENCES messages(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
      deleted INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX chats_by_time ON chats(deleted, updated_ms);
    CREATE INDEX chats_by_folder ON chats(folder_id);
    CREATE TABLE messages(
      id INTEGER PRIMARY KEY,
      chat_id INTEGER NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
      parent_id INTEGER REFERENCES messages(id) ON DELETE CASCADE,
      role INTEGER NOT NULL,
      content TEXT NOT NULL,
      state INTEGER NOT NULL,
      created_ms INTEGER NOT NULL,
      model TEXT NOT NULL DEFAULT '',
      stats_json TEXT NOT NULL DEFAULT '',
      attachments_json TEXT NOT NULL DEFAULT '',
      deleted_by INTEGER);
    CREATE INDEX messages_by_parent ON messages(parent_id);
    CREATE INDEX messages_by_chat ON messages(chat_id, parent_id);
    CREATE INDEX messages_streaming ON messages(state) WHERE state = 1;
    CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    )sql",
    // 2: full-text search. An answer that is still being streamed (state 1) is indexed once, when it is
    // finished.
    R"sql(
    CREATE VIRTUAL TABLE message_text USING fts5(
      content, content='messages', content_rowid='id', tokenize='unicode61 remove_diacritics 2');
    CREATE TRIGGER message_text_insert AFTER INSERT ON messages WHEN new.state <> 1 BEGIN
      INSERT INTO message_text(rowid, content) VALUES (new.id, new.content);
    END;
    CREATE TRIGGER message_text_delete AFTER DELETE ON messages WHEN old.state <> 1 BEGIN
      INSERT INTO message_text(message_text, rowid, content) VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER message_text_forget AFTER UPDATE OF content, state ON messages WHEN old.state <> 1 BEGIN
      INSERT INTO message_text(message_text, rowid, content) VALUES ('delete', old.id, old.content);
    END;
    CREATE TRIGGER message_text_learn AFTER UPDATE OF content, state ON messages WHEN new.state <> 1 BEGIN
      INSERT INTO message_text(rowid, content) VALUES (new.id, new.content);
    END;
    INSERT INTO message_text(rowid, content) SELECT id, content FROM messages WHERE state <> 1;

    CREATE VIRTUAL TABLE chat_title USING fts5(
      title, content='chats', content_rowid='id', tokenize='unicode61 remove_diacritics 2');
    CREATE TRIGGER chat_title_insert AFTER INSERT ON chats BEGIN
      INSERT INTO chat_title(rowid, title) VALUES (new.id, new.title);
    END;
    CREATE TRIGGER chat_title_delete AFTER DELETE ON chats BEGIN
      INSERT INTO chat_title(chat_title, rowid, title) VALUES ('delete', old.id, old.title);
    END;
    CREATE TRIGGER chat_title_update AFTER UPDATE OF title ON chats WHEN old.title <> new.title BEGIN
      INSERT INTO chat_title(chat_title, rowid, title) VALUES ('delete', old.id, old.title);
      INSERT INTO chat_title(rowid, title) VALUES (new.id, new.title);
    END;
    INSERT INTO chat_title(rowid, title) SELECT id, title FROM chats;
    )sql",
};

}  // namespace

int schemaVersion() { return static_cast<int>(kSteps.size()); }

base::Result<void> migrate(SQLite::Database& database, const std::filesystem::path& path) {
  const int version = database.execAndGet("PRAGMA user_version").getInt();
  if (version > schemaVersion()) {
    return base::Error(
        base::ErrorCode::kUnsupported,
        "\"" + path.string() + "\" was written by a newer Quern; start that one instead.",
        {"database version " + std::to_string(version) + ", known " + std::to_string(schemaVersion())});
  }
  if (version > 0 && version < schemaVersion()) {
    std::filesystem::path backup = path;
    backup += ".v" + std::to_string(version) + ".bak";
    std::error_code ignored;
    std::filesystem::remove(backup, ignored);
    SQLite::Statement copy(database, "VACUUM INTO ?");
    copy.bind(1, backup.string());
    copy.exec();
  }
  for (int step = version; step < schemaVersion(); ++step) {
    SQLite::Transaction transaction(database);
    database.exec(kSteps[static_cast<std::size_t>(step)]);
    database.exec("PRAGMA user_version = " + std::to_string(step + 1));
    transaction.commit();
  }
  return base::ok();
}

}  // namespace quern::engine::store
