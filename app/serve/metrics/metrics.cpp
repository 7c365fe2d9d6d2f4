#include "app/serve/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <mutex>
#include <vector>

namespace quern::app::serve {
namespace {

using engine::scheduler::Lease;
using engine::scheduler::Timings;
using engine::scheduler::Usage;
using prometheus::Family;
using prometheus::Histogram;
using Labels = prometheus::Labels;
using Buckets = Histogram::BucketBoundaries;

// vLLM's boundaries.
const Buckets kFirstToken = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                             1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
const Buckets kBetweenTokens = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
const Buckets kLatency = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                          30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
const Buckets kTokens = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

double residentBytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

struct Metrics::State {
  prometheus::Registry registry;

  Family<prometheus::Counter>& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Family<prometheus::Gauge>& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Family<Histogram>& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  Family<prometheus::Gauge>& running = gauge("vllm:num_requests_running", "Requests that are being answered");
  Family<prometheus::Gauge>& waiting =
      gauge("vllm:num_requests_waiting", "Requests that wait for their turn");
  Family<prometheus::Gauge>& kvUse =
      gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1");
  Family<prometheus::Gauge>& oldKvUse = gauge("vllm:gpu_cache_usage_perc", "The same under its older name");
  Family<prometheus::Counter>& prompt = counter("vllm:prompt_tokens_total", "Tokens of prompts");
  Family<prometheus::Counter>& generated = counter("vllm:generation_tokens_total", "Tokens of answers");
  Family<prometheus::Counter>& success = counter("vllm:request_success_total", "Requests that were answered");
  Family<prometheus::Counter>& preemptions =
      counter("vllm:num_preemptions_total", "Times that a request made room for others");
  Family<prometheus::Counter>& queries =
      counter("vllm:prefix_cache_queries_total", "Tokens of prompts that were looked for in the cache");
  Family<prometheus::Counter>& hits = counter("vllm:prefix_cache_hits_total", "… and found there");
  Family<prometheus::Counter>& drafted =
      counter("vllm:spec_decode_num_draft_tokens_total", "Tokens of answers that were guessed");
  Family<prometheus::Counter>& accepted =
      counter("vllm:spec_decode_num_accepted_tokens_total", "… and found right");
  Family<Histogram>& firstToken = histogram("vllm:time_to_first_token_seconds",
                                            "From a request's arrival in the engine to its first token");
  Family<Histogram>& between = histogram("vllm:inter_token_latency_seconds", "From one token to the next");
  Family<Histogram>& latency =
      histogram("vllm:e2e_request_latency_seconds", "From a request's arrival to the end of its answer");
  Family<Histogram>& queue = histogram("vllm:request_queue_time_seconds", "Waiting for a turn");
  Family<Histogram>& prefill = histogram("vllm:request_prefill_time_seconds", "Computing the prompt");
  Family<Histogram>& decode =
      histogram("vllm:request_decode_time_seconds", "From the first token to the last");
  Family<Histogram>& promptSize = histogram("vllm:request_prompt_tokens", "Tokens of a request's prompt");
  Family<Histogram>& answerSize =
      histogram("vllm:request_generation_tokens", "Tokens of a request's answers");

  Family<prometheus::Gauge>& bandwidth = gauge(
      "quern_memory_read_bytes_per_second", "Bytes of the model that decoding reads, over the last second");
  Family<prometheus::Gauge>& limit =
      gauge("quern_memory_read_limit_bytes_per_second", "What the machine's memory gives, measured");
  Family<prometheus::Gauge>& modelBytes = gauge("quern_model_memory_bytes", "Memory that a model holds");
  Family<prometheus::Gauge>& budget = gauge("quern_memory_budget_bytes", "What all models may hold together");
  Family<prometheus::Gauge>& process = gauge("quern_process_resident_memory_bytes", "The process's memory");
  Family<prometheus::Counter>& refused =
      counter("quern_rejected_requests_total", "Requests that were turned away, by reason");
  Family<prometheus::Counter>& errors =
      counter("quern_errors_total", "Requests that were answered with an error, by its code");
  Family<prometheus::Counter>& kept =
      counter("quern_response_cache_hits_total", "Requests that were answered from earlier answers");
  Family<prometheus::Gauge>& build = gauge("quern_build_info", "1; the labels say which build runs");

  std::mutex mutex;
  std::map<std::string, std::vector<std::weak_ptr<engine::scheduler::Engine>>> engines;

  /// All that is counted of a model, at 0: a dashboard's rate over what is not there yet is no number.
  void begin(const std::string& model) {
    const Labels labels = {{"model_name", model}};
    for (Family<prometheus::Counter>* family :
         {&prompt, &generated, &preemptions, &queries, &hits, &drafted, &accepted, &kept}) {
      family->Add(labels);
    }
    for (const char* reason : {"stop", "length", "abort"})
      success.Add({{"model_name", model}, {"finished_reason", reason}});
    firstToken.Add(labels, kFirstToken);
    between.Add(labels, kBetweenTokens);
    for (Family<Histogram>* family : {&latency, &queue, &prefill, &decode}) family->Add(labels, kLatency);
    for (Family<Histogram>* family : {&promptSize, &answerSize}) family->Add(labels, kTokens);
  }

  void setGauges(const std::string& model, const engine::scheduler::Stats& stats) {
    const Labels labels = {{"model_name", model}};
    const double use = stats.kvBlocks > 0 ? static_cast<double>(stats.kvBlocksUsed) / stats.kvBlocks : 0;
    running.Add(labels).Set(stats.running);
    waiting.Add(labels).Set(stats.waiting);
    kvUse.Add(labels).Set(use);
    oldKvUse.Add(labels).Set(use);
    bandwidth.Add(labels).Set(stats.readBytesPerSecond);
    // Measured once; it stays true while nobody asks for anything.
    if (stats.bandwidthLimit > 0) limit.Add(labels).Set(stats.bandwidthLimit);
  }
};

Metrics::Metrics(const std::string& version) : state_(std::make_unique<State>()) {
  state_->build.Add({{"version", version}}).Set(1);
}
Metrics::~Metrics() = default;

void Metrics::watch(const std::string& model, const Lease& lease) {
  const std::lock_guard lock(state_->mutex);
  const auto [found, isNew] = state_->engines.try_emplace(model);
  if (isNew) state_->begin(model);
  auto& known = found->second;
  std::erase_if(known, [](const auto& one) { return one.expired(); });
  known.push_back(lease);
}

void Metrics::finished(const std::string& model, const std::string& reason, const Usage& usage,
                       const Timings& timings, std::chrono::nanoseconds whole) {
  State& s = *state_;
  const Labels labels = {{"model_name", model}};
  s.prompt.Add(labels).Increment(usage.promptTokens);
  s.generated.Add(labels).Increment(usage.completionTokens);
  s.preemptions.Add(labels).Increment(usage.preemptions);
  s.queries.Add(labels).Increment(usage.promptTokens);
  s.hits.Add(labels).Increment(usage.cachedTokens);
  s.drafted.Add(labels).Increment(usage.draftedTokens);
  s.accepted.Add(labels).Increment(usage.acceptedTokens);
  if (reason != "error") s.success.Add({{"model_name", model}, {"finished_reason", reason}}).Increment();
  const auto seconds = [](double ms) { return ms / 1000; };
  s.latency.Add(labels, kLatency).Observe(std::chrono::duration<double>(whole).count());
  s.queue.Add(labels, kLatency).Observe(seconds(timings.queueMs));
  s.promptSize.Add(labels, kTokens).Observe(usage.promptTokens);
  if (usage.completionTokens == 0) return;
  s.firstToken.Add(labels, kFirstToken).Observe(seconds(timings.firstTokenMs));
  s.prefill.Add(labels, kLatency).Observe(seconds(timings.promptMs));
  s.decode.Add(labels, kLatency).Observe(seconds(timings.decodeMs));
  s.answerSize.Add(labels, kTokens).Observe(usage.completionTokens);
}

void Metrics::betweenTokens(const std::string& model, double seconds, std::size_t tokens) {
  Histogram& histogram = state_->between.Add({{"model_name", model}}, kBetweenTokens);
  for (std::size_t i = 0; i < tokens; ++i) histogram.Observe(seconds / static_cast<double>(tokens));
}

void Metrics::answeredFromCache(const std::string& model) {
  state_->kept.Add({{"model_name", model}}).Increment();
}

void Metrics::failed(int status, const std::string& code) {
  if (status == 429) return rejected(code);
  state_->errors.Add({{"type", code}, {"status", std::to_string(status)}}).Increment();
}

void Metrics::rejected(const std::string& reason) { state_->refused.Add({{"reason", reason}}).Increment(); }

std::string Metrics::text(const engine::scheduler::ModelPool& pool) {
  State& s = *state_;
  {
    const std::lock_guard lock(s.mutex);
    for (auto& [model, leases] : s.engines) {
      engine::scheduler::Stats stats;  // nobody asks for anything: nothing runs
      for (const auto& one : leases) {
        if (const auto engine = one.lock()) {
          stats = engine->stats();
          break;
        }
      }
      s.setGauges(model, stats);
    }
  }
  const engine::scheduler::PoolStatus status = pool.list();
  s.budget.Add({}).Set(static_cast<double>(status.budgetBytes));
  for (const auto& model : status.models)
    s.modelBytes.Add({{"model_name", model.name}}).Set(static_cast<double>(model.bytes));
  s.process.Add({}).Set(residentBytes());
  return prometheus::TextSerializer().Serialize(s.registry.Collect());
}

}  // namespace quern::app::serve
