// Where the engine's events wait for the UI thread: appended under a mutex, handed over together by one
// queued call per 16–50 ms.
#pragma once

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler/engine.h"

namespace quern::ui {

class MailRoom;

/// All that arrived for one request since it was last collected.
struct Mail {
  std::string text;
  std::int32_t promptDone = 0;
  std::int32_t promptTotal = 0;
  engine::scheduler::Usage usage;
  engine::scheduler::Timings timings;
  bool finished = false;
  engine::scheduler::FinishReason reason = engine::scheduler::FinishReason::kEndOfTurn;
  std::optional<engine::base::Error> error;
};

/// The sink of one request. The engine thread holds the mutex for one append and never waits longer than the
/// UI thread needs to move a string out.
class Mailbox : public engine::scheduler::EventSink {
 public:
  void onEvent(const engine::scheduler::Event& event) override;
  /// UI thread: takes what is there; nullopt when nothing arrived.
  std::optional<Mail> take();

 private:
  friend class MailRoom;
  struct Bell;  ///< wakes the room while it exists
  explicit Mailbox(std::shared_ptr<Bell> bell) : bell_(std::move(bell)) {}

  std::shared_ptr<Bell> bell_;
  std::mutex mutex_;
  Mail mail_;
  bool any_ = false;
};

/// UI thread only. Its signal means: look into the mailboxes. Between two signals lie at least 16 ms; 33 ms
/// normally, up to 50 ms when the window is busy (painting took most of the last interval).
class MailRoom : public QObject {
  Q_OBJECT
 public:
  explicit MailRoom(QObject* parent = nullptr);
  ~MailRoom() override;
  std::shared_ptr<Mailbox> open();
  void arrived() { arrived_ = true; }  ///< said by who found mail while `deliver` is emitted

 Q_SIGNALS:
  /// Handlers take() from every mailbox they care for, and call arrived() when there was something.
  void deliver();

 private:
  friend class Mailbox;
  void onBell();
  void onTimer();
  void run();

  std::shared_ptr<Mailbox::Bell> bell_;
  QTimer timer_;
  QElapsedTimer sinceTimer_;
  int intervalMs_;
  bool arrived_ = false;
};

}  // namespace quern::ui
