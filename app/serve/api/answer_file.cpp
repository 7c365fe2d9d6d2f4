#include "app/serve/api/answer_file.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace quern::app::serve {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

/// Of rows and packAnswers(); a file of another layout is emptied.
constexpr int kLayout = 1;
/// Small, as an answer's last page is half empty.
constexpr std::size_t kPageBytes = 1024;
constexpr std::size_t kMostQueued = 256;

bool isDamage(const SQLite::Exception& exception) {
  return exception.getErrorCode() == SQLITE_NOTADB || exception.getErrorCode() == SQLITE_CORRUPT;
}

/// Questions and answers are private, so the file is never there with wider rights.
Result<void> makePrivate(const std::filesystem::path& path) {
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  // Only where it is new: closing a second descriptor would give up the locks of one that is open here.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST) return engine::base::ok();
  if (file < 0) return Error(ErrorCode::kIo, "\"" + path.string() + "\" cannot be opened or made.");
  ::close(file);
  return engine::base::ok();
}

}  // namespace

class AnswerFile::Impl {
 public:
  using Work = std::function<void(SQLite::Database&)>;

  Impl(const std::filesystem::path& path, std::size_t mostBytes, Notice notice)
      : mostPages_(mostBytes / kPageBytes),
        notice_(std::move(notice)),
        database_(path.string(), SQLite::OPEN_READWRITE) {
    prepare();
    load(mostBytes);
  }
  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      isStopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  void start() {
    thread_ = std::thread([this] { loop(); });
  }
  void queue(bool mayBeLeftOut, Work work) {
    {
      const std::lock_guard lock(mutex_);
      if (hasFailed_ || (mayBeLeftOut && works_.size() >= kMostQueued)) return;
      works_.push_back(std::move(work));
    }
    wake_.notify_all();
  }
  void flush() {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return works_.empty() && !isWriting_; });
  }
  void insert(std::int64_t id, const std::string& key, const std::string& bytes);
  std::int64_t nextUse() { return ++lastUse_; }

  std::vector<FiledAnswer> loaded;

 private:
  void prepare();
  void load(std::size_t mostBytes);
  void loop();

  const std::size_t mostPages_;
  const Notice notice_;
  SQLite::Database database_;
  std::int64_t lastUse_ = 0;  ///< of the file's thread, once that runs
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::deque<Work> works_;
  bool isStopping_ = false, isWriting_ = false, hasFailed_ = false;
  std::thread thread_;
};

void AnswerFile::Impl::prepare() {
  database_.exec("PRAGMA page_size = " + std::to_string(kPageBytes));
  database_.exec("PRAGMA auto_vacuum = FULL");  // a smaller limit makes the file smaller
  database_.exec("PRAGMA locking_mode = EXCLUSIVE");
  database_.exec("PRAGMA journal_mode = TRUNCATE");
  database_.exec("PRAGMA synchronous = NORMAL");
  database_.exec("BEGIN EXCLUSIVE");
  if (database_.execAndGet("PRAGMA quick_check").getString() != "ok") {
    throw SQLite::Exception("the check has failed", SQLITE_CORRUPT);
  }
  if (database_.execAndGet("PRAGMA user_version").getInt() != kLayout) {
    database_.exec("DROP TABLE IF EXISTS answers");
    database_.exec(
        "CREATE TABLE answers (id INTEGER PRIMARY KEY, used INTEGER NOT NULL, key BLOB NOT NULL, "
        "answer BLOB NOT NULL)");
    database_.exec("PRAGMA user_version = " + std::to_string(kLayout));
  }
  database_.exec("COMMIT");
}

void AnswerFile::Impl::load(std::size_t mostBytes) {
  std::vector<std::int64_t> useless;
  SQLite::Statement rows(database_, "SELECT id, used, key, answer FROM answers ORDER BY used");
  while (rows.executeStep()) {
    const std::int64_t id = rows.getColumn(0).getInt64();
    lastUse_ = std::max(lastUse_, rows.getColumn(1).getInt64());
    const std::string bytes = rows.getColumn(3).getString();
    auto answers = bytes.size() <= mostBytes ? unpackAnswers(bytes) : std::nullopt;
    if (!answers) {
      useless.push_back(id);
      continue;
    }
    loaded.push_back({id, rows.getColumn(2).getString(), std::move(*answers)});
  }
  rows.reset();
  for (const std::int64_t id : useless)
    database_.exec("DELETE FROM answers WHERE id = " + std::to_string(id));
}

void AnswerFile::Impl::insert(std::int64_t id, const std::string& key, const std::string& bytes) {
  database_.exec("PRAGMA max_page_count = " + std::to_string(mostPages_));
  for (int tries = 0;; ++tries) {
    try {
      SQLite::Statement row(database_, "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)");
      row.bind(1, id);
      row.bind(2, nextUse());
      row.bind(3, key.data(), static_cast<int>(key.size()));
      row.bind(4, bytes.data(), static_cast<int>(bytes.size()));
      row.exec();
      return;
    } catch (const SQLite::Exception& exception) {
      if (exception.getErrorCode() != SQLITE_FULL || tries == 3) throw;
    }
    // Pages are never quite full, so the file may be where memory has room.
    database_.exec(
        "DELETE FROM answers WHERE id IN (SELECT id FROM answers ORDER BY used "
        "LIMIT 1 + (SELECT COUNT(*) FROM answers) / 4)");
  }
}

void AnswerFile::Impl::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return isStopping_ || !works_.empty(); });
    if (works_.empty()) return;
    const Work work = std::move(works_.front());
    works_.pop_front();
    isWriting_ = true;
    lock.unlock();
    std::string problem;
    try {
      work(database_);
    } catch (const std::exception& exception) {
      problem = exception.what();
    }
    if (!problem.empty() && notice_) {
      notice_("Answers are no longer written to their file (" + problem + "); they are kept in memory.");
    }
    lock.lock();
    isWriting_ = false;
    if (!problem.empty()) {
      hasFailed_ = true;
      works_.clear();
    }
    if (works_.empty()) idle_.notify_all();
  }
}

AnswerFile::AnswerFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AnswerFile::~AnswerFile() = default;

Result<std::unique_ptr<AnswerFile>> AnswerFile::open(const std::filesystem::path& path, std::size_t mostBytes,
                                                     Notice notice) {
  for (bool isSecond = false;; isSecond = true) {
    QUERN_TRY(makePrivate(path));
    try {
      auto impl = std::make_unique<Impl>(path, mostBytes, notice);
      impl->start();
      return std::unique_ptr<AnswerFile>(new AnswerFile(std::move(impl)));
    } catch (const SQLite::Exception& exception) {
      const std::string detail = std::string("SQLite: ") + exception.what();
      if (isSecond || !isDamage(exception)) {
        const bool isTaken =
            exception.getErrorCode() == SQLITE_BUSY || exception.getErrorCode() == SQLITE_LOCKED;
        return Error(ErrorCode::kIo,
                     isTaken ? "Another server has \"" + path.string() + "\" open."
                             : "\"" + path.string() + "\" cannot be used.",
                     {detail});
      }
    }
    const std::string aside = path.string() + ".broken";
    std::error_code failed;
    std::filesystem::rename(path, aside, failed);
    if (failed) return Error(ErrorCode::kIo, "\"" + path.string() + "\" is damaged and cannot be set aside.");
    std::filesystem::remove(path.string() + "-journal", failed);
    if (notice) notice("The file of kept answers was damaged: set aside as \"" + aside + "\".");
  }
}

std::vector<FiledAnswer> AnswerFile::takeLoaded() { return std::exchange(impl_->loaded, {}); }

void AnswerFile::keep(std::int64_t id, const std::string& key, std::shared_ptr<const KeptAnswers> answers) {
  impl_->queue(true, [impl = impl_.get(), id, key, answers = std::move(answers)](SQLite::Database&) {
    impl->insert(id, key, packAnswers(*answers));
  });
}

void AnswerFile::touch(std::int64_t id) {
  impl_->queue(true, [impl = impl_.get(), id](SQLite::Database& database) {
    database.exec("UPDATE answers SET used = " + std::to_string(impl->nextUse()) +
                  " WHERE id = " + std::to_string(id));
  });
}

void AnswerFile::drop(std::int64_t id) {
  impl_->queue(false, [id](SQLite::Database& database) {
    database.exec("DELETE FROM answers WHERE id = " + std::to_string(id));
  });
}

void AnswerFile::flush() { impl_->flush(); }

}  // namespace quern::app::serve
