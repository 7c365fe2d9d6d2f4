// From a path to a running engine.

#include <algorithm>
#include <atomic>
#include <future>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/loop.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {
namespace {

/// What a request may hold unless somebody asks for more: long enough for a conversation, short enough that
/// the cache of a large model fits a small machine.
constexpr std::int32_t kDefaultContext = 8192;

class LoadedEngine : public Engine {
 public:
  LoadedEngine(ModelInfo info, LoadOptions options, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
               std::shared_ptr<const chat::Template> chatTemplate,
               std::unique_ptr<runtime::Executable> executable)
      : info_(std::move(info)),
        options_(std::move(options)),
        tokenizer_(std::move(tokenizer)),
        chatTemplate_(std::move(chatTemplate)),
        loop_(std::move(executable), tokenizer_, options_) {}

  base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink) override {
    return loop_.submit(std::move(request), std::move(sink));
  }
  void cancel(RequestId request) override { loop_.cancel(request); }
  Stats stats() const override { return loop_.stats(); }
  const ModelInfo& info() const override { return info_; }
  const LoadOptions& options() const override { return options_; }
  std::string device() const override {
    const std::string all = loop_.executable().description();
    return all.substr(0, all.find(','));
  }
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const override { return tokenizer_; }
  std::shared_ptr<const chat::Template> chatTemplate() const override { return chatTemplate_; }

 private:
  ModelInfo info_;
  LoadOptions options_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_;
  std::shared_ptr<const chat::Template> chatTemplate_;
  Loop loop_;
};

/// The default template of a file; null where it has none. One that cannot be parsed is worth a chat without
/// it, not a model that will not load: it counts as none.
std::shared_ptr<const chat::Template> readTemplate(const gguf::File& file) {
  const auto source = file.optionalString("tokenizer.chat_template");
  if (!source || !*source || (*source)->empty()) return nullptr;
  auto parsed = chat::Template::parse(**source);
  if (!parsed) return nullptr;
  return std::make_shared<const chat::Template>(std::move(*parsed));
}

base::Result<std::shared_ptr<const tokenizer::Tokenizer>> readTokenizer(const gguf::File& file,
                                                                        const model::Program& program) {
  QUERN_ASSIGN(auto tokenizer, tokenizer::Tokenizer::fromGguf(file));
  if (tokenizer->vocabularySize() != static_cast<std::size_t>(program.vocabulary)) {
    return base::Error(base::ErrorCode::kMalformed,
                       "The model's tokenizer has " + std::to_string(tokenizer->vocabularySize()) +
                           " tokens, its weights " + std::to_string(program.vocabulary) + ".");
  }
  return tokenizer;
}

/// What the KV cache is to hold: as many tokens as the options say, but always a whole context and a block.
/// Each request's last block may be part empty.
std::int64_t cacheTokens(const LoadOptions& options) {
  const std::int64_t block = runtime::kKvBlockTokens;
  const std::int64_t all = (options.contextTokens + block) * options.parallel;
  return options.kvTokens == 0 ? all : std::max(options.kvTokens, options.contextTokens + block);
}

/// What is made of a file's head while its weights are being packed.
struct Texts {
  base::Result<std::shared_ptr<const tokenizer::Tokenizer>> tokenizer;
  std::shared_ptr<const chat::Template> chatTemplate;
};

}  // namespace

base::Result<std::shared_ptr<Engine>> Engine::load(const std::filesystem::path& path,
                                                   const LoadOptions& wanted,
                                                   const runtime::Progress& progress) {
  QUERN_ASSIGN(auto file, gguf::File::open(path));
  QUERN_ASSIGN(ModelInfo info, inspect(*file));
  QUERN_ASSIGN(const model::Program program, model::buildProgram(*file));
  LoadOptions options = wanted;
  if (options.contextTokens < 0 || options.parallel < 1 || options.parallel > 1024 ||
      options.batchTokens < 1 || options.queueLimit < 1) {
    return base::Error(
        base::ErrorCode::kInvalidArgument,
        "Context, batch, queue and parallel requests must be positive (at most 1,024 in parallel).");
  }
  if (options.contextTokens == 0) options.contextTokens = std::min(program.trainedContext, kDefaultContext);
  options.batchTokens = std::max(options.parallel, std::min(options.batchTokens, 8192));
  if (options.kvTokens < 0 || options.longestWait.count() < 0 || options.interTokenTarget.count() < 1) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The cache's tokens and the longest wait cannot be negative, and the time between two "
                       "tokens must be a millisecond or more.");
  }
  // Each request's last block may be part empty.
  const std::int64_t kvTokens = cacheTokens(options);
  if (kvTokens > INT32_MAX / 2) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "A context of " + std::to_string(options.contextTokens) + " tokens for " +
                           std::to_string(options.parallel) + " requests is more than Quern can count.");
  }
  runtime::CompileOptions compile;
  compile.kvTokens = static_cast<std::int32_t>(kvTokens);
  if (options.kvTokens == 0) compile.leastKvTokens = options.contextTokens + runtime::kKvBlockTokens;
  compile.contextTokens = options.contextTokens;
  compile.batchTokens = options.batchTokens;
  compile.logitRows = options.parallel;
  compile.hiddenRows = options.embeddings ? options.batchTokens : 0;
  compile.threads = options.threads;
  compile.kvType = options.kvType;
  compile.kernels = options.kernels;
  // Tokenizer and template are made while the weights are packed; a file whose tokenizer is of no use ends
  // the packing. Where no thread can be had they are made behind it.
  std::atomic<bool> useless{false};
  auto texts = std::async(std::launch::async | std::launch::deferred, [&] {
    Texts made{readTokenizer(*file, program), readTemplate(*file)};
    useless.store(!made.tokenizer);
    return made;
  });
  auto compiled = runtime::makeCpuBackend()->compile(file, program, compile, [&](double fraction) {
    return !useless.load() && (!progress || progress(fraction));
  });
  Texts made = texts.get();
  QUERN_ASSIGN(auto tokenizer, std::move(made.tokenizer));
  QUERN_ASSIGN(auto executable, std::move(compiled));
  options.threads = executable->threads();
  options.kvTokens = static_cast<std::int64_t>(executable->kvBlocks()) * runtime::kKvBlockTokens;
  if (progress && !progress(1.0)) return base::Error(base::ErrorCode::kCancelled, "Loading was cancelled.");
  return std::shared_ptr<Engine>(
      std::make_shared<LoadedEngine>(std::move(info), std::move(options), std::move(tokenizer),
                                     std::move(made.chatTemplate), std::move(executable)));
}

}  // namespace quern::engine::scheduler
