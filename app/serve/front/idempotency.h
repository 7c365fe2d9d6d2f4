// A request that is sent again gets the answer of the first one: a client that lost its connection can ask
// once more without having the work done twice.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "app/serve/exchange.h"

namespace quern::app::serve::front {

class SharedAnswer;

struct IdempotencyOptions {
  std::chrono::milliseconds kept{60'000};   ///< from an answer's end on
  std::chrono::milliseconds grace{10'000};  ///< an answer that nobody waits for any more goes on so long
  std::size_t answers = 1024;               ///< more are made without being kept
  std::size_t bytesOfAnswer = 4UL * 1024 * 1024;  ///< what gets longer is not kept
};

/// Every function from any thread.
class Idempotency {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Idempotency(IdempotencyOptions options) : options_(options) {}

  enum class Kind {
    kNew,       ///< `responder` is what the handler gets
    kAttached,  ///< the answer is under way or here; nothing more is to be done
    kConflict,  ///< the key was used for another request
    kUnkept     ///< there is no place: go on as if there were no key
  };
  struct Verdict {
    Kind kind;
    std::shared_ptr<Responder> responder;
  };
  /// `key` must name the caller, too: keys of different callers are different keys. `follower` is who waits;
  /// it is kept where the kind is kNew or kAttached.
  Verdict attach(const std::string& key, const HttpRequest& request, std::shared_ptr<Responder> follower,
                 Clock::time_point now);
  /// Forgets what is too old and tells handlers that nobody waits any more; about once a second.
  void tick(Clock::time_point now);

 private:
  using Fingerprint = std::array<unsigned char, 32>;
  struct Entry {
    Fingerprint fingerprint;
    std::shared_ptr<SharedAnswer> answer;
  };
  static Fingerprint fingerprintOf(const HttpRequest& request);

  const IdempotencyOptions options_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
};

}  // namespace quern::app::serve::front
