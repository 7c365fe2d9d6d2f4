// One line a request. What was asked and answered stands in it only where somebody has asked for that.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "app/serve/exchange.h"
#include "engine/base/result.h"

namespace spdlog {
class logger;
}

namespace quern::app::serve::front {

struct AccessRecord;

struct LogOptions {
  bool isJson = false;
  bool hasContent = false;                       ///< bodies, too, up to kContentBytes each
  std::filesystem::path file;                    ///< empty: standard error
  std::uint64_t fileBytes = 16UL * 1024 * 1024;  ///< a longer file is set aside …
  int files = 5;                                 ///< … and so many of them are kept
  bool isQuiet = false;                          ///< no lines for requests, only for what goes wrong
  /// Sees every request that has ended, also with isQuiet. On the server's threads; must not block.
  std::function<void(const AccessRecord&)> watch;
};
inline constexpr std::size_t kContentBytes = 16 * 1024;

struct AccessRecord {
  std::string id, remote, method, path;
  std::string keyId, keyName;
  std::string traceId, parentSpan;  ///< from "traceparent", empty without
  int status = 0;
  std::string outcome = "answered";  ///< "answered", "gone" (the client left), "refused", "failed"
  std::uint64_t bytes = 0;           ///< of the body
  double elapsedMs = 0;
  RequestFacts facts;
  std::string message;  ///< why it was refused
  std::string question, answer;
};

/// Every function from any thread, and none waits for a disk: a thread of the log's own writes. Lines that it
/// cannot take in time push out the oldest that wait.
class AccessLog {
 public:
  /// Errors: kIo.
  static engine::base::Result<std::shared_ptr<AccessLog>> open(const LogOptions& options);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  void write(const AccessRecord& record);
  /// What happens to the server itself.
  void say(std::string_view event, std::string_view message, bool isWarning = false);
  /// Returns when all that was told is written. Lines that come later are dropped: whoever still holds an
  /// answer's end may tell of it when the server is gone.
  void close();
  bool hasContent() const { return hasContent_; }
  void setContent(bool hasContent) { hasContent_ = hasContent; }

 private:
  class Writer;
  AccessLog(LogOptions options, std::unique_ptr<Writer> writer);
  std::shared_ptr<Writer> writer() const;
  LogOptions options_;
  std::atomic<bool> hasContent_;
  mutable std::mutex mutex_;
  std::shared_ptr<Writer> writer_;  ///< null once it is closed
};

}  // namespace quern::app::serve::front
