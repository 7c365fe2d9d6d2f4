#include "app/serve/http/chunked_body.h"

#include <algorithm>
#include <charconv>

namespace quern::app::serve::http {
namespace {

/// Of a line that says how long the next chunk is, and of all trailers together.
constexpr std::size_t kLineBytes = 4096;

bool isText(std::string_view line) {
  return std::none_of(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
  });
}

enum class LineState { kWhole, kUnfinished, kWrong };

/// Takes one line, which ends with CR LF and holds nothing but text, from the front of `bytes`.
LineState takeLine(std::string_view& bytes, std::string_view& line) {
  const std::size_t end = bytes.find("\r\n");
  std::string_view known = bytes.substr(0, end);
  const bool isWhole = end != std::string_view::npos;
  if (!isWhole && known.ends_with('\r')) known.remove_suffix(1);
  if (known.size() > kLineBytes || !isText(known)) return LineState::kWrong;
  if (!isWhole) return LineState::kUnfinished;
  line = known;
  bytes.remove_prefix(end + 2);
  return LineState::kWhole;
}

}  // namespace

ChunkedBody::Result ChunkedBody::read(std::string_view& bytes, std::string& body, std::size_t limit) {
  while (phase_ != Phase::kDone) {
    if (phase_ == Phase::kData) {
      const std::string_view data = bytes.substr(0, left_);
      body.append(data);
      bytes.remove_prefix(data.size());
      left_ -= data.size();
      if (left_ > 0) return Result::kNeedMore;
      phase_ = Phase::kDataEnd;
    }
    std::string_view line;
    switch (takeLine(bytes, line)) {
      case LineState::kWrong:
        return Result::kMalformed;
      case LineState::kUnfinished:
        // Told at once, and not when the line ends: more than one byte behind a chunk is no line's beginning.
        return phase_ == Phase::kDataEnd && !bytes.empty() && bytes != "\r" ? Result::kMalformed
                                                                            : Result::kNeedMore;
      case LineState::kWhole:
        break;
    }
    if (phase_ == Phase::kSize) {
      const Result result = readSize(line, body, limit);
      if (result != Result::kNeedMore) return result;
    } else if (phase_ == Phase::kDataEnd) {
      if (!line.empty()) return Result::kMalformed;
      phase_ = Phase::kSize;
    } else if (line.empty()) {
      phase_ = Phase::kDone;
    } else {
      trailers_ += line.size() + 2;
      const std::size_t colon = line.find(':');
      if (trailers_ > kLineBytes || colon == 0 || colon == std::string_view::npos) return Result::kMalformed;
    }
  }
  return Result::kDone;
}

ChunkedBody::Result ChunkedBody::readSize(std::string_view line, const std::string& body, std::size_t limit) {
  std::uint64_t size = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), size, 16);
  if (error == std::errc::result_out_of_range) return Result::kTooLong;
  if (error != std::errc()) return Result::kMalformed;
  std::string_view extension = line.substr(static_cast<std::size_t>(end - line.data()));
  extension.remove_prefix(std::min(extension.find_first_not_of(" \t"), extension.size()));
  if (!extension.empty() && extension.front() != ';') return Result::kMalformed;
  if (size > limit - std::min(limit, body.size())) return Result::kTooLong;
  left_ = static_cast<std::size_t>(size);
  phase_ = size > 0 ? Phase::kData : Phase::kTrailers;
  return Result::kNeedMore;
}

}  // namespace quern::app::serve::http
