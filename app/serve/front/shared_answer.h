// One answer for several who wait for it, some of whom come late. Private to this room.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/serve/exchange.h"

namespace quern::app::serve::front {

/// What one handler says, kept and passed on. Every function from any thread.
class SharedAnswer : public std::enable_shared_from_this<SharedAnswer> {
 public:
  using Clock = std::chrono::steady_clock;

  explicit SharedAnswer(std::size_t longest) : longest_(longest) {}

  /// All that was said so far, and what follows. False: too much was said to be kept, or it came to nothing.
  bool join(std::shared_ptr<Responder> follower, bool isFirst);

  // What the handler says.
  void reply(HttpResponse response);
  void begin(int status, std::vector<Header> headers);
  bool write(const std::string& bytes);
  void finish();
  void onGone(std::function<void()> gone);
  void note(const RequestFacts& facts);
  void abandoned();

  /// Of an answer that is worth repeating; empty while it is made.
  std::optional<Clock::time_point> finishedAt() const;
  /// It failed, or is too long: whoever asks again begins anew.
  bool isUseless() const;
  /// Tells the handler if nobody has waited since `before`.
  void giveUpIfAlone(Clock::time_point before);

 private:
  void followerGone(const Responder* follower);
  std::vector<std::shared_ptr<Responder>> followers() const;

  const std::size_t longest_;
  /// Held while something is passed on, so that all followers hear the same in the same order.
  mutable std::recursive_mutex order_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Responder>> followers_;
  std::optional<HttpResponse> whole_;
  bool hasBegun_ = false, isFinished_ = false, isUseless_ = false, isGone_ = false;
  int status_ = 0;
  std::vector<Header> headers_;
  std::string body_;
  RequestFacts facts_;
  std::function<void()> gone_;
  std::optional<Clock::time_point> aloneSince_;
  Clock::time_point finishedAt_;
};

/// The handler's pointer.
std::shared_ptr<Responder> makeSharedResponder(std::shared_ptr<SharedAnswer> answer);

}  // namespace quern::app::serve::front
