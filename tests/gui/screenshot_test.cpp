// Pictures of the window with a conversation that has everything in it, for eyes. Does nothing unless
// QUERN_SCREENSHOTS names a folder.

#include <gtest/gtest.h>

#include <QDir>
#include <QPixmap>
#include <QPlainTextEdit>
#include <QScrollArea>
#include <QScrollBar>
#include <QTemporaryDir>
#include <QTest>
#include <memory>

#include "tests/gui/fake_engine.h"
#include "tests/gui/fake_lan.h"
#include "ui/bridge/answer_text.h"
#include "ui/bridge/app_settings.h"
#include "ui/bridge/conversation.h"
#include "ui/bridge/model_service.h"
#include "ui/bridge/presets.h"
#include "ui/bridge/server_control.h"
#include "ui/chat/transcript_view.h"
#include "ui/main_window/main_window.h"

namespace quern::ui {
namespace {

using engine::store::Id;
using engine::store::Message;
using engine::store::MessageState;
using engine::store::Role;

constexpr char kFirst[] = R"md(<think>The person asks about bandwidth. Weights are read once a token.

So the file's size divided by the bandwidth is the bound.</think>
Each new token reads **every weight once**, so speed follows the *bytes moved*, not the arithmetic. See
[the notes](https://example.org/notes) and `minimum`:

$$\frac{12.8\,\text{GB/s}}{0.215\,\text{GB}} \approx 59$$

The block stays packed until it is in registers:

```cpp
// One Q4_1 block: 32 weights in 20 bytes, 5.0 bits per weight.
float dot(const BlockQ4_1 &w, const BlockQ8_1 &a) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) {
        sum += (w.nibbles[i] & 0x0F) * a.q[i];
        sum += (w.nibbles[i] >> 4) * a.q[i + 16];
    }
    return w.scale * a.scale * sum + w.minimum * a.weightedSum;  // "one" addition a block, and this is a long line
}
```

Two details matter more than the inner loop:

- Read blocks in file order, so that the prefetcher sees one stream per thread.
- Keep **two accumulators**; one alone waits on the add.)md";

constexpr char kSecond[] = R"md(# Formats
## What a weight costs

| Format | Bits per weight | Size | Remark |
|:-------|------:|:----:|--------|
| Q4_0 | 4.50 | 87 MiB | no minimum |
| Q4_1 | 5.00 | 92 MiB | with a *minimum* per block, which costs half a bit more |
| Q8_0 | 8.50 | 138 MiB | `int8` |

1. First the scales are searched.
2. Then the weights are rounded:
   - to the nearest step,
   - never beyond the range.
- [x] measured
- [ ] published

> A quote of someone who measured it, and who needed more than one line to say that the numbers were what
> they had been before.
>
> > And a quote within.

---

### Inline
Energy is $E = mc^2$, ~~wrong~~ right, ***both***.)md";

struct Pictures {
  Pictures() {
    auto opened = engine::store::Store::open(folder.filePath(QStringLiteral("quern.db")).toStdString());
    EXPECT_TRUE(opened.has_value());
    store = std::move(*opened);
    models = std::make_unique<ModelService>(
        [](const auto&, const auto&,
           const auto&) -> engine::base::Result<std::shared_ptr<engine::scheduler::Engine>> {
          return std::shared_ptr<engine::scheduler::Engine>(std::make_shared<test::FakeEngine>());
        },
        &test::renderPlain, nullptr);
    conversation = std::make_unique<Conversation>(*store, *models);
    settings = std::make_unique<AppSettings>(*store);
    presets = std::make_unique<Presets>(*store);
    chat = fill();
    settings->setLastChat(chat);
    settings->setTextPercent(100);
    serve();
    server = std::make_unique<ServerControl>(*store, *models, lan);
    window = std::make_unique<MainWindow>(
        Services{theme, *store, *models, *conversation, *settings, *presets, server.get()});
    window->setStartModel("/nowhere/SmolLM2-135M-Instruct-Q4_1.gguf");
  }

  /// What a server has to tell after a while.
  void serve() {
    lan.change([](LanStatus& status, std::vector<LanKey>& keys) {
      const char* names[] = {"ci-runner", "editor-plugin", "notebook", "tablet"};
      for (int i = 0; i < 4; ++i) {
        keys.push_back({"7f3ac21e04b" + std::to_string(i), names[i], 1'770'000'000'000 + i * 9'000'000'000,
                        i == 3 ? std::optional<std::int64_t>(1'900'000'000'000) : std::nullopt});
      }
      const int statuses[] = {200, 200, 401, 200, 429, 200, 500, 404};
      for (int i = 0; i < 14; ++i) {
        LanRequest request;
        request.endedMs = 1'790'000'000'000 - i * 3'700;
        request.status = statuses[i % 8];
        request.path = i % 3 == 2 ? "/v1/models" : "/v1/chat/completions";
        request.model = request.status == 200 ? "SmolLM2-135M-Instruct-Q4_1" : "";
        request.client = request.status == 401 ? "" : names[i % 4];
        request.address = "192.168.1." + std::to_string(31 + i % 4);
        request.elapsedMs = request.status == 200 ? 731.0 * (1 + i % 5) : 1;
        request.promptTokens = request.status == 200 ? 96 * (1 + i) : 0;
        request.completionTokens = request.status == 200 ? 31 * (1 + i % 6) : 0;
        status.last.push_back(request);
      }
    });
  }

  Id add(Id parent, Role role, const char* text, MessageState state = MessageState::kComplete,
         const QString& error = {}) const {
    Message message;
    message.chat = chat;
    message.parent = parent == 0 ? std::optional<Id>() : std::optional(parent);
    message.role = role;
    message.state = state;
    message.content = text;
    if (role == Role::kAssistant) {
      AnswerStats stats;
      stats.usage.promptTokens = 80;
      stats.usage.completionTokens = 318;
      stats.timings.tokensPerSecond = 42.1;
      stats.timings.firstTokenMs = 410;
      stats.timings.bandwidthShare = 0.71;
      stats.reason = QStringLiteral("end of turn");
      stats.error = error;
      stats.errorDetails =
          error.isEmpty() ? QString() : QStringLiteral("runtime: kv cache\nposition 4096 of 4096");
      message.statsJson = statsToJson(stats);
    } else if (parent == 0) {
      message.attachmentsJson = attachmentsToJson({{QStringLiteral("perf-notes.md"), QStringLiteral("notes")},
                                                   {QStringLiteral("dot.cpp"), QStringLiteral("int main")}});
    }
    return store->addMessage(message).value_or(0);
  }

  Id fill() {
    engine::store::Chat row;
    for (const char* title : {"Memory-bound decoding, explained at length", "SQL for telemetry roll-ups",
                              "Regular expression for log lines", "Blocked 4-bit dot product"}) {
      row.title = title;
      chat = store->createChat(row).value_or(0);
    }
    const Id question = add(0, Role::kUser,
                            "Why does 4-bit decoding speed up almost in proportion to file size on this "
                            "machine?\nShow the inner dot product for one Q4_1 block in C++.");
    add(question, Role::kAssistant, "A first version.");
    const Id answer = add(question, Role::kAssistant, kFirst);
    const Id next = add(answer, Role::kUser, "And the formats?");
    const Id second = add(next, Role::kAssistant, kSecond);
    const Id third = add(second, Role::kUser, "Go on.");
    const Id failed = add(third, Role::kAssistant, "It began", MessageState::kFailed,
                          QStringLiteral("The context is full."));
    const Id fourth = add(failed, Role::kUser, "And now?");
    add(fourth, Role::kAssistant, "This was cut in the", MessageState::kInterrupted);
    return chat;
  }

  void save(const char* name) const {
    QTest::qWait(120);
    const QDir dir(qEnvironmentVariable("QUERN_SCREENSHOTS"));
    dir.mkpath(QStringLiteral("."));
    ASSERT_TRUE(window->grab().save(dir.filePath(QString::fromLatin1(name) + QStringLiteral(".png"))));
  }

  QTemporaryDir folder;
  std::unique_ptr<engine::store::Store> store;
  Theme theme;
  std::unique_ptr<ModelService> models;
  std::unique_ptr<Conversation> conversation;
  std::unique_ptr<AppSettings> settings;
  std::unique_ptr<Presets> presets;
  test::FakeLan lan;
  std::unique_ptr<ServerControl> server;
  std::unique_ptr<MainWindow> window;
  Id chat = 0;
};

TEST(Screenshots, DarkLightAndLarge) {
  if (!qEnvironmentVariableIsSet("QUERN_SCREENSHOTS")) GTEST_SKIP() << "QUERN_SCREENSHOTS names no folder";
  Pictures pictures;
  pictures.window->resize(1440, 900);
  pictures.window->show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(pictures.window.get()));
  ASSERT_TRUE(QTest::qWaitFor([&] { return pictures.models->state() == ModelService::State::kReady; }, 5000));
  if (!pictures.theme.isDark()) pictures.window->run(Command::kToggleTheme);
  auto* view = pictures.window->findChild<TranscriptView*>();
  ASSERT_NE(view, nullptr);
  QScrollBar* bar = view->verticalScrollBar();
  pictures.save("dark-end");
  bar->setValue(0);
  const QPoint centre = view->viewport()->rect().center();
  QTest::mouseMove(view->viewport(), centre);
  pictures.save("dark-top");
  bar->setValue(bar->maximum() * 6 / 10);
  pictures.save("dark-middle");
  pictures.window->run(Command::kToggleTheme);
  pictures.save("light-middle");
  bar->setValue(0);
  pictures.save("light-top");
  pictures.theme.setTextPercent(200);
  pictures.theme.apply();
  bar->setValue(0);
  pictures.save("light-200-top");
  bar->setValue(bar->maximum() / 2);
  pictures.save("light-200-middle");
}

TEST(Screenshots, ServerPage) {
  if (!qEnvironmentVariableIsSet("QUERN_SCREENSHOTS")) GTEST_SKIP() << "QUERN_SCREENSHOTS names no folder";
  Pictures pictures;
  pictures.window->resize(1440, 900);
  pictures.window->show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(pictures.window.get()));
  ASSERT_TRUE(QTest::qWaitFor([&] { return pictures.models->state() == ModelService::State::kReady; }, 5000));
  if (!pictures.theme.isDark()) pictures.window->run(Command::kToggleTheme);
  pictures.window->run(Command::kServerPage);
  pictures.save("server-dark-stopped");
  ServerPreferences preferences;
  preferences.lan.wholeNetwork = true;
  pictures.server->setPreferences(preferences);
  pictures.server->start();
  ASSERT_TRUE(
      QTest::qWaitFor([&] { return pictures.server->state() == ServerControl::State::kListening; }, 5000));
  pictures.lan.change([](LanStatus& status, auto&) {
    status.connections = 3;
    status.succeeded = 1846;
    status.refused = 12;
  });
  QTest::qWait(600);
  pictures.save("server-dark");
  pictures.server->addKey(QStringLiteral("kitchen"));
  pictures.window->run(Command::kToggleTheme);
  pictures.lan.change([](LanStatus& status, auto&) {
    status.fingerprint =
        "9C:41:E7:0B:11:52:AA:0F:6D:77:31:08:E9:5D:A2:9C:41:E7:0B:11:52:AA:0F:6D:77:31:08:E9:5D:A2:4B:7E";
    status.authority = "/home/somebody/.config/quern/tls/ca.pem";
  });
  preferences.lan.usesTls = true;
  pictures.server->setPreferences(preferences);
  QTest::qWait(600);
  pictures.save("server-light");
  pictures.theme.setTextPercent(200);
  pictures.theme.apply();
  pictures.save("server-light-200");
  auto* page = pictures.window->findChild<QWidget*>(QStringLiteral("serverPage"));
  QScrollBar* bar = page->findChild<QScrollArea*>()->verticalScrollBar();
  bar->setValue(bar->maximum() / 2);
  pictures.save("server-light-200-middle");
  bar->setValue(bar->maximum());
  pictures.save("server-light-200-end");
}

}  // namespace
}  // namespace quern::ui
