#include "app/serve/front/shared_answer.h"

#include <algorithm>
#include <utility>

namespace quern::app::serve::front {
namespace {

class SharedResponder final : public Responder {
 public:
  explicit SharedResponder(std::shared_ptr<SharedAnswer> answer) : answer_(std::move(answer)) {}
  ~SharedResponder() override { answer_->abandoned(); }
  SharedResponder(const SharedResponder&) = delete;
  SharedResponder& operator=(const SharedResponder&) = delete;

  void reply(HttpResponse response) override { answer_->reply(std::move(response)); }
  void begin(int status, std::vector<Header> headers) override { answer_->begin(status, std::move(headers)); }
  bool write(std::string bytes) override { return answer_->write(bytes); }
  void finish() override { answer_->finish(); }
  void onGone(std::function<void()> gone) override { answer_->onGone(std::move(gone)); }
  void note(const RequestFacts& facts) override { answer_->note(facts); }

 private:
  std::shared_ptr<SharedAnswer> answer_;
};

/// What another attempt may do better is no answer to keep.
bool isWorthKeeping(int status) { return status < 500 && status != 408 && status != 429; }

}  // namespace

std::vector<std::shared_ptr<Responder>> SharedAnswer::followers() const {
  const std::lock_guard lock(mutex_);
  return followers_;
}

bool SharedAnswer::join(std::shared_ptr<Responder> follower, bool isFirst) {
  const std::lock_guard order(order_);
  std::optional<HttpResponse> whole;
  std::vector<Header> headers;
  std::string body;
  int status = 0;
  bool hasBegun = false;
  bool isFinished = false;
  {
    const std::lock_guard lock(mutex_);
    if (isUseless_ || isGone_) return false;
    whole = whole_;
    hasBegun = hasBegun_;
    isFinished = isFinished_;
    headers = headers_;
    body = body_;
    status = status_;
    if (!isFinished_) followers_.push_back(follower);
    aloneSince_.reset();
  }
  const Header replayed{"Idempotent-Replayed", "true"};
  if (whole) {
    if (!isFirst) whole->headers.push_back(replayed);
    follower->reply(std::move(*whole));
    return true;
  }
  if (hasBegun) {
    headers.push_back(replayed);
    follower->begin(status, std::move(headers));
    follower->write(std::move(body));
    if (isFinished) follower->finish();
  }
  if (!isFinished) {
    const Responder* raw = follower.get();
    follower->onGone([weak = weak_from_this(), raw] {
      if (const auto self = weak.lock()) self->followerGone(raw);
    });
  }
  return true;
}

void SharedAnswer::followerGone(const Responder* follower) {
  std::shared_ptr<Responder> removed;
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(followers_.begin(), followers_.end(),
                                  [&](const auto& pointer) { return pointer.get() == follower; });
  if (found == followers_.end()) return;
  removed = std::move(*found);
  followers_.erase(found);
  if (followers_.empty() && !isFinished_) aloneSince_ = Clock::now();
}

void SharedAnswer::reply(HttpResponse response) {
  const std::lock_guard order(order_);
  std::vector<std::shared_ptr<Responder>> waiting;
  std::function<void()> unneeded;
  {
    const std::lock_guard lock(mutex_);
    if (hasBegun_ || isFinished_) return;
    isFinished_ = true;
    finishedAt_ = Clock::now();
    isUseless_ = !isWorthKeeping(response.status) || response.body.size() > longest_;
    if (!isUseless_) whole_ = response;
    waiting = std::exchange(followers_, {});
    unneeded.swap(gone_);
  }
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    HttpResponse copy = response;
    if (i > 0) copy.headers.push_back({"Idempotent-Replayed", "true"});
    waiting[i]->reply(std::move(copy));
  }
}

void SharedAnswer::begin(int status, std::vector<Header> headers) {
  const std::lock_guard order(order_);
  {
    const std::lock_guard lock(mutex_);
    if (hasBegun_ || isFinished_) return;
    hasBegun_ = true;
    status_ = status;
    headers_ = headers;
    isUseless_ = !isWorthKeeping(status);
  }
  for (const auto& follower : followers()) follower->begin(status, headers);
}

bool SharedAnswer::write(const std::string& bytes) {
  const std::lock_guard order(order_);
  bool isAlone = false;
  {
    const std::lock_guard lock(mutex_);
    if (!hasBegun_ || isFinished_ || isGone_) return false;
    if (!isUseless_ && body_.size() + bytes.size() > longest_) {
      isUseless_ = true;
      body_ = {};
    }
    if (!isUseless_) body_ += bytes;
  }
  for (const auto& follower : followers()) {
    if (!follower->write(bytes)) followerGone(follower.get());
  }
  {
    const std::lock_guard lock(mutex_);
    // Nobody can come back for what is not kept.
    isAlone = followers_.empty() && isUseless_;
  }
  return !isAlone;
}

void SharedAnswer::finish() {
  const std::lock_guard order(order_);
  std::vector<std::shared_ptr<Responder>> waiting;
  std::function<void()> unneeded;
  {
    const std::lock_guard lock(mutex_);
    if (!hasBegun_ || isFinished_) return;
    isFinished_ = true;
    finishedAt_ = Clock::now();
    waiting = std::exchange(followers_, {});
    unneeded.swap(gone_);
  }
  for (const auto& follower : waiting) follower->finish();
}

void SharedAnswer::onGone(std::function<void()> gone) {
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

void SharedAnswer::note(const RequestFacts& facts) {
  std::shared_ptr<Responder> first;
  {
    const std::lock_guard lock(mutex_);
    // The work was done once, and only the first pays for it.
    if (!followers_.empty()) first = followers_.front();
  }
  if (first) first->note(facts);
}

void SharedAnswer::abandoned() {
  const std::lock_guard order(order_);
  std::vector<std::shared_ptr<Responder>> waiting;
  const std::lock_guard lock(mutex_);
  if (isFinished_) return;
  isFinished_ = true;
  isUseless_ = true;
  finishedAt_ = Clock::now();
  // Their own destructors say how it ended.
  waiting = std::exchange(followers_, {});
}

std::optional<SharedAnswer::Clock::time_point> SharedAnswer::finishedAt() const {
  const std::lock_guard lock(mutex_);
  if (!isFinished_) return std::nullopt;
  return finishedAt_;
}

bool SharedAnswer::isUseless() const {
  const std::lock_guard lock(mutex_);
  return isUseless_ || isGone_;
}

void SharedAnswer::giveUpIfAlone(Clock::time_point before) {
  std::function<void()> gone;
  {
    const std::lock_guard lock(mutex_);
    if (isFinished_ || isGone_ || !followers_.empty() || !aloneSince_ || *aloneSince_ > before) return;
    isGone_ = true;
    gone.swap(gone_);
  }
  if (gone) gone();
}

std::shared_ptr<Responder> makeSharedResponder(std::shared_ptr<SharedAnswer> answer) {
  return std::make_shared<SharedResponder>(std::move(answer));
}

}  // namespace quern::app::serve::front
