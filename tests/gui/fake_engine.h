// An engine that answers from a script, on a thread of its own, for tests of what stands above it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::test {

namespace scheduler = engine::scheduler;

/// What the engine says to one request.
struct Script {
  std::vector<std::string> pieces = {"Hello", " there", "."};
  std::chrono::microseconds each{1000};
  scheduler::FinishReason reason = scheduler::FinishReason::kEndOfTurn;
  bool endless = false;  ///< the pieces again and again, until it is cancelled
  std::optional<engine::base::Error> error;
};

class FakeEngine : public scheduler::Engine {
 public:
  using Answerer = std::function<Script(const scheduler::Request&)>;

  explicit FakeEngine(
      Answerer answerer = [](const scheduler::Request&) { return Script(); }, std::int32_t context = 4096)
      : answerer_(std::move(answerer)) {
    info_.name = "Fake-1B";
    options_.contextTokens = context;
    thread_ = std::thread([this] { loop(); });
  }
  ~FakeEngine() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  engine::base::Result<scheduler::RequestId> submit(scheduler::Request request,
                                                    std::shared_ptr<scheduler::EventSink> sink) override {
    const std::lock_guard lock(mutex_);
    const scheduler::RequestId id = ++last_;
    prompts_.push_back(std::string(request.prompt.begin(), request.prompt.end()));
    queue_.push_back({id, std::move(request), std::move(sink)});
    wake_.notify_all();
    return id;
  }
  engine::base::Result<std::int32_t> saveState(std::vector<std::int32_t>,
                                               const std::filesystem::path&) override {
    return 0;
  }
  engine::base::Result<std::int32_t> restoreState(const std::filesystem::path&) override { return 0; }
  void cancel(scheduler::RequestId request) override { cancelled_ = request; }
  scheduler::Stats stats() const override { return {}; }
  const scheduler::ModelInfo& info() const override { return info_; }
  const scheduler::LoadOptions& options() const override { return options_; }
  std::string device() const override { return "Script"; }
  std::shared_ptr<const engine::tokenizer::Tokenizer> tokenizer() const override { return nullptr; }
  std::shared_ptr<const engine::chat::Template> chatTemplate() const override { return nullptr; }

  /// What was asked so far, as rendered by renderPlain().
  std::vector<std::string> prompts() const {
    const std::lock_guard lock(mutex_);
    return prompts_;
  }
  /// The longest time that a sink kept this thread.
  std::chrono::microseconds longestSink() const { return std::chrono::microseconds(longestSink_.load()); }

 private:
  struct Item {
    scheduler::RequestId id;
    scheduler::Request request;
    std::shared_ptr<scheduler::EventSink> sink;
  };

  void emit(const Item& item, const scheduler::Event& event) {
    const auto start = std::chrono::steady_clock::now();
    item.sink->onEvent(event);
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start);
    if (took.count() > longestSink_) longestSink_ = took.count();
  }

  void answer(const Item& item) {
    const Script script = answerer_(item.request);
    scheduler::Event event;
    event.request = item.id;
    emit(item, event);
    event.usage.promptTokens = static_cast<std::int32_t>(item.request.prompt.size());
    event.reason = script.reason;
    auto next = std::chrono::steady_clock::now();
    do {
      for (const std::string& piece : script.pieces) {
        next += script.each;
        std::this_thread::sleep_until(next);
        if (stop_ || cancelled_ == item.id) {
          event.reason = scheduler::FinishReason::kCancelled;
          break;
        }
        event.kind = scheduler::Event::Kind::kTokens;
        event.text = piece;
        ++event.usage.completionTokens;
        event.timings.tokensPerSecond = 1e6 / static_cast<double>(script.each.count());
        event.timings.firstTokenMs = 410;
        event.timings.bandwidthShare = 0.71;
        emit(item, event);
      }
    } while (script.endless && event.reason != scheduler::FinishReason::kCancelled);
    event.kind = scheduler::Event::Kind::kFinished;
    event.text.clear();
    event.error = script.error;
    emit(item, event);
  }

  void loop() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;
      Item item = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      answer(item);
      lock.lock();
    }
  }

  Answerer answerer_;
  scheduler::ModelInfo info_;
  scheduler::LoadOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> queue_;
  std::vector<std::string> prompts_;
  scheduler::RequestId last_ = 0;
  std::atomic<scheduler::RequestId> cancelled_{0};
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> longestSink_{0};
  std::thread thread_;
};

/// "<user>text" for every message and "<go>" where an answer is to begin, one token a byte.
inline engine::base::Result<std::vector<std::int32_t>> renderPlain(
    const scheduler::Engine&, const std::vector<scheduler::ChatMessage>& messages, bool addGenerationPrompt) {
  std::string text;
  for (const auto& message : messages) text += "<" + message.role + ">" + message.content;
  if (addGenerationPrompt) text += "<go>";
  return std::vector<std::int32_t>(text.begin(), text.end());
}

}  // namespace quern::test
