#include <cctype>

#include "engine/store/sqlite_store.h"

namespace quern::engine::store {
namespace {

constexpr const char* kChatColumns =
    "id, title, folder_id, pinned, created_ms, updated_ms, model, system_prompt, parameters_json, leaf_id";
constexpr const char* kMessageColumns =
    "m.id, m.chat_id, m.parent_id, m.role, m.content, m.state, m.created_ms, m.model, m.stats_json, "
    "m.attachments_json";

std::optional<Id> optionalId(const SQLite::Column& column) {
  if (column.isNull()) return std::nullopt;
  return column.getInt64();
}

Chat chatOf(SQLite::Statement& row) {
  Chat chat;
  chat.id = row.getColumn(0).getInt64();
  chat.title = row.getColumn(1).getString();
  chat.folder = optionalId(row.getColumn(2));
  chat.pinned = row.getColumn(3).getInt() != 0;
  chat.createdMs = row.getColumn(4).getInt64();
  chat.updatedMs = row.getColumn(5).getInt64();
  chat.model = row.getColumn(6).getString();
  chat.systemPrompt = row.getColumn(7).getString();
  chat.parametersJson = row.getColumn(8).getString();
  chat.leaf = optionalId(row.getColumn(9));
  return chat;
}

Message messageOf(SQLite::Statement& row) {
  Message message;
  message.id = row.getColumn(0).getInt64();
  message.chat = row.getColumn(1).getInt64();
  message.parent = optionalId(row.getColumn(2));
  message.role = static_cast<Role>(row.getColumn(3).getInt());
  message.content = row.getColumn(4).getString();
  message.state = static_cast<MessageState>(row.getColumn(5).getInt());
  message.createdMs = row.getColumn(6).getInt64();
  message.model = row.getColumn(7).getString();
  message.statsJson = row.getColumn(8).getString();
  message.attachmentsJson = row.getColumn(9).getString();
  return message;
}

/// What a person typed as a query that FTS5 cannot misread: every word a quoted string, the last one a prefix
/// (they may still be typing it). Empty when there is no letter or digit in it.
std::string matchQuery(const std::string& words) {
  std::string query;
  std::string word;
  bool searchable = false;
  const auto finishWord = [&] {
    if (searchable) {
      if (!query.empty()) query += ' ';
      query += '"' + word + '"';
    }
    word.clear();
    searchable = false;
  };
  for (const char c : words) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isspace(byte) != 0 || byte == 0) {
      finishWord();
    } else {
      word += c;
      if (c == '"') word += '"';
      if (byte >= 0x80 || std::isalnum(byte) != 0) searchable = true;
    }
  }
  finishWord();
  if (!query.empty()) query += '*';
  return query;
}

}  // namespace

base::Result<std::vector<Chat>> SqliteStore::chats() {
  return read<std::vector<Chat>>([](SQLite::Database& database) {
    SQLite::Statement rows(database, std::string("SELECT ") + kChatColumns +
                                         " FROM chats WHERE deleted = 0 ORDER BY updated_ms DESC, id DESC");
    std::vector<Chat> chats;
    while (rows.executeStep()) chats.push_back(chatOf(rows));
    return chats;
  });
}

base::Result<std::optional<Chat>> SqliteStore::chat(Id id) {
  return read<std::optional<Chat>>([id](SQLite::Database& database) {
    SQLite::Statement row(database,
                          std::string("SELECT ") + kChatColumns + " FROM chats WHERE id = ? AND deleted = 0");
    row.bind(1, id);
    return row.executeStep() ? std::optional(chatOf(row)) : std::nullopt;
  });
}

base::Result<std::vector<Folder>> SqliteStore::folders() {
  return read<std::vector<Folder>>([](SQLite::Database& database) {
    SQLite::Statement rows(database,
                           "SELECT f.id, f.name, (SELECT count(*) FROM chats c WHERE c.folder_id = f.id AND "
                           "c.deleted = 0) FROM folders f ORDER BY f.name COLLATE NOCASE, f.id");
    std::vector<Folder> folders;
    while (rows.executeStep()) {
      folders.push_back(
          {rows.getColumn(0).getInt64(), rows.getColumn(1).getString(), rows.getColumn(2).getInt()});
    }
    return folders;
  });
}

base::Result<std::vector<BranchMessage>> SqliteStore::branch(Id chat) {
  return read<std::vector<BranchMessage>>([chat](SQLite::Database& database) {
    SQLite::Statement rows(database, std::string(R"sql(
        WITH RECURSIVE path(id, parent_id, depth) AS (
          SELECT m.id, m.parent_id, 0 FROM messages m JOIN chats c ON c.leaf_id = m.id WHERE c.id = ?1
          UNION ALL
          SELECT m.id, m.parent_id, path.depth + 1 FROM messages m JOIN path ON m.id = path.parent_id)
        SELECT )sql") + kMessageColumns + R"sql(,
          (SELECT count(*) FROM messages s WHERE s.chat_id = ?1 AND s.parent_id IS m.parent_id
             AND s.deleted_by IS NULL AND s.id < m.id),
          (SELECT count(*) FROM messages s WHERE s.chat_id = ?1 AND s.parent_id IS m.parent_id
             AND s.deleted_by IS NULL)
        FROM path JOIN messages m ON m.id = path.id ORDER BY path.depth DESC)sql");
    rows.bind(1, chat);
    std::vector<BranchMessage> branch;
    while (rows.executeStep()) {
      branch.push_back({messageOf(rows), rows.getColumn(10).getInt(), rows.getColumn(11).getInt()});
    }
    return branch;
  });
}

base::Result<std::optional<Message>> SqliteStore::message(Id id) {
  return read<std::optional<Message>>([id](SQLite::Database& database) {
    SQLite::Statement row(database,
                          std::string("SELECT ") + kMessageColumns + " FROM messages m WHERE m.id = ?");
    row.bind(1, id);
    return row.executeStep() ? std::optional(messageOf(row)) : std::nullopt;
  });
}

base::Result<std::vector<Id>> SqliteStore::siblings(Id message) {
  return read<std::vector<Id>>([message](SQLite::Database& database) {
    SQLite::Statement rows(
        database,
        "SELECT s.id FROM messages m JOIN messages s ON s.chat_id = m.chat_id AND s.parent_id IS "
        "m.parent_id WHERE m.id = ? AND s.deleted_by IS NULL ORDER BY s.id");
    rows.bind(1, message);
    std::vector<Id> ids;
    while (rows.executeStep()) ids.push_back(rows.getColumn(0).getInt64());
    return ids;
  });
}

base::Result<std::vector<Message>> SqliteStore::tree(Id chat) {
  return read<std::vector<Message>>([chat](SQLite::Database& database) {
    // A message is always added after its parent, so ids are already in tree order.
    SQLite::Statement rows(database,
                           std::string("SELECT ") + kMessageColumns +
                               " FROM messages m WHERE m.chat_id = ? AND m.deleted_by IS NULL ORDER BY m.id");
    rows.bind(1, chat);
    std::vector<Message> messages;
    while (rows.executeStep()) messages.push_back(messageOf(rows));
    return messages;
  });
}

base::Result<std::vector<SearchHit>> SqliteStore::search(const std::string& words, std::int32_t limit) {
  const std::string query = matchQuery(words);
  if (query.empty() || limit <= 0) return std::vector<SearchHit>();
  return read<std::vector<SearchHit>>([&](SQLite::Database& database) {
    std::vector<SearchHit> hits;
    SQLite::Statement titles(
        database,
        "SELECT c.id, 0, c.title, highlight(chat_title, 0, char(1), char(2)) FROM chat_title "
        "JOIN chats c ON c.id = chat_title.rowid WHERE chat_title MATCH ? AND c.deleted = 0 "
        "ORDER BY rank, c.updated_ms DESC LIMIT ?");
    SQLite::Statement texts(
        database,
        "SELECT c.id, m.id, c.title, snippet(message_text, 0, char(1), char(2), '…', 12) FROM "
        "message_text JOIN messages m ON m.id = message_text.rowid JOIN chats c ON c.id = "
        "m.chat_id WHERE message_text MATCH ? AND m.deleted_by IS NULL AND c.deleted = 0 "
        "ORDER BY rank, m.id DESC LIMIT ?");
    for (SQLite::Statement* rows : {&titles, &texts}) {
      const auto left = limit - static_cast<std::int32_t>(hits.size());
      rows->bind(1, query);
      rows->bind(2, left);
      while (left > 0 && rows->executeStep()) {
        hits.push_back({rows->getColumn(0).getInt64(), rows->getColumn(1).getInt64(),
                        rows->getColumn(2).getString(), rows->getColumn(3).getString()});
      }
    }
    return hits;
  });
}

base::Result<bool> SqliteStore::hasDeleted() {
  return read<bool>([](SQLite::Database& database) {
    SQLite::Statement row(database,
                          "SELECT EXISTS(SELECT 1 FROM chats WHERE deleted = 1) OR "
                          "EXISTS(SELECT 1 FROM messages WHERE deleted_by IS NOT NULL)");
    row.executeStep();
    return row.getColumn(0).getInt() != 0;
  });
}

base::Result<std::optional<std::string>> SqliteStore::setting(const std::string& key) {
  return read<std::optional<std::string>>([&](SQLite::Database& database) {
    SQLite::Statement row(database, "SELECT value FROM settings WHERE key = ?");
    row.bind(1, key);
    return row.executeStep() ? std::optional(row.getColumn(0).getString()) : std::nullopt;
  });
}

}  // namespace quern::engine::store
