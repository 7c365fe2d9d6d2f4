#include "ui/bridge/mailbox.h"

#include <algorithm>
#include <utility>

namespace quern::ui {
namespace {

// 30 pictures a second read as a flow; faster than 16 ms is more than a 60 Hz screen shows, slower than 50 ms
// is seen as steps.
constexpr int kFastestMs = 16;
constexpr int kNormalMs = 33;
constexpr int kSlowestMs = 50;
// A timer that fires this much late had a busy window in front of it.
constexpr int kLateMs = 12;

}  // namespace

/// The engine thread may outlive the window, so that it rings through this and never touches the room itself.
struct Mailbox::Bell {
  std::atomic<bool> rung{false};  ///< the room is awake or was told to wake
  std::mutex mutex;
  MailRoom* room = nullptr;

  void ring() {
    if (rung.exchange(true)) return;
    const std::lock_guard lock(mutex);
    if (room != nullptr)
      QMetaObject::invokeMethod(
          room, [this] { room->onBell(); }, Qt::QueuedConnection);
  }
};

void Mailbox::onEvent(const engine::scheduler::Event& event) {
  using Kind = engine::scheduler::Event::Kind;
  {
    const std::lock_guard lock(mutex_);
    any_ = true;
    if (event.kind == Kind::kPromptProgress) {
      mail_.promptDone = event.promptDone;
      mail_.promptTotal = event.promptTotal;
    } else if (event.kind == Kind::kTokens || event.kind == Kind::kFinished) {
      mail_.text += event.text;
      mail_.usage = event.usage;
      mail_.timings = event.timings;
    }
    if (event.kind == Kind::kFinished) {
      mail_.finished = true;
      mail_.reason = event.reason;
      mail_.error = event.error;
    }
  }
  bell_->ring();
}

std::optional<Mail> Mailbox::take() {
  Mail taken;
  const std::lock_guard lock(mutex_);
  if (!any_) return std::nullopt;
  any_ = false;
  std::swap(taken, mail_);
  // Counts so far stay true when the next event says nothing about them.
  mail_.usage = taken.usage;
  mail_.timings = taken.timings;
  mail_.promptDone = taken.promptDone;
  mail_.promptTotal = taken.promptTotal;
  return taken;
}

MailRoom::MailRoom(QObject* parent)
    : QObject(parent), bell_(std::make_shared<Mailbox::Bell>()), intervalMs_(kNormalMs) {
  bell_->room = this;
  timer_.setSingleShot(true);
  timer_.setTimerType(Qt::PreciseTimer);
  connect(&timer_, &QTimer::timeout, this, &MailRoom::onTimer);
}

MailRoom::~MailRoom() {
  const std::lock_guard lock(bell_->mutex);
  bell_->room = nullptr;
}

std::shared_ptr<Mailbox> MailRoom::open() { return std::shared_ptr<Mailbox>(new Mailbox(bell_)); }

void MailRoom::onBell() {
  if (!timer_.isActive()) run();
}

void MailRoom::onTimer() {
  const qint64 late = sinceTimer_.elapsed() - intervalMs_;
  if (late > kLateMs) {
    intervalMs_ = std::min(intervalMs_ + 8, kSlowestMs);
  } else {
    intervalMs_ = std::max(intervalMs_ - 1, kNormalMs);
  }
  run();
}

void MailRoom::run() {
  QElapsedTimer work;
  work.start();
  arrived_ = false;
  Q_EMIT deliver();
  if (!arrived_) {
    // Asleep from here on; a letter that came between the look and this line rings the bell again itself, one
    // that came before it is found by the second look.
    bell_->rung.store(false);
    Q_EMIT deliver();
    if (!arrived_ || bell_->rung.exchange(true)) return;
  }
  if (work.elapsed() > intervalMs_ / 2) intervalMs_ = kSlowestMs;
  static_assert(kFastestMs <= kNormalMs && kNormalMs <= kSlowestMs);
  sinceTimer_.start();
  timer_.start(intervalMs_);
}

}  // namespace quern::ui
