// One answer on its way: written by any thread, taken by the connection. This is where threads meet.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "app/serve/exchange.h"

namespace quern::app::serve::http {

/// How the answer must be framed for the request that it answers.
struct AnswerForm {
  bool isHead = false;    ///< HEAD: headers only
  bool isHttp10 = false;  ///< bodies in pieces end with the connection
  bool keepAlive = true;
  std::size_t outgoingBytes = 1024 * 1024;  ///< of a body in pieces that may wait for the other side
};

/// Bytes and fate of one answer. Every function from any thread. `wake` is called without a lock whenever
/// there is something for the connection to look at, and not again before take().
class ExchangeState {
 public:
  ExchangeState(AnswerForm form, std::function<void()> wake);

  // For the handler's side.
  void reply(HttpResponse response);
  void begin(int status, std::vector<Header> headers);
  bool write(std::string bytes);
  void finish();
  void onGone(std::function<void()> gone);
  /// The handler's last pointer is gone.
  void abandoned();

  // For the connection's side.
  struct Taken {
    std::string bytes;
    bool isFinished = false;  ///< nothing more comes
    bool keepAlive = true;    ///< the connection may serve another request
  };
  Taken take();
  void sent(std::size_t bytes);
  /// Nobody is there any more: tells the handler, once, and takes no more bytes.
  void markGone();
  bool hasBegun() const;
  bool isFinished() const;
  bool isOverrun() const;  ///< the other side is too slow, or the handler gave up in the middle: cut
  /// Answers for a handler that has not in time, and tells it that nobody waits any more; a body that has
  /// begun is cut.
  void expire(HttpResponse response);
  /// The connection shall end with this answer; what is not yet framed says so.
  void endConnection();

 private:
  void wakeUnlocked(std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  AnswerForm form_;
  std::function<void()> wake_;
  std::function<void()> gone_;
  std::string out_;
  std::size_t unsent_ = 0;  ///< in out_ and in the connection's hands
  bool isAwake_ = false;    ///< wake_ was called and take() has not come
  bool hasBegun_ = false;
  bool isFinished_ = false;
  bool isGone_ = false;
  bool isOverrun_ = false;
  bool isChunked_ = false;
};

/// The handler's pointer: when the last copy goes before the answer is whole, the request ends.
std::shared_ptr<Responder> makeResponder(std::shared_ptr<ExchangeState> state);

}  // namespace quern::app::serve::http
