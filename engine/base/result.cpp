#include "engine/base/result.h"

namespace quern::engine::base {

std::string_view errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kMalformed:
      return "malformed";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kOutOfMemory:
      return "out_of_memory";
    case ErrorCode::kIo:
      return "io";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kBusy:
      return "busy";
    case ErrorCode::kLimit:
      return "limit";
    case ErrorCode::kDevice:
      return "device";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

Error Error::wrapped(std::string sentence) const {
  std::vector<std::string> chain;
  chain.reserve(chain_.size() + 1);
  chain.push_back(message_);
  chain.insert(chain.end(), chain_.begin(), chain_.end());
  return {code_, std::move(sentence), std::move(chain)};
}

Error Error::with(std::string detail) && {
  chain_.push_back(std::move(detail));
  return std::move(*this);
}

std::string Error::describe() const {
  std::string text = message_;
  for (const std::string& cause : chain_) {
    text += "\n  ";
    text += cause;
  }
  return text;
}

}  // namespace quern::engine::base
