// Stop texts in a stream: what may still become one is held back, so that no part of it is ever shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern::engine::scheduler {

/// One stream's matcher. Not shared by threads.
class StopMatcher {
 public:
  /// Empty texts are ignored.
  explicit StopMatcher(std::vector<std::string> stops);

  /// Adds text and returns what can be shown for sure. After a match nothing more comes out.
  std::string push(std::string_view text);
  /// The stream has ended: what was held back cannot become a stop text any more.
  std::string finish();
  bool matched() const { return matched_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool matched_ = false;
};

}  // namespace quern::engine::scheduler
