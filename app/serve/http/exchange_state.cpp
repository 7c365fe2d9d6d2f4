#include "app/serve/http/exchange_state.h"

#include <cstdio>
#include <utility>

#include "app/serve/http/error_response.h"
#include "app/serve/http/response_head.h"

namespace quern::app::serve::http {
namespace {

bool hasNoBody(int status) { return status < 200 || status == 204 || status == 304; }

class HandlersResponder final : public Responder {
 public:
  explicit HandlersResponder(std::shared_ptr<ExchangeState> state) : state_(std::move(state)) {}
  ~HandlersResponder() override { state_->abandoned(); }
  HandlersResponder(const HandlersResponder&) = delete;
  HandlersResponder& operator=(const HandlersResponder&) = delete;

  void reply(HttpResponse response) override { state_->reply(std::move(response)); }
  void begin(int status, std::vector<Header> headers) override { state_->begin(status, std::move(headers)); }
  bool write(std::string bytes) override { return state_->write(std::move(bytes)); }
  void finish() override { state_->finish(); }
  void onGone(std::function<void()> gone) override { state_->onGone(std::move(gone)); }
  /// Connections have no use for them; the front door listens before they come here.
  void note(const RequestFacts&) override {}

 private:
  std::shared_ptr<ExchangeState> state_;
};

}  // namespace

ExchangeState::ExchangeState(AnswerForm form, std::function<void()> wake)
    : form_(form), wake_(std::move(wake)) {}

void ExchangeState::wakeUnlocked(std::unique_lock<std::mutex>& lock) {
  // A connection that is busy writing has not taken what it was woken for: of an overrun it must hear anyway.
  if ((isAwake_ && !isOverrun_) || isGone_) return;
  isAwake_ = true;
  // wake_ is only let go by markGone(), which comes after isGone_.
  const auto wake = wake_;
  lock.unlock();
  if (wake) wake();
}

void ExchangeState::reply(HttpResponse response) {
  // Before the lock: what goes with it may hold the last pointer to a responder of this answer.
  std::function<void()> unneeded;
  std::unique_lock lock(mutex_);
  if (isGone_ || hasBegun_ || isFinished_) return;
  hasBegun_ = true;
  isFinished_ = true;
  unneeded.swap(gone_);
  const bool isEmpty = hasNoBody(response.status);
  out_ = responseHead(response.status, response.headers, isEmpty ? BodyFraming::kNone : BodyFraming::kLength,
                      response.body.size(), form_.keepAlive);
  if (!isEmpty && !form_.isHead) out_ += response.body;
  unsent_ = out_.size();
  wakeUnlocked(lock);
}

void ExchangeState::begin(int status, std::vector<Header> headers) {
  std::unique_lock lock(mutex_);
  if (isGone_ || hasBegun_ || isFinished_) return;
  hasBegun_ = true;
  isChunked_ = !form_.isHttp10;
  if (form_.isHttp10) form_.keepAlive = false;
  out_ = responseHead(status, headers, isChunked_ ? BodyFraming::kChunked : BodyFraming::kClose, 0,
                      form_.keepAlive);
  unsent_ = out_.size();
  wakeUnlocked(lock);
}

bool ExchangeState::write(std::string bytes) {
  std::unique_lock lock(mutex_);
  if (isGone_ || isOverrun_) return false;
  if (!hasBegun_ || isFinished_) return false;
  // An empty chunk would end the body.
  if (bytes.empty() || form_.isHead) return true;
  const std::size_t before = out_.size();
  if (isChunked_) {
    char line[24];
    std::snprintf(line, sizeof line, "%zx\r\n", bytes.size());
    out_ += line;
    out_ += bytes;
    out_ += "\r\n";
  } else {
    out_ += bytes;
  }
  unsent_ += out_.size() - before;
  if (unsent_ > form_.outgoingBytes) {
    isOverrun_ = true;
    out_ = {};
  }
  const bool isThere = !isOverrun_;
  wakeUnlocked(lock);
  return isThere;
}

void ExchangeState::finish() {
  std::function<void()> unneeded;
  std::unique_lock lock(mutex_);
  if (isGone_ || !hasBegun_ || isFinished_) return;
  isFinished_ = true;
  unneeded.swap(gone_);
  if (isChunked_ && !form_.isHead) {
    out_ += "0\r\n\r\n";
    unsent_ += 5;
  }
  wakeUnlocked(lock);
}

void ExchangeState::onGone(std::function<void()> gone) {
  {
    const std::lock_guard lock(mutex_);
    if (isFinished_) return;
    if (!isGone_) {
      gone_.swap(gone);
      return;
    }
  }
  if (gone) gone();
}

void ExchangeState::abandoned() {
  {
    const std::lock_guard lock(mutex_);
    if (isGone_ || isFinished_) return;
  }
  if (!hasBegun()) {
    reply(errorResponse(500, "", "internal_error", "The request ended without an answer."));
    return;
  }
  std::unique_lock lock(mutex_);
  if (isGone_ || isFinished_) return;
  // Without the last chunk, or the connection's end: the other side must not take a part for the whole.
  isOverrun_ = true;
  wakeUnlocked(lock);
}

ExchangeState::Taken ExchangeState::take() {
  const std::lock_guard lock(mutex_);
  isAwake_ = false;
  return {std::exchange(out_, {}), isFinished_, form_.keepAlive};
}

void ExchangeState::sent(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  unsent_ -= bytes;
}

void ExchangeState::markGone() {
  std::function<void()> gone;
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    if (isGone_) return;
    isGone_ = true;
    out_ = {};
    gone = std::exchange(gone_, nullptr);
    wake = std::exchange(wake_, nullptr);
  }
  if (gone) gone();
}

bool ExchangeState::hasBegun() const {
  const std::lock_guard lock(mutex_);
  return hasBegun_;
}

bool ExchangeState::isFinished() const {
  const std::lock_guard lock(mutex_);
  return isFinished_;
}

bool ExchangeState::isOverrun() const {
  const std::lock_guard lock(mutex_);
  return isOverrun_;
}

void ExchangeState::expire(HttpResponse response) {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    if (isGone_ || isFinished_) return;
    gone = std::exchange(gone_, nullptr);
  }
  reply(std::move(response));
  {
    std::unique_lock lock(mutex_);
    if (!isFinished_) {
      isOverrun_ = true;
      wakeUnlocked(lock);
    }
  }
  if (gone) gone();
}

void ExchangeState::endConnection() {
  const std::lock_guard lock(mutex_);
  form_.keepAlive = false;
}

std::shared_ptr<Responder> makeResponder(std::shared_ptr<ExchangeState> state) {
  return std::make_shared<HandlersResponder>(std::move(state));
}

}  // namespace quern::app::serve::http
