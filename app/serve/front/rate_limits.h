// How much a key, an address and all together may ask at once and per minute.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "app/serve/exchange.h"
#include "app/serve/front/key_store.h"

namespace quern::app::serve::front {

/// Holds at most what a minute allows, and fills up steadily. May go below zero where a cost is known only
/// afterwards. Not for several threads.
class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  /// `perMinute` 0: everything is allowed. A change keeps what has been used.
  void setRate(std::int64_t perMinute, Clock::time_point now);
  bool hasLimit() const { return perMinute_ > 0; }
  /// Whether `cost` is there now.
  bool holds(double cost, Clock::time_point now);
  void spend(double cost, Clock::time_point now);
  std::int64_t perMinute() const { return perMinute_; }
  std::int64_t remaining(Clock::time_point now);
  /// Until `cost` is there.
  double secondsUntil(double cost, Clock::time_point now);
  /// Until it is full.
  double secondsUntilFull(Clock::time_point now) {
    return secondsUntil(static_cast<double>(perMinute_), now);
  }

 private:
  void fill(Clock::time_point now);
  std::int64_t perMinute_ = 0;
  double level_ = 0;
  Clock::time_point filledAt_;
};

struct RateOptions {
  int inFlight = 1024;          ///< requests in work, of everybody
  int inFlightOfAddress = 256;  ///< not for this machine's own programs
};

/// Every function from any thread.
class RateLimits : public std::enable_shared_from_this<RateLimits> {
 public:
  using Clock = TokenBucket::Clock;

  explicit RateLimits(RateOptions options) : options_(options) {}

  /// For requests from now on.
  void setOptions(RateOptions options);

  /// A place among those in work; given back by its destructor.
  class Place {
   public:
    Place(std::shared_ptr<RateLimits> limits, std::string key, std::string address)
        : limits_(std::move(limits)), key_(std::move(key)), address_(std::move(address)) {}
    ~Place() { limits_->leave(key_, address_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::shared_ptr<RateLimits> limits_;
    std::string key_, address_;
  };

  struct Verdict {
    std::unique_ptr<Place> place;  ///< null: refused
    std::string message;           ///< why
    std::string code;              ///< "rate_limit_exceeded", "overloaded"
    int status = 429;
    int retryAfterSeconds = 1;
    std::vector<Header> headers;  ///< x-ratelimit-…, also where it is let in
  };
  /// `key` null: nobody's; only addresses and all together count. `isLocal`: the address is this machine's.
  Verdict enter(const KeyFacts* key, const std::string& address, bool isLocal, Clock::time_point now);
  /// What an answer cost, when it is known.
  void charge(const std::string& keyId, std::int64_t tokens, Clock::time_point now);
  int inFlight() const;

 private:
  struct OfKey {
    TokenBucket requests, tokens;
    std::int64_t inFlight = 0;
  };
  void leave(const std::string& key, const std::string& address);

  mutable std::mutex mutex_;
  RateOptions options_;
  int inFlight_ = 0;
  std::unordered_map<std::string, OfKey> keys_;
  std::unordered_map<std::string, int> addresses_;
};

}  // namespace quern::app::serve::front
