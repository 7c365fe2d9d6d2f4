#include "engine/sampling/history.h"

#include <algorithm>
#include <cfloat>
#include <limits>
#include <utility>

namespace quern::engine::sampling {
namespace {

constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max() / 4;

std::size_t windowSize(std::int32_t window) { return window < 0 ? kAll : static_cast<std::size_t>(window); }

}  // namespace

History::History(const Parameters& parameters, std::int32_t vocabularySize,
                 std::vector<std::vector<std::int32_t>> breakers)
    : parameters_(parameters),
      vocabularySize_(vocabularySize),
      breakers_(std::move(breakers)),
      counting_(parameters.penaltyWindow != 0 &&
                (parameters.repeatPenalty != 1.0F || parameters.frequencyPenalty != 0.0F ||
                 parameters.presencePenalty != 0.0F)),
      repeats_(parameters.dryWindow != 0 && parameters.dryMultiplier > 0.0F),
      needed_(std::max(counting_ ? windowSize(parameters.penaltyWindow) : 0,
                       repeats_ ? windowSize(parameters.dryWindow) : 0)) {
  std::erase_if(breakers_, [](const auto& breaker) { return breaker.empty(); });
  const auto vocabulary = static_cast<std::size_t>(vocabularySize);
  if (counting_) {
    slot_.assign(vocabulary, -1);
    seen_.reserve(std::min(windowSize(parameters.penaltyWindow) + 1, vocabulary));
  }
  if (repeats_) {
    longest_.assign(vocabulary, 0);
    found_.reserve(std::min(windowSize(parameters.dryWindow), vocabulary));
  }
  tokens_.reserve(std::min<std::size_t>(2 * needed_ + 2, 16384));
  if (repeats_) matches_.reserve(tokens_.capacity());
}

void History::follow(const History& other) {
  // In place: a follower that has the room once allocates nothing.
  tokens_.assign(other.tokens_.begin(), other.tokens_.end());
  slot_ = other.slot_;
  seen_ = other.seen_;
}

void History::countUp(std::int32_t token) {
  std::int32_t& slot = slot_[static_cast<std::size_t>(token)];
  if (slot < 0) {
    slot = static_cast<std::int32_t>(seen_.size());
    seen_.push_back({token, 0});
  }
  ++seen_[static_cast<std::size_t>(slot)].count;
}

void History::countDown(std::int32_t token) {
  const std::int32_t slot = std::exchange(slot_[static_cast<std::size_t>(token)], -1);
  Seen& entry = seen_[static_cast<std::size_t>(slot)];
  if (--entry.count > 0) {
    slot_[static_cast<std::size_t>(token)] = slot;
    return;
  }
  entry = seen_.back();
  seen_.pop_back();
  if (entry.token != token) slot_[static_cast<std::size_t>(entry.token)] = slot;
}

void History::accept(std::int32_t token) {
  if (needed_ == 0 || token < 0 || token >= vocabularySize_) return;
  if (tokens_.size() >= 2 * needed_ + 2) {
    tokens_.erase(tokens_.begin(), tokens_.end() - static_cast<std::ptrdiff_t>(needed_));
  }
  tokens_.push_back(token);
  if (!counting_) return;
  countUp(token);
  const std::size_t window = windowSize(parameters_.penaltyWindow);
  if (tokens_.size() > window) countDown(fromEnd(window));
}

std::int32_t History::countOf(std::int32_t token) const {
  if (!counting_) return 0;
  const std::int32_t slot = slot_[static_cast<std::size_t>(token)];
  return slot < 0 ? 0 : seen_[static_cast<std::size_t>(slot)].count;
}

float History::penalized(float logit, std::int32_t count) const {
  logit = logit > 0 ? logit / parameters_.repeatPenalty : logit * parameters_.repeatPenalty;
  return logit - static_cast<float>(count) * parameters_.frequencyPenalty - parameters_.presencePenalty;
}

/// How many of the newest tokens come after the newest breaker within the window.
std::size_t History::tokensSinceBreaker(std::size_t window) const {
  for (std::size_t after = 0; after < window; ++after) {
    for (const auto& breaker : breakers_) {
      if (breaker.size() > tokens_.size() - after) continue;
      const auto end = tokens_.end() - static_cast<std::ptrdiff_t>(after);
      if (std::equal(breaker.begin(), breaker.end(), end - static_cast<std::ptrdiff_t>(breaker.size()))) {
        return after;
      }
    }
  }
  return window;
}

const std::vector<History::Repeat>& History::findRepeats() {
  found_.clear();
  const std::size_t window = std::min(tokens_.size(), windowSize(parameters_.dryWindow));
  const auto allowed = static_cast<std::size_t>(parameters_.dryAllowedLength);
  const std::size_t limit = tokensSinceBreaker(window);
  if (limit < allowed || window < 2) return found_;

  // Read backwards, the end of the text is a prefix, and the Z algorithm gives for every place the length of
  // the match with it, in linear time. [left, right) is the match that reaches farthest.
  matches_.assign(window, 0);
  std::size_t left = 0;
  std::size_t right = 0;
  for (std::size_t i = 1; i < window; ++i) {
    std::size_t length =
        i < right ? std::min(right - i, static_cast<std::size_t>(matches_[i - left])) : std::size_t{0};
    while (i + length < window && fromEnd(length) == fromEnd(i + length)) ++length;
    matches_[i] = static_cast<std::int32_t>(length);
    if (i + length > right) {
      left = i;
      right = i + length;
    }
    const std::size_t counted = std::min(length, limit);
    if (counted < allowed) continue;
    // The token that followed there would make the repeat longer here.
    const std::int32_t token = fromEnd(i - 1);
    std::int32_t& longest = longest_[static_cast<std::size_t>(token)];
    if (longest == 0) found_.push_back({token, 0});
    longest = std::max(longest, static_cast<std::int32_t>(counted));
  }
  std::erase_if(found_, [&](Repeat& repeat) {
    repeat.length = std::exchange(longest_[static_cast<std::size_t>(repeat.token)], 0);
    return std::any_of(breakers_.begin(), breakers_.end(), [&](const auto& breaker) {
      return breaker.size() == 1 && breaker.front() == repeat.token;
    });
  });
  return found_;
}

float History::dryPenalty(std::int32_t length) const {
  double power = 1.0;
  double square = parameters_.dryBase;
  for (auto n = static_cast<std::uint32_t>(length - parameters_.dryAllowedLength); n > 0; n >>= 1) {
    if ((n & 1U) != 0) power *= square;
    square *= square;
  }
  // A long repeat may pass what a float holds; a penalty that large bans the token.
  return static_cast<float>(std::min<double>(parameters_.dryMultiplier * power, FLT_MAX));
}

}  // namespace quern::engine::sampling
