#include "app/serve/front/access_log.h"

#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "engine/base/text.h"

namespace quern::app::serve::front {
namespace {

using Json = nlohmann::ordered_json;

/// Lines that may wait for the disk.
constexpr std::size_t kWaitingLines = 8192;

/// RFC 3339 in UTC, with milliseconds.
std::string nowText() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900, utc.tm_mon + 1,
                utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, static_cast<int>(ms));
  return text;
}

double tenths(double number) {
  return static_cast<double>(static_cast<std::int64_t>(number * 10 + 0.5)) / 10;
}

Json toJson(const AccessRecord& record) {
  Json json = {{"event", "request"},        {"id", record.id},
               {"remote", record.remote},   {"method", record.method},
               {"path", record.path},       {"status", record.status},
               {"outcome", record.outcome}, {"ms", tenths(record.elapsedMs)},
               {"bytes", record.bytes}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = value;
  };
  add("key", record.keyId);
  add("key_name", record.keyName);
  add("trace_id", record.traceId);
  add("parent_span", record.parentSpan);
  add("message", record.message);
  const RequestFacts& facts = record.facts;
  add("model", facts.model);
  if (facts.promptTokens > 0 || facts.completionTokens > 0) {
    json["prompt_tokens"] = facts.promptTokens;
    json["cached_tokens"] = facts.cachedTokens;
    json["completion_tokens"] = facts.completionTokens;
    json["queue_ms"] = tenths(facts.queueMs);
    json["first_token_ms"] = tenths(facts.firstTokenMs);
  }
  add("finish", facts.finish);
  add("question", record.question);
  add("answer", record.answer);
  return json;
}

/// "name=value" pairs; texts in quotes where they are more than a word.
std::string toText(const Json& json) {
  std::string text;
  for (const auto& [name, value] : json.items()) {
    if (name == "time" || name == "level") continue;
    std::string written = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    const bool isWord = value.is_string() && !value.get_ref<const std::string&>().empty() &&
                        written.find_first_of(" =\\") == std::string::npos;
    if (isWord) written = written.substr(1, written.size() - 2);
    text += (text.empty() ? "" : " ") + name + "=" + written;
  }
  return text;
}

}  // namespace

class AccessLog::Writer {
 public:
  explicit Writer(const spdlog::sink_ptr& sink)
      : threads(std::make_shared<spdlog::details::thread_pool>(kWaitingLines, 1)),
        logger(std::make_shared<spdlog::async_logger>("quern.serve", sink, threads,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    logger->set_pattern("%v");
    logger->flush_on(spdlog::level::info);
    // A full disk is no reason to end the server, nor to fill the terminal.
    logger->set_error_handler([](const std::string&) {});
  }
  void line(const LogOptions& options, bool isWarning, Json json) {
    const char* level = isWarning ? "warning" : "info";
    std::string text;
    if (options.isJson) {
      Json whole = {{"time", nowText()}, {"level", level}};
      whole.update(json);
      text = whole.dump(-1, ' ', false, Json::error_handler_t::replace);
    } else {
      text = nowText() + " " + level + " " + toText(json);
    }
    logger->log(isWarning ? spdlog::level::warn : spdlog::level::info, spdlog::string_view_t(text));
  }

  std::shared_ptr<spdlog::details::thread_pool> threads;
  std::shared_ptr<spdlog::async_logger> logger;
};

AccessLog::AccessLog(LogOptions options, std::unique_ptr<Writer> writer)
    : options_(std::move(options)), hasContent_(options_.hasContent), writer_(std::move(writer)) {}

AccessLog::~AccessLog() = default;

void AccessLog::close() {
  std::shared_ptr<Writer> last;
  {
    const std::lock_guard lock(mutex_);
    last = std::move(writer_);
  }
  if (!last) return;
  // Nobody gets hold of it any more; who has it tells one line.
  while (last.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  last.reset();  // joins its thread, which writes what waits
}

std::shared_ptr<AccessLog::Writer> AccessLog::writer() const {
  const std::lock_guard lock(mutex_);
  return writer_;
}

engine::base::Result<std::shared_ptr<AccessLog>> AccessLog::open(const LogOptions& options) {
  try {
    spdlog::sink_ptr sink;
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
          options.file.string(), static_cast<std::size_t>(options.fileBytes),
          static_cast<std::size_t>(options.files));
    }
    return std::shared_ptr<AccessLog>(new AccessLog(options, std::make_unique<Writer>(sink)));
  } catch (const std::exception& error) {
    return engine::base::Error(
        engine::base::ErrorCode::kIo,
        "\"" + engine::base::printable(options.file.string(), 200) + "\" cannot be written as a log.",
        {error.what()});
  }
}

void AccessLog::write(const AccessRecord& record) {
  if (options_.watch) options_.watch(record);
  const bool isWarning = record.status >= 500;
  if (options_.isQuiet && !isWarning) return;
  if (const auto to = writer()) to->line(options_, isWarning, toJson(record));
}

void AccessLog::say(std::string_view event, std::string_view message, bool isWarning) {
  const auto to = writer();
  if (to) to->line(options_, isWarning, {{"event", std::string(event)}, {"message", std::string(message)}});
}

}  // namespace quern::app::serve::front
