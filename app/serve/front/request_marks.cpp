#include "app/serve/front/request_marks.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "engine/scheduler/request.h"

namespace quern::app::serve::front {
namespace {

constexpr std::size_t kLongestId = 128;

bool isLowerHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
bool isZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

}  // namespace

std::string requestId(std::string_view given) {
  const auto isFit = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  if (!given.empty() && given.size() <= kLongestId && std::all_of(given.begin(), given.end(), isFit)) {
    return std::string(given);
  }
  std::array<unsigned char, 12> random{};
  randombytes_buf(random.data(), random.size());
  std::array<char, 2 * random.size() + 1> text{};
  sodium_bin2hex(text.data(), text.size(), random.data(), random.size());
  return "req-" + std::string(text.data());
}

std::optional<Trace> parseTraceparent(std::string_view value) {
  // version "-" trace id "-" parent id "-" flags; later versions may add more behind another "-".
  if (value.size() < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  const std::string_view version = value.substr(0, 2);
  const std::string_view trace = value.substr(3, 32);
  const std::string_view parent = value.substr(36, 16);
  if (!isLowerHex(version) || !isLowerHex(trace) || !isLowerHex(parent) || !isLowerHex(value.substr(53, 2))) {
    return std::nullopt;
  }
  if (version == "ff" || isZero(trace) || isZero(parent)) return std::nullopt;
  if (value.size() > 55 && (version == "00" || value[55] != '-')) return std::nullopt;
  return Trace{std::string(trace), std::string(parent)};
}

engine::base::Result<std::chrono::milliseconds> parseTimeout(std::string_view value) {
  using engine::scheduler::kLongestTime;
  double seconds = 0;
  const auto parsed = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != value.data() + value.size() || !std::isfinite(seconds) ||
      seconds <= 0) {
    return engine::base::Error(
        engine::base::ErrorCode::kInvalidArgument,
        "\"X-Request-Timeout\" is a number of seconds greater than 0, like 30 or 2.5.");
  }
  const double longest = std::chrono::duration<double>(kLongestTime).count();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(std::min(seconds, longest)));
  return std::max(ms, std::chrono::milliseconds(1));
}

}  // namespace quern::app::serve::front
