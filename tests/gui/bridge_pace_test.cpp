// How long the bridge alone holds the UI thread: the share of it in the window's figure (longest stall ≤ 32
// ms, p99 ≤ 16 ms while ≥ 100 tok/s stream into a chat of 2,000 messages).
#include <QTimer>
#include <algorithm>

#include "tests/gui/bridge_fixture.h"
#include "tests/support/long_chat.h"
#include "ui/bridge/mailbox.h"

namespace quern::test {
namespace {

using engine::store::Id;

class BridgePace : public BridgeTest {
 protected:
  /// Times between the beats, in ms, of a timer that wants to fire every millisecond: what is over 1 ms is
  /// how long everything else held the thread.
  static std::vector<double> beatFor(int ms) {
    std::vector<double> gaps;
    QElapsedTimer gap;
    QTimer beat;
    QObject::connect(&beat, &QTimer::timeout, &beat, [&] {
      gaps.push_back(static_cast<double>(gap.nsecsElapsed()) / 1e6);
      gap.start();
    });
    beat.setTimerType(Qt::PreciseTimer);
    gap.start();
    beat.start(1);
    QEventLoop loop;
    QTimer::singleShot(ms, &loop, &QEventLoop::quit);
    loop.exec();
    return gaps;
  }
};

TEST_F(BridgePace, ALongChatOpensAtOnceAndStreamsWithoutStalls) {
  context_ = 100'000'000;
  answerer_ = [](const auto&) {
    Script script;
    script.pieces = {"token "};
    script.endless = true;
    script.each = std::chrono::milliseconds(4);  // 250 tok/s
    return script;
  };
  const Id chat = store_->importChat({}, longChat(2000)).value_or(0);
  start();
  QElapsedTimer time;
  time.start();
  conversation_->open(chat);
  std::printf("open: %.1f ms\n", static_cast<double>(time.nsecsElapsed()) / 1e6);
  EXPECT_LT(time.elapsed(), 300);
  ASSERT_EQ(rows().rowCount(), 2000);

  time.restart();
  conversation_->send(QStringLiteral("Go"));
  std::printf("send: %.1f ms\n", static_cast<double>(time.nsecsElapsed()) / 1e6);
  ASSERT_TRUE(waitForText("token"));

  int batches = 0;
  QObject::connect(&rows(), &ui::TranscriptModel::textAppended, &rows(), [&] { ++batches; });
  // Another program on the machine may take the processor away in one round; a stall of our own is in every
  // one.
  double p99 = 0;
  double longest = 0;
  for (int round = 0; round < 3; ++round) {
    batches = 0;
    const qsizetype before = last().content.size();
    time.restart();
    std::vector<double> gaps = beatFor(2000);
    const double seconds = static_cast<double>(time.elapsed()) / 1000;
    const double tokensPerSecond = static_cast<double>(last().content.size() - before) / 6 / seconds;
    std::sort(gaps.begin(), gaps.end());
    p99 = gaps[gaps.size() * 99 / 100];
    longest = gaps.back();
    std::printf("%.0f tok/s in %.0f batches a second; stalls: p99 %.2f ms, longest %.2f ms\n",
                tokensPerSecond, batches / seconds, p99, longest);
    EXPECT_GE(tokensPerSecond, 100);
    EXPECT_LE(batches / seconds, 63);
    EXPECT_GE(batches / seconds, 10);
    if (p99 <= 16 && longest <= 32) break;
  }
  EXPECT_LE(p99, 16);
  EXPECT_LE(longest, 32);
  std::printf("the sink held the engine thread for at most %lld us\n",
              static_cast<long long>(engine_->longestSink().count()));

  time.restart();
  conversation_->stop();
  std::printf("stop: %.1f ms\n", static_cast<double>(time.nsecsElapsed()) / 1e6);
  time.restart();
  ASSERT_TRUE(conversation_->branchToNewChat(last().id));
  std::printf("branch of 2,002 messages: %.1f ms\n", static_cast<double>(time.nsecsElapsed()) / 1e6);
}

TEST(MailRoom, HandsOverManyEventsInFewSignals) {
  ui::MailRoom room;
  const auto box = room.open();
  int signals = 0;
  std::string text;
  bool finished = false;
  QObject::connect(&room, &ui::MailRoom::deliver, &room, [&] {
    if (auto mail = box->take()) {
      room.arrived();
      ++signals;
      text += mail->text;
      finished = mail->finished;
    }
  });
  std::thread engine([&] {
    scheduler::Event event;
    event.kind = scheduler::Event::Kind::kTokens;
    for (int i = 0; i < 20'000; ++i) {
      event.text = "x";
      box->onEvent(event);
      if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    event.kind = scheduler::Event::Kind::kFinished;
    event.text.clear();
    box->onEvent(event);
  });
  EXPECT_TRUE(spinUntil([&] { return finished; }));
  engine.join();
  EXPECT_EQ(text.size(), 20'000U);
  EXPECT_LE(signals, 40);
}

TEST(MailRoom, ALetterAfterALongSilenceArrives) {
  ui::MailRoom room;
  const auto box = room.open();
  int letters = 0;
  QObject::connect(&room, &ui::MailRoom::deliver, &room, [&] {
    if (box->take()) {
      room.arrived();
      ++letters;
    }
  });
  for (int i = 1; i <= 20; ++i) {
    std::thread([&] { box->onEvent({}); }).join();
    ASSERT_TRUE(spinUntil([&] { return letters == i; }, 1000)) << i;
    spinUntil([] { return false; }, i % 3 == 0 ? 80 : 0);
  }
}

TEST(MailRoom, EventsAfterTheWindowIsGoneAreHarmless) {
  std::shared_ptr<ui::Mailbox> box;
  {
    ui::MailRoom room;
    box = room.open();
  }
  box->onEvent({});
  EXPECT_TRUE(box->take());
}

}  // namespace
}  // namespace quern::test
