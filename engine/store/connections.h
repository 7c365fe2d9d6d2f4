// The connections of one database: one writer on a thread of its own, and readers that are lent out.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::store {

/// A SQLite exception as an Error: kIo, or kMalformed where the file is not a database.
base::Error databaseError(const SQLite::Exception& exception);

/// Opens a connection with the settings every connection has (foreign keys on, waits up to 5 s for a lock).
std::unique_ptr<SQLite::Database> connect(const std::filesystem::path& path, int flags);

/// The only thread that writes. What is queued runs in order; all that is waiting goes into one transaction.
/// A write that throws is undone alone and reported; the others of its transaction stand.
class Writer {
 public:
  using Work = std::function<void(SQLite::Database&)>;

  explicit Writer(std::unique_ptr<SQLite::Database> database);
  ~Writer();  ///< finishes what is queued

  /// Returns at once. `done`, when given, is called on the writer thread after the commit, with null on
  /// success.
  void queue(Work work, std::function<void(const base::Error*)> done = {});
  /// Waits until everything queued before the call is committed.
  void drain();
  void onError(std::function<void(const base::Error&)> handler);

 private:
  struct Item {
    Work work;
    std::function<void(const base::Error*)> done;
  };
  void loop();
  void commit(std::vector<Item>& batch);
  void report(const base::Error& error);

  std::unique_ptr<SQLite::Database> database_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<Item> items_;
  std::uint64_t queued_ = 0;
  std::uint64_t written_ = 0;
  bool stop_ = false;
  std::function<void(const base::Error&)> handler_;
  std::thread thread_;
};

/// Read-only connections, lent to one thread at a time.
class Readers {
 public:
  explicit Readers(std::filesystem::path path) : path_(std::move(path)) {}

  /// Runs `read` with a connection. Exceptions of SQLite become Errors.
  template <class T>
  base::Result<T> with(const std::function<T(SQLite::Database&)>& read) {
    try {
      std::unique_ptr<SQLite::Database> database = take();
      T result = read(*database);
      giveBack(std::move(database));
      return result;
    } catch (const SQLite::Exception& exception) {
      return databaseError(exception);
    }
  }

 private:
  std::unique_ptr<SQLite::Database> take();
  void giveBack(std::unique_ptr<SQLite::Database> database);

  std::filesystem::path path_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SQLite::Database>> free_;
};

}  // namespace quern::engine::store
