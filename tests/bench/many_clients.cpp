// many_clients: several clients ask one engine in this process at once; throughput, times to the first token
// and between tokens, as JSON. many_clients.sh runs it in turns with llama-server.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"

namespace {

namespace scheduler = quern::engine::scheduler;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

/// How many clients are still at work.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t open = 0;
};

/// One client: when it asked, and when tokens came.
class Client : public scheduler::EventSink {
 public:
  explicit Client(Gate& gate) : gate_(gate) {}
  void onEvent(const scheduler::Event& event) override {
    if (event.kind == scheduler::Event::Kind::kTokens && !event.tokens.empty()) {
      arrivals.push_back(Clock::now());
      tokens += event.tokens.size();
    }
    if (event.kind != scheduler::Event::Kind::kFinished) return;
    failed = event.reason == scheduler::FinishReason::kFailed;
    const std::lock_guard lock(gate_.mutex);
    --gate_.open;
    gate_.changed.notify_one();
  }

  Clock::time_point asked;
  std::vector<Clock::time_point> arrivals;
  std::size_t tokens = 0;
  bool failed = false;

 private:
  Gate& gate_;
};

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// The nearest rank: the value that `share` of all do not exceed.
double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size()) + 0.999999);
  return values[std::min(values.size(), std::max<std::size_t>(rank, 1)) - 1];
}

json spreadOf(const std::vector<double>& values) {
  return {{"p50", percentile(values, 0.5)}, {"p99", percentile(values, 0.99)}};
}

/// Asks all prompts at once and waits for all answers. An empty object: something failed, and it was said.
json measure(scheduler::Engine& engine, const std::vector<std::string>& prompts, std::int32_t tokens) {
  std::vector<scheduler::Request> requests;
  std::size_t promptTokens = 0;
  for (const std::string& prompt : prompts) {
    scheduler::Request request;
    quern::engine::tokenizer::EncodeOptions encode;
    encode.addSpecial = true;
    request.prompt = engine.tokenizer()->encode(prompt, encode);
    promptTokens += request.prompt.size();
    request.maxTokens = tokens;
    request.ignoreEnd = true;
    request.sampling.temperature = 0;
    requests.push_back(std::move(request));
  }
  Gate gate;
  gate.open = prompts.size();
  std::vector<std::shared_ptr<Client>> clients;
  for (std::size_t i = 0; i < prompts.size(); ++i) clients.push_back(std::make_shared<Client>(gate));
  const Clock::time_point begin = Clock::now();
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i]->asked = Clock::now();
    const auto id = engine.submit(std::move(requests[i]), clients[i]);
    if (id) continue;
    std::fprintf(stderr, "many_clients: %s\n", id.error().message().c_str());
    // Those that were taken tell their sinks before they go.
    const std::lock_guard lock(gate.mutex);
    gate.open -= clients.size() - i;
    clients.resize(i);
  }
  {
    std::unique_lock lock(gate.mutex);
    gate.changed.wait(lock, [&] { return gate.open == 0; });
  }
  std::vector<double> first;
  std::vector<double> between;
  Clock::time_point end = begin;
  std::size_t all = 0;
  for (const auto& client : clients) {
    if (client->failed || client->tokens != static_cast<std::size_t>(tokens)) {
      std::fprintf(stderr, "many_clients: a client got %zu of %d tokens.\n", client->tokens, tokens);
      return {};
    }
    all += client->tokens;
    first.push_back(milliseconds(client->arrivals.front() - client->asked));
    for (std::size_t i = 1; i < client->arrivals.size(); ++i)
      between.push_back(milliseconds(client->arrivals[i] - client->arrivals[i - 1]));
    end = std::max(end, client->arrivals.back());
  }
  if (clients.size() != prompts.size()) return {};
  const double seconds = milliseconds(end - begin) / 1000;
  return {{"clients", clients.size()},
          {"prompt_tokens", promptTokens},
          {"tokens", all},
          {"seconds", seconds},
          {"tokens_per_second", static_cast<double>(all) / seconds},
          {"first_token_ms", spreadOf(first)},
          {"inter_token_ms", spreadOf(between)}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Several clients ask one engine at once.", "many_clients");
  std::string model;
  std::string promptsPath;
  std::vector<int> counts = {1, 8, 16, 32};
  int tokens = 64;
  int threads = 0;
  bool guesses = true;
  app.add_option("-m,--model", model, "A GGUF file")->required();
  app.add_option("--prompts", promptsPath,
                 "A JSON list of lists of texts: the prompts of each count of --clients")
      ->required();
  app.add_option("--clients", counts, "How many at once, one measurement each")->delimiter(',');
  app.add_option("-n,--tokens", tokens, "Of each answer")->check(CLI::Range(2, 4096));
  app.add_option("-t,--threads", threads, "0: one per physical core")->check(CLI::Range(0, 512));
  app.add_flag("!--no-guess", guesses, "Without guessing answers ahead");
  CLI11_PARSE(app, argc, argv);

  const json prompts = json::parse(std::ifstream(promptsPath), nullptr, false);
  const int most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  if (!prompts.is_array() || prompts.size() != counts.size() || most < 1) {
    std::fprintf(stderr, "many_clients: \"%s\" must be a JSON list with a list of prompts for each count.\n",
                 promptsPath.c_str());
    return 2;
  }
  scheduler::LoadOptions options;
  options.contextTokens = 256 + tokens;
  options.parallel = most;
  options.threads = threads;
  if (!guesses) options.speculation = scheduler::Speculation::kOff;
  const auto engine = scheduler::Engine::load(model, options);
  if (!engine) {
    std::fprintf(stderr, "many_clients: %s\n", engine.error().message().c_str());
    return 1;
  }
  json runs = json::array();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    std::vector<std::string> texts;
    for (const json& text : prompts[i]) {
      if (text.is_string()) texts.push_back(text.get<std::string>());
    }
    if (texts.size() != static_cast<std::size_t>(counts[i])) {
      std::fprintf(stderr, "many_clients: %d prompts are needed, %zu are there.\n", counts[i], texts.size());
      return 2;
    }
    json run = measure(**engine, texts, tokens);
    if (run.empty()) return 1;
    runs.push_back(std::move(run));
  }
  std::printf(
      "%s\n",
      json({{"model", (*engine)->info().name}, {"threads", (*engine)->options().threads}, {"runs", runs}})
          .dump()
          .c_str());
  return 0;
}
