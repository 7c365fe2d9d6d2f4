#include "app/serve/front/rate_limits.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace quern::app::serve::front {
namespace {

/// As OpenAI writes it: "1.250s".
std::string secondsText(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3fs", std::max(0.0, seconds));
  return text;
}

int wholeSeconds(double seconds) {
  return std::max(1, static_cast<int>(std::ceil(std::min(seconds, 3600.0))));
}

void addHeaders(std::vector<Header>& headers, TokenBucket& bucket, const char* what,
                TokenBucket::Clock::time_point now) {
  if (!bucket.hasLimit()) return;
  const std::string name = what;
  headers.push_back({"x-ratelimit-limit-" + name, std::to_string(bucket.perMinute())});
  headers.push_back({"x-ratelimit-remaining-" + name, std::to_string(bucket.remaining(now))});
  headers.push_back({"x-ratelimit-reset-" + name, secondsText(bucket.secondsUntilFull(now))});
}

}  // namespace

void TokenBucket::setRate(std::int64_t perMinute, Clock::time_point now) {
  if (perMinute == perMinute_) return;
  fill(now);
  const double used = static_cast<double>(perMinute_) - level_;
  perMinute_ = perMinute;
  level_ = static_cast<double>(perMinute) - used;
  filledAt_ = now;
}

void TokenBucket::fill(Clock::time_point now) {
  if (now <= filledAt_) return;
  const double seconds = std::chrono::duration<double>(now - filledAt_).count();
  level_ = std::min(static_cast<double>(perMinute_), level_ + seconds * static_cast<double>(perMinute_) / 60);
  filledAt_ = now;
}

bool TokenBucket::holds(double cost, Clock::time_point now) {
  if (!hasLimit()) return true;
  fill(now);
  return level_ >= cost;
}

void TokenBucket::spend(double cost, Clock::time_point now) {
  if (!hasLimit()) return;
  fill(now);
  level_ -= cost;
}

std::int64_t TokenBucket::remaining(Clock::time_point now) {
  fill(now);
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(level_));
}

double TokenBucket::secondsUntil(double cost, Clock::time_point now) {
  if (!hasLimit()) return 0;
  fill(now);
  return std::max(0.0, (cost - level_) * 60 / static_cast<double>(perMinute_));
}

void RateLimits::setOptions(RateOptions options) {
  const std::lock_guard lock(mutex_);
  options_ = options;
}

RateLimits::Verdict RateLimits::enter(const KeyFacts* key, const std::string& address, bool isLocal,
                                      Clock::time_point now) {
  Verdict verdict;
  const std::lock_guard lock(mutex_);
  if (inFlight_ >= options_.inFlight) {
    verdict.code = "overloaded";
    verdict.message = "The server is at work on as many requests as it can take. Try again in a moment.";
    return verdict;
  }
  const std::string counted = isLocal ? "" : address;
  verdict.code = "rate_limit_exceeded";
  if (!counted.empty()) {
    const auto found = addresses_.find(counted);
    if (found != addresses_.end() && found->second >= options_.inFlightOfAddress) {
      verdict.message = "Too many requests of your address are in work. Wait until one is answered.";
      return verdict;
    }
  }
  if (key != nullptr) {
    OfKey& of = keys_[key->id];
    of.requests.setRate(key->requestsPerMinute, now);
    of.tokens.setRate(key->tokensPerMinute, now);
    const bool isOverRequests = !of.requests.holds(1, now);
    // What a request costs is known when it is answered; until then one token must be left.
    const bool isOverTokens = !of.tokens.holds(1, now);
    const bool isOverConcurrent = key->concurrent > 0 && of.inFlight >= key->concurrent;
    if (!isOverRequests && !isOverTokens && !isOverConcurrent) of.requests.spend(1, now);
    addHeaders(verdict.headers, of.requests, "requests", now);
    addHeaders(verdict.headers, of.tokens, "tokens", now);
    if (isOverRequests || isOverTokens) {
      verdict.retryAfterSeconds =
          wholeSeconds(std::max(of.requests.secondsUntil(1, now), of.tokens.secondsUntil(1, now)));
      verdict.message = std::string("The key's limit of ") +
                        std::to_string(isOverRequests ? key->requestsPerMinute : key->tokensPerMinute) +
                        (isOverRequests ? " requests" : " tokens") + " per minute is reached. Try again in " +
                        std::to_string(verdict.retryAfterSeconds) + " s.";
      return verdict;
    }
    if (isOverConcurrent) {
      verdict.message = "The key's limit of " + std::to_string(key->concurrent) +
                        " requests at once is reached. Wait until one is answered.";
      return verdict;
    }
    ++of.inFlight;
  }
  ++inFlight_;
  if (!counted.empty()) ++addresses_[counted];
  verdict.place = std::make_unique<Place>(shared_from_this(), key != nullptr ? key->id : "", counted);
  return verdict;
}

void RateLimits::leave(const std::string& key, const std::string& address) {
  const std::lock_guard lock(mutex_);
  --inFlight_;
  if (!key.empty()) --keys_[key].inFlight;
  const auto found = address.empty() ? addresses_.end() : addresses_.find(address);
  if (found != addresses_.end() && --found->second == 0) addresses_.erase(found);
}

void RateLimits::charge(const std::string& keyId, std::int64_t tokens, Clock::time_point now) {
  if (keyId.empty() || tokens <= 0) return;
  const std::lock_guard lock(mutex_);
  const auto found = keys_.find(keyId);
  if (found != keys_.end()) found->second.tokens.spend(static_cast<double>(tokens), now);
}

int RateLimits::inFlight() const {
  const std::lock_guard lock(mutex_);
  return inFlight_;
}

}  // namespace quern::app::serve::front
