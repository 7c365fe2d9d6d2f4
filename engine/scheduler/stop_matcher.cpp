#include "engine/scheduler/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace quern::engine::scheduler {

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return {};
  held_ += text;
  // The one that is complete first counts, whatever pieces the text comes in; of those that are complete at
  // the same place, the longest.
  std::size_t firstEnd = std::string::npos;
  std::size_t begin = 0;
  for (const std::string& stop : stops_) {
    const std::size_t at = held_.find(stop);
    if (at == std::string::npos) continue;
    if (at + stop.size() > firstEnd || (at + stop.size() == firstEnd && at > begin)) continue;
    firstEnd = at + stop.size();
    begin = at;
  }
  if (firstEnd != std::string::npos) {
    matched_ = true;
    held_.resize(begin);
    return std::exchange(held_, {});
  }
  // Keep the longest end of the text that is the beginning of some stop text.
  std::size_t keep = 0;
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(stop.size() - 1, held_.size()); length > keep; --length) {
      if (std::string_view(held_).substr(held_.size() - length) == std::string_view(stop).substr(0, length)) {
        keep = length;
        break;
      }
    }
  }
  std::string safe = held_.substr(0, held_.size() - keep);
  held_.erase(0, held_.size() - keep);
  return safe;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace quern::engine::scheduler
