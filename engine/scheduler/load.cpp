// From a path to a running engine.

#include <atomic>
#include <future>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/model/adapter.h"
#include "engine/model/architecture.h"
#include "engine/model/classifier.h"
#include "engine/model/program.h"
#include "engine/scheduler/adapter_cache.h"
#include "engine/scheduler/engine.h"
#include "engine/scheduler/load_plan.h"
#include "engine/scheduler/loop.h"
#include "engine/scheduler/model_hash.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::engine::scheduler {
namespace {

class LoadedEngine : public Engine {
 public:
  LoadedEngine(ModelInfo info, LoadOptions options, std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
               std::shared_ptr<const chat::Template> chatTemplate,
               std::unique_ptr<runtime::Executable> executable, Loop::Extras extras)
      : info_(std::move(info)),
        options_(std::move(options)),
        tokenizer_(std::move(tokenizer)),
        chatTemplate_(std::move(chatTemplate)),
        adapters_(*executable, options_.adapterBytes),
        loop_(std::move(executable), tokenizer_, options_, std::move(extras)) {}

  base::Result<RequestId> submit(Request request, std::shared_ptr<EventSink> sink) override {
    for (AdapterChoice& choice : request.adapters) {
      if (choice.adapter) continue;
      QUERN_ASSIGN(choice.adapter, adapters_.load(choice.path));
    }
    return loop_.submit(std::move(request), std::move(sink));
  }
  base::Result<std::int32_t> saveState(std::vector<std::int32_t> tokens,
                                       const std::filesystem::path& path) override {
    return loop_.saveState(std::move(tokens), path);
  }
  base::Result<std::int32_t> restoreState(const std::filesystem::path& path) override {
    return loop_.restoreState(path);
  }
  base::Result<std::shared_ptr<const LoadedAdapter>> loadAdapter(const std::filesystem::path& path) override {
    return adapters_.load(path);
  }
  void cancel(RequestId request) override { loop_.cancel(request); }
  Stats stats() const override {
    Stats stats = loop_.stats();
    stats.adapterBytes = adapters_.bytes();
    return stats;
  }
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
  AdapterCache adapters_;
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

/// What is made of a file's head while its weights are being packed.
struct Texts {
  base::Result<std::shared_ptr<const tokenizer::Tokenizer>> tokenizer;
  std::shared_ptr<const chat::Template> chatTemplate;
};

base::Result<std::unique_ptr<DraftModel>> loadDraftModel(
    const LoadOptions& options, const std::shared_ptr<const tokenizer::Tokenizer>& tokenizer) {
  QUERN_ASSIGN(auto file, gguf::File::open(options.draftModel));
  QUERN_ASSIGN(const model::Program program, model::buildProgram(*file));
  QUERN_ASSIGN(const auto own, readTokenizer(*file, program));
  QUERN_TRY(checkSameVocabulary(*tokenizer, *own));
  QUERN_ASSIGN(const LoadPlan plan, planLoad(program, draftOptions(options)));
  QUERN_ASSIGN(auto executable, runtime::makeCpuBackend()->compile(file, program, plan.compile, {}));
  const DraftModel::Limits limits{static_cast<std::int32_t>(tokenizer->vocabularySize()),
                                  plan.compile.contextTokens, plan.compile.batchTokens,
                                  plan.compile.logitRows};
  return std::make_unique<DraftModel>(std::move(executable), limits, [tokenizer](std::int32_t token) {
    return tokenizer->endsGeneration(token);
  });
}

}  // namespace

base::Result<std::shared_ptr<Engine>> Engine::load(const std::filesystem::path& path,
                                                   const LoadOptions& wanted,
                                                   const runtime::Progress& progress) {
  QUERN_ASSIGN(auto file, gguf::File::open(path));
  if (model::isAdapter(*file)) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "\"" + base::printable(path.string()) +
                           "\" is a LoRA adapter and no model: load the model that it was made for, and the "
                           "adapter beside it (quern run MODEL --lora FILE).");
  }
  QUERN_ASSIGN(ModelInfo info, inspect(*file));
  QUERN_ASSIGN(const model::Program program, model::buildProgram(*file));
  info.isEncoder = !program.isCausal;
  QUERN_ASSIGN(LoadPlan plan, planLoad(program, wanted));
  LoadOptions options = std::move(plan.options);
  // Tokenizer and template are made while the weights are packed; a file whose tokenizer is of no use ends
  // the packing. Where no thread can be had they are made behind it.
  std::atomic<bool> useless{false};
  auto texts = std::async(std::launch::async | std::launch::deferred, [&] {
    Texts made{readTokenizer(*file, program), readTemplate(*file)};
    useless.store(!made.tokenizer);
    return made;
  });
  auto compiled = runtime::makeCpuBackend()->compile(file, program, plan.compile, [&](double fraction) {
    return !useless.load() && (!progress || progress(fraction));
  });
  Texts made = texts.get();
  QUERN_ASSIGN(auto tokenizer, std::move(made.tokenizer));
  QUERN_ASSIGN(auto executable, std::move(compiled));
  Loop::Extras extras;
  if (options.speculation == Speculation::kDraftModel) {
    QUERN_ASSIGN(extras.draftModel, loadDraftModel(options, tokenizer));
  }
  QUERN_ASSIGN(auto classifier, model::Classifier::read(*file, program.width));
  if (classifier && !program.isCausal) {
    info.labels = classifier->labels();
    extras.classify = [head = std::move(*classifier)](std::span<const float> hidden) {
      return head.scores(hidden);
    };
  }
  // The executable, which holds the file, is the engine's and outlives its questions.
  extras.identity = [file, made = executable.get(), type = options.kvType] {
    return CacheIdentity{hashModel(*file, made->numerics()), type, made->blockBytes()};
  };
  if (!options.prefixFolder.empty()) {
    QUERN_ASSIGN(extras.prefixStore,
                 PrefixStore::open(options.prefixFolder, options.prefixBytes, extras.identity()));
  }
  options.threads = executable->threads();
  if (progress && !progress(1.0)) return base::Error(base::ErrorCode::kCancelled, "Loading was cancelled.");
  return std::shared_ptr<Engine>(
      std::make_shared<LoadedEngine>(std::move(info), std::move(options), std::move(tokenizer),
                                     std::move(made.chatTemplate), std::move(executable), std::move(extras)));
}

}  // namespace quern::engine::scheduler
