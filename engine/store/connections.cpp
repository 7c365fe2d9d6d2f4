#include "engine/store/connections.h"

#include <sqlite3.h>

#include <utility>

namespace quern::engine::store {
namespace {

constexpr int kBusyMs = 5000;

}  // namespace

base::Error databaseError(const SQLite::Exception& exception) {
  const int code = exception.getErrorCode();
  const std::string detail = std::string("SQLite: ") + exception.what() + " (" + std::to_string(code) + ")";
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT) {
    return {base::ErrorCode::kMalformed,
            "The chat database is damaged. Move it away to start with an empty one, or put a backup in its "
            "place.",
            {detail}};
  }
  if (code == SQLITE_FULL) {
    return {base::ErrorCode::kIo, "The disk is full: chats cannot be saved until there is room.", {detail}};
  }
  return {base::ErrorCode::kIo, "The chat database cannot be read or written.", {detail}};
}

std::unique_ptr<SQLite::Database> connect(const std::filesystem::path& path, int flags) {
  auto database = std::make_unique<SQLite::Database>(path.string(), flags, kBusyMs);
  database->exec("PRAGMA foreign_keys = ON");
  return database;
}

Writer::Writer(std::unique_ptr<SQLite::Database> database) : database_(std::move(database)) {
  thread_ = std::thread([this] { loop(); });
}

Writer::~Writer() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Writer::queue(Work work, std::function<void(const base::Error*)> done) {
  {
    const std::lock_guard lock(mutex_);
    items_.push_back({std::move(work), std::move(done)});
    ++queued_;
  }
  wake_.notify_one();
}

void Writer::drain() {
  std::unique_lock lock(mutex_);
  const std::uint64_t target = queued_;
  idle_.wait(lock, [&] { return written_ >= target; });
}

void Writer::onError(std::function<void(const base::Error&)> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void Writer::report(const base::Error& error) {
  std::function<void(const base::Error&)> handler;
  {
    const std::lock_guard lock(mutex_);
    handler = handler_;
  }
  if (handler) handler(error);
}

void Writer::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stop_ || !items_.empty(); });
    if (items_.empty()) return;  // stop was asked for and nothing is left
    std::vector<Item> batch(std::make_move_iterator(items_.begin()), std::make_move_iterator(items_.end()));
    items_.clear();
    lock.unlock();
    commit(batch);
    const std::size_t count = batch.size();
    batch.clear();
    lock.lock();
    written_ += count;
    idle_.notify_all();
  }
}

void Writer::commit(std::vector<Item>& batch) {
  std::vector<std::optional<base::Error>> errors(batch.size());
  try {
    SQLite::Transaction transaction(*database_);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      database_->exec("SAVEPOINT item");
      try {
        batch[i].work(*database_);
      } catch (const SQLite::Exception& exception) {
        errors[i] = databaseError(exception);
        database_->exec("ROLLBACK TO item");
      }
      database_->exec("RELEASE item");
    }
    transaction.commit();
  } catch (const SQLite::Exception& exception) {
    const base::Error error = databaseError(exception);
    for (auto& slot : errors) {
      if (!slot) slot = error;
    }
  }
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].done) {
      batch[i].done(errors[i] ? &*errors[i] : nullptr);
    } else if (errors[i]) {
      report(*errors[i]);
    }
  }
}

std::unique_ptr<SQLite::Database> Readers::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<SQLite::Database> database = std::move(free_.back());
      free_.pop_back();
      return database;
    }
  }
  return connect(path_, SQLite::OPEN_READONLY);
}

void Readers::giveBack(std::unique_ptr<SQLite::Database> database) {
  const std::lock_guard lock(mutex_);
  free_.push_back(std::move(database));
}

}  // namespace quern::engine::store
