#include <chrono>
#include <future>
#include <unordered_map>
#include <unordered_set>

#include "engine/store/schema.h"
#include "engine/store/sqlite_store.h"

namespace quern::engine::store {
namespace {

std::int64_t nowMs() {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch())
      .count();
}

void bindOptional(SQLite::Statement& statement, int index, const std::optional<Id>& id) {
  if (id) {
    statement.bind(index, *id);
  } else {
    statement.bind(index);
  }
}

/// Binds `values` to ?1, ?2 … and runs the statement.
template <class... Values>
void run(SQLite::Database& database, const char* sql, const Values&... values) {
  SQLite::Statement statement(database, sql);
  int index = 0;
  (statement.bind(++index, values), ...);
  statement.exec();
}

/// The newest message of the newest branch below `message` (itself when nothing is below it).
constexpr const char* kNewestBelow = R"sql(
    WITH RECURSIVE below(id) AS (
      SELECT ?1
      UNION ALL
      SELECT (SELECT max(m.id) FROM messages m WHERE m.parent_id = below.id AND m.deleted_by IS NULL)
      FROM below WHERE below.id IS NOT NULL)
    SELECT max(id) FROM below)sql";

void showBranchThrough(SQLite::Database& database, Id chat, const std::optional<Id>& message) {
  SQLite::Statement update(database, "UPDATE chats SET leaf_id = ? WHERE id = ?");
  if (message) {
    SQLite::Statement newest(database, kNewestBelow);
    newest.bind(1, *message);
    newest.executeStep();
    update.bind(1, newest.getColumn(0).getInt64());
  } else {
    update.bind(1);
  }
  update.bind(2, chat);
  update.exec();
}

Id insertChat(SQLite::Database& database, const Chat& chat) {
  SQLite::Statement insert(database,
                           "INSERT INTO chats(title, folder_id, pinned, created_ms, updated_ms, model, "
                           "system_prompt, parameters_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  const std::int64_t created = chat.createdMs != 0 ? chat.createdMs : nowMs();
  insert.bind(1, chat.title);
  bindOptional(insert, 2, chat.folder);
  insert.bind(3, chat.pinned ? 1 : 0);
  insert.bind(4, created);
  insert.bind(5, chat.updatedMs != 0 ? chat.updatedMs : created);
  insert.bind(6, chat.model);
  insert.bind(7, chat.systemPrompt);
  insert.bind(8, chat.parametersJson);
  insert.exec();
  return database.getLastInsertRowid();
}

constexpr const char* kInsertMessage =
    "INSERT INTO messages(chat_id, parent_id, role, content, state, created_ms, model, stats_json, "
    "attachments_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";

Id insertMessage(SQLite::Database& database, SQLite::Statement& insert, const Message& message, Id chat,
                 const std::optional<Id>& parent, std::int64_t created) {
  insert.reset();
  insert.bind(1, chat);
  bindOptional(insert, 2, parent);
  insert.bind(3, static_cast<int>(message.role));
  insert.bind(4, message.content);
  insert.bind(5, static_cast<int>(message.state));
  insert.bind(6, created);
  insert.bind(7, message.model);
  insert.bind(8, message.statsJson);
  insert.bind(9, message.attachmentsJson);
  insert.exec();
  return database.getLastInsertRowid();
}

}  // namespace

base::Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path.parent_path(), failure);
  if (failure) {
    return base::Error(base::ErrorCode::kIo, "The folder \"" + path.parent_path().string() +
                                                 "\" cannot be made: " + failure.message() + ".");
  }
  try {
    auto database = connect(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    database->exec("PRAGMA journal_mode = WAL");
    // In WAL mode NORMAL survives a killed process; only a power cut may take the last commits.
    database->exec("PRAGMA synchronous = NORMAL");
    QUERN_TRY(migrate(*database, path));
    database->exec("UPDATE messages SET state = 2 WHERE state = 1");  // their process died while answering
    return std::unique_ptr<Store>(std::make_unique<SqliteStore>(path, std::move(database)));
  } catch (const SQLite::Exception& exception) {
    return databaseError(exception).with(path.string());
  }
}

base::Result<Id> SqliteStore::write(std::function<Id(SQLite::Database&)> work) {
  std::promise<std::optional<base::Error>> promise;
  Id id = 0;
  writer_.queue([&](SQLite::Database& database) { id = work(database); },
                [&](const base::Error* error) {
                  promise.set_value(error == nullptr ? std::nullopt : std::optional(*error));
                });
  std::optional<base::Error> error = promise.get_future().get();
  if (error) return std::move(*error);
  return id;
}

base::Result<Id> SqliteStore::createChat(const Chat& chat) {
  return write([&](SQLite::Database& database) { return insertChat(database, chat); });
}

base::Result<Id> SqliteStore::addMessage(const Message& message) {
  return write([&](SQLite::Database& database) {
    SQLite::Statement insert(database, kInsertMessage);
    const std::int64_t created = message.createdMs != 0 ? message.createdMs : nowMs();
    const Id id = insertMessage(database, insert, message, message.chat, message.parent, created);
    run(database, "UPDATE chats SET leaf_id = ?1, updated_ms = max(updated_ms, ?2) WHERE id = ?3", id,
        created, message.chat);
    return id;
  });
}

base::Result<Id> SqliteStore::importChat(const Chat& chat, const std::vector<Message>& messages) {
  std::unordered_set<Id> known;
  for (const Message& message : messages) {
    if ((message.parent && !known.contains(*message.parent)) || !known.insert(message.id).second) {
      return base::Error(
          base::ErrorCode::kInvalidArgument,
          "The messages of this chat do not form a tree: a parent comes after its child, or an "
          "id is used twice.");
    }
  }
  return write([&](SQLite::Database& database) {
    const Id id = insertChat(database, chat);
    SQLite::Statement insert(database, kInsertMessage);
    std::unordered_map<Id, Id> placed;
    for (const Message& message : messages) {
      const auto parent = message.parent ? std::optional(placed.at(*message.parent)) : std::nullopt;
      const std::int64_t created = message.createdMs != 0 ? message.createdMs : nowMs();
      placed.emplace(message.id, insertMessage(database, insert, message, id, parent, created));
    }
    const auto leaf = chat.leaf ? placed.find(*chat.leaf) : placed.end();
    if (leaf != placed.end()) {
      run(database, "UPDATE chats SET leaf_id = ? WHERE id = ?", leaf->second, id);
    } else if (!messages.empty()) {
      run(database, "UPDATE chats SET leaf_id = ? WHERE id = ?", placed.at(messages.back().id), id);
    }
    return id;
  });
}

base::Result<Id> SqliteStore::createFolder(const std::string& name) {
  return write([&](SQLite::Database& database) {
    run(database, "INSERT INTO folders(name) VALUES (?)", name);
    return database.getLastInsertRowid();
  });
}

void SqliteStore::updateChat(const Chat& chat) {
  writer_.queue([chat](SQLite::Database& database) {
    SQLite::Statement update(
        database,
        "UPDATE chats SET title = ?, folder_id = ?, pinned = ?, model = ?, system_prompt = ?, "
        "parameters_json = ? WHERE id = ?");
    update.bind(1, chat.title);
    bindOptional(update, 2, chat.folder);
    update.bind(3, chat.pinned ? 1 : 0);
    update.bind(4, chat.model);
    update.bind(5, chat.systemPrompt);
    update.bind(6, chat.parametersJson);
    update.bind(7, chat.id);
    update.exec();
  });
}

void SqliteStore::setLeaf(Id chat, Id message) {
  writer_.queue([chat, message](SQLite::Database& database) { showBranchThrough(database, chat, message); });
}

void SqliteStore::updateMessage(Id message, std::string content, MessageState state, std::string statsJson) {
  writer_.queue([message, content = std::move(content), state,
                 statsJson = std::move(statsJson)](SQLite::Database& database) {
    run(database, "UPDATE messages SET content = ?, state = ?, stats_json = ? WHERE id = ?", content,
        static_cast<int>(state), statsJson, message);
  });
}

void SqliteStore::deleteMessage(Id message) {
  writer_.queue([message](SQLite::Database& database) {
    run(database, R"sql(
        WITH RECURSIVE below(id) AS (
          SELECT ?1 UNION ALL SELECT m.id FROM messages m JOIN below ON m.parent_id = below.id)
        UPDATE messages SET deleted_by = ?1 WHERE id IN below AND deleted_by IS NULL)sql",
        message);
    SQLite::Statement place(database, R"sql(
        SELECT c.id, m.parent_id,
          (SELECT max(s.id) FROM messages s
             WHERE s.chat_id = m.chat_id AND s.parent_id IS m.parent_id AND s.deleted_by IS NULL)
        FROM messages m JOIN chats c ON c.id = m.chat_id JOIN messages leaf ON leaf.id = c.leaf_id
        WHERE m.id = ?1 AND leaf.deleted_by IS NOT NULL)sql");
    place.bind(1, message);
    if (!place.executeStep()) return;  // the branch that is shown does not go through it
    const SQLite::Column next = place.getColumn(2).isNull() ? place.getColumn(1) : place.getColumn(2);
    showBranchThrough(database, place.getColumn(0).getInt64(),
                      next.isNull() ? std::nullopt : std::optional<Id>(next.getInt64()));
  });
}

void SqliteStore::undeleteMessage(Id message) {
  writer_.queue([message](SQLite::Database& database) {
    run(database, "UPDATE messages SET deleted_by = NULL WHERE deleted_by = ?", message);
    SQLite::Statement chat(database, "SELECT chat_id FROM messages WHERE id = ?");
    chat.bind(1, message);
    if (chat.executeStep()) showBranchThrough(database, chat.getColumn(0).getInt64(), message);
  });
}

void SqliteStore::deleteChat(Id chat) {
  writer_.queue([chat](SQLite::Database& database) {
    run(database, "UPDATE chats SET deleted = 1 WHERE id = ?", chat);
  });
}

void SqliteStore::undeleteChat(Id chat) {
  writer_.queue([chat](SQLite::Database& database) {
    run(database, "UPDATE chats SET deleted = 0 WHERE id = ?", chat);
  });
}

void SqliteStore::purgeDeleted() {
  writer_.queue([](SQLite::Database& database) {
    database.exec("DELETE FROM chats WHERE deleted = 1");
    database.exec("DELETE FROM messages WHERE deleted_by IS NOT NULL");
  });
}

void SqliteStore::renameFolder(Id folder, const std::string& name) {
  writer_.queue([folder, name](SQLite::Database& database) {
    run(database, "UPDATE folders SET name = ? WHERE id = ?", name, folder);
  });
}

void SqliteStore::deleteFolder(Id folder) {
  writer_.queue(
      [folder](SQLite::Database& database) { run(database, "DELETE FROM folders WHERE id = ?", folder); });
}

void SqliteStore::setSetting(const std::string& key, const std::string& value) {
  writer_.queue([key, value](SQLite::Database& database) {
    run(database,
        "INSERT INTO settings(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = "
        "excluded.value",
        key, value);
  });
}

base::Result<void> SqliteStore::flush() {
  std::promise<std::optional<base::Error>> promise;
  writer_.queue([](SQLite::Database&) {},
                [&](const base::Error* error) {
                  promise.set_value(error == nullptr ? std::nullopt : std::optional(*error));
                });
  std::optional<base::Error> error = promise.get_future().get();
  if (error) return std::move(*error);
  return base::ok();
}

void SqliteStore::onWriteError(std::function<void(const base::Error&)> handler) {
  writer_.onError(std::move(handler));
}

}  // namespace quern::engine::store
