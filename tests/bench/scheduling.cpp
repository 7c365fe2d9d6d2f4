// What scheduling gives, measured on a real model in process:
//
//   scheduling MODEL prefix        the same long beginning again, and ten times at once
//   scheduling MODEL lookup        a text copied with changes, with and without guessing ahead
//   scheduling MODEL draft SMALL   an answer, with and without a small model that guesses
//   scheduling MODEL long-prompt   time between tokens of eight answers, without and with a long prompt
//   beside
//
// Everything is measured at the sinks, as a window or a server would see it. Ends by itself.

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"

namespace {

using namespace quern::engine;
using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1) + 0.5)];
}

/// When the tokens of a request came.
class Watch : public scheduler::EventSink {
 public:
  void onEvent(const scheduler::Event& event) override {
    const std::lock_guard lock(mutex_);
    if (!event.tokens.empty()) times_.push_back(Clock::now());
    tokens_.insert(tokens_.end(), event.tokens.begin(), event.tokens.end());
    if (event.kind != scheduler::Event::Kind::kFinished) return;
    end_ = event;
    isFinished_ = true;
    changed_.notify_all();
  }
  scheduler::Event await() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return isFinished_; });
    return end_;
  }
  std::vector<std::int32_t> tokens() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  std::vector<Clock::time_point> times() {
    const std::lock_guard lock(mutex_);
    return times_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Clock::time_point> times_;
  std::vector<std::int32_t> tokens_;
  scheduler::Event end_;
  bool isFinished_ = false;
};

/// A text that no other begins like: its words depend on `seed` from the first.
std::vector<std::int32_t> textOf(const scheduler::Engine& engine, int seed, std::size_t tokens) {
  static const char* const kWords[] = {"the",  "mill", "turns", "grain", "slowly", "stone", "and",  "water",
                                       "runs", "over", "old",   "wheel", "while",  "flour", "falls"};
  std::string text;
  std::uint32_t state = static_cast<std::uint32_t>(seed) * 2654435761U + 1;
  std::vector<std::int32_t> ids;
  while (ids.size() < tokens) {
    for (std::size_t i = 0; i < tokens; ++i) {
      state = state * 1664525U + 1013904223U;
      text += std::string(kWords[(state >> 16) % std::size(kWords)]) + " ";
    }
    ids = engine.tokenizer()->encode(text);
  }
  ids.resize(tokens);
  return ids;
}

std::shared_ptr<Watch> ask(scheduler::Engine& engine, std::vector<std::int32_t> prompt, std::int32_t tokens) {
  scheduler::Request request;
  request.prompt = std::move(prompt);
  request.maxTokens = tokens;
  request.sampling.temperature = 0;
  request.ignoreEnd = true;
  auto watch = std::make_shared<Watch>();
  if (auto id = engine.submit(std::move(request), watch); !id) {
    std::fprintf(stderr, "%s\n", id.error().message().c_str());
    std::exit(1);
  }
  return watch;
}

void prefix(scheduler::Engine& engine) {
  for (int round = 0; round < 3; ++round) {
    const auto prompt = textOf(engine, 100 + round, 2000);
    const auto first = ask(engine, prompt, 4)->await();
    const auto second = ask(engine, prompt, 4)->await();
    std::printf(
        "2,000 tokens: first token after %.1f ms, again after %.1f ms (%d found): %.0f times sooner\n",
        first.timings.firstTokenMs, second.timings.firstTokenMs, second.usage.cachedTokens,
        first.timings.firstTokenMs / second.timings.firstTokenMs);
  }
  const std::uint64_t before = engine.stats().promptTokens;
  const auto shared = textOf(engine, 200, 2000);
  std::vector<std::shared_ptr<Watch>> all;
  const Clock::time_point begin = Clock::now();
  for (int i = 0; i < 10; ++i) {
    auto prompt = shared;
    const auto own = textOf(engine, 300 + i, 20);
    prompt.insert(prompt.end(), own.begin(), own.end());
    all.push_back(ask(engine, prompt, 16));
  }
  for (const auto& one : all) one->await();
  std::printf(
      "ten at once with the same 2,000 tokens and 20 of their own: %llu prompt tokens computed, %.2f s\n",
      static_cast<unsigned long long>(engine.stats().promptTokens - before), secondsSince(begin));
}

/// Milliseconds before token `i` of each answer, for `first` <= i < `last`.
std::vector<double> gaps(const std::vector<std::shared_ptr<Watch>>& answers, std::size_t first,
                         std::size_t last) {
  std::vector<double> all;
  for (const auto& one : answers) {
    const auto times = one->times();
    for (std::size_t i = first; i < std::min(last, times.size()); ++i) {
      all.push_back(std::chrono::duration<double, std::milli>(times[i] - times[i - 1]).count());
    }
  }
  return all;
}

/// Both runs decode the same tokens at the same depths; in the second a long prompt comes in meanwhile.
void longPrompt(scheduler::Engine& engine) {
  constexpr std::size_t kBefore = 50;
  for (int round = 0; round < 3; ++round) {
    const auto decode = [&] {
      std::vector<std::shared_ptr<Watch>> all;
      for (int i = 0; i < 8; ++i) all.push_back(ask(engine, textOf(engine, 1000 * round + i, 30), 1500));
      return all;
    };
    const auto without = decode();
    for (const auto& one : without) one->await();
    const auto with = decode();
    while (with.back()->times().size() < kBefore) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Clock::time_point begin = Clock::now();
    ask(engine, textOf(engine, 1000 * round + 99, 4000), 1)->await();
    const double seconds = secondsSince(begin);
    const std::size_t last = with.front()->times().size();
    for (const auto& one : with) one->await();
    const auto alone = gaps(without, kBefore + 2, last);
    const auto beside = gaps(with, kBefore + 2, last);
    std::printf(
        "tokens %zu to %zu of 8 answers: p50 %.2f p99 %.2f ms alone, p50 %.2f p99 %.2f ms beside a prompt of "
        "4,000 tokens (%.2f s): p99 %.2f times\n",
        kBefore + 2, last, percentile(alone, 0.5), percentile(alone, 0.99), percentile(beside, 0.5),
        percentile(beside, 0.99), seconds, percentile(beside, 0.99) / percentile(alone, 0.99));
  }
}

/// Tokens/s of greedy answers to the same prompts, with and without guesses, in turns; the answers must be
/// the same.
void speculation(scheduler::Engine& engine, const std::vector<std::string>& questions, std::int32_t tokens) {
  for (const std::string& question : questions) {
    const auto prompt = scheduler::renderChat(engine, {{"user", question}});
    if (!prompt) return;
    std::vector<double> speeds[2];
    std::vector<std::int32_t> answers[2];
    scheduler::Usage usage;
    for (int round = 0; round < 6; ++round) {
      const bool guesses = round % 2 == 1;
      scheduler::Request request;
      request.prompt = *prompt;
      request.maxTokens = tokens;
      request.sampling.temperature = 0;
      request.speculate = guesses;
      auto watch = std::make_shared<Watch>();
      if (!engine.submit(std::move(request), watch)) return;
      const scheduler::Event end = watch->await();
      speeds[guesses].push_back(end.timings.tokensPerSecond);
      answers[guesses] = watch->tokens();
      if (guesses) usage = end.usage;
    }
    const double plain = percentile(speeds[0], 0.5);
    const double guessed = percentile(speeds[1], 0.5);
    std::printf("%d tokens, %d of %d guesses right: %.0f tok/s without, %.0f with: %.2f times, %s text\n",
                usage.completionTokens, usage.acceptedTokens, usage.draftedTokens, plain, guessed,
                guessed / plain, answers[0] == answers[1] ? "the same" : "ANOTHER");
  }
}

/// Texts to copy with a change.
std::vector<std::string> editing() {
  const std::string code =
      "#include <vector>\n\nclass RingBuffer {\n public:\n  explicit RingBuffer(int size) : data_(size) {}\n"
      "  void push(int value) {\n    data_[head_] = value;\n    head_ = (head_ + 1) % size();\n"
      "    if (count_ < size()) ++count_;\n  }\n  int pop() {\n    int tail = (head_ + size() - count_) % "
      "size();\n"
      "    --count_;\n    return data_[tail];\n  }\n  int size() const { return "
      "static_cast<int>(data_.size()); }\n"
      "  bool isEmpty() const { return count_ == 0; }\n\n private:\n  std::vector<int> data_;\n  int head_ = "
      "0;\n"
      "  int count_ = 0;\n};\n";
  const std::string prose =
      "The old mill stands by the river. Its wheel has not turned for forty years, but the miller's daughter "
      "still "
      "oils the axle every spring. She says that a machine that is cared for never dies, it only rests. In "
      "the "
      "summer children come to swim in the pond behind it, and in the winter the frost paints its windows "
      "white. "
      "Last week a man from the city wanted to buy the mill. He looked at the stones, at the sluice and at "
      "the "
      "roof, and he asked how much flour it could make in a day. The daughter laughed and told him that it "
      "makes "
      "none at all, and that this is why she would never sell it.";
  return {"Rewrite this code with the class renamed to Queue and nothing else changed:\n\n" + code,
          "Repeat the following text exactly:\n\n" + prose};
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count >= 3 ? arguments[2] : "";
  const bool isKnown = what == "prefix" || what == "long-prompt" || what == "lookup";
  if (!(isKnown && count == 3) && !(what == "draft" && count == 4)) {
    std::fprintf(stderr, "scheduling MODEL prefix|long-prompt|lookup|draft [SMALL]\n");
    return 2;
  }
  scheduler::LoadOptions options;
  options.contextTokens = 8192;
  options.parallel = 12;
  if (what == "draft") {
    options.contextTokens = 4096;
    options.parallel = 1;
    options.speculation = scheduler::Speculation::kDraftModel;
    options.draftModel = arguments[3];
  }
  auto engine = scheduler::Engine::load(arguments[1], options);
  if (!engine) {
    std::fprintf(stderr, "%s\n", engine.error().message().c_str());
    return 1;
  }
  ask(**engine, textOf(**engine, 1, 64), 32)->await();  // touches everything once
  if (what == "prefix") prefix(**engine);
  if (what == "long-prompt") longPrompt(**engine);
  if (what == "lookup") speculation(**engine, editing(), 400);
  if (what == "draft")
    speculation(**engine, {"Why is the sky blue?", "Write a short story about a mill."}, 200);
  return 0;
}
