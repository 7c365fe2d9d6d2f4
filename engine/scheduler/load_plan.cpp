#include "engine/scheduler/load_plan.h"

#include <algorithm>
#include <string>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/memory_need.h"

namespace quern::engine::scheduler {
namespace {

/// What a request may hold unless somebody asks for more: long enough for a conversation, short enough that
/// the cache of a large model fits a small machine.
constexpr std::int32_t kDefaultContext = 8192;

/// What the KV cache is to hold: as many tokens as the options say, but always a whole context and a block.
/// Each request's last block may be part empty.
std::int64_t cacheTokens(const LoadOptions& options) {
  const std::int64_t block = runtime::kKvBlockTokens;
  const std::int64_t all = (options.contextTokens + block) * options.parallel;
  return options.kvTokens == 0 ? all : std::max(options.kvTokens, options.contextTokens + block);
}

/// An encoder reads a text in one step and knows no more positions than it has embeddings for; it has
/// embeddings to give and nothing else.
void planEncoder(const model::Program& program, LoadOptions& options) {
  if (program.mostPositions > 0)
    options.contextTokens = std::min(options.contextTokens, program.mostPositions);
  options.batchTokens = std::max(options.batchTokens, options.contextTokens);
  options.embeddings = true;
  options.rehearse = false;
  options.speculation = Speculation::kOff;
  options.prefixFolder.clear();
}

}  // namespace

base::Result<LoadPlan> planLoad(const model::Program& program, const LoadOptions& wanted) {
  LoadPlan plan{wanted, {}};
  LoadOptions& options = plan.options;
  if (options.contextTokens < 0 || options.parallel < 1 || options.parallel > 1024 ||
      options.batchTokens < 1 || options.queueLimit < 1) {
    return base::Error(
        base::ErrorCode::kInvalidArgument,
        "Context, batch, queue and parallel requests must be positive (at most 1,024 in parallel).");
  }
  if (options.contextTokens == 0) options.contextTokens = std::min(program.trainedContext, kDefaultContext);
  options.batchTokens = std::max(options.parallel, std::min(options.batchTokens, 8192));
  if (options.kvTokens < 0 || options.longestWait.count() < 0 || options.longestWait > kLongestTime ||
      options.interTokenTarget.count() < 1) {
    return base::Error(
        base::ErrorCode::kInvalidArgument,
        "The cache's tokens cannot be negative, the longest wait at most a month, and the time between two "
        "tokens must be a millisecond or more.");
  }
  if (!program.isCausal) planEncoder(program, options);
  const std::int64_t kvTokens = cacheTokens(options);
  if (kvTokens > INT32_MAX / 2) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "A context of " + std::to_string(options.contextTokens) + " tokens for " +
                           std::to_string(options.parallel) + " requests is more than Quern can count.");
  }
  runtime::CompileOptions& compile = plan.compile;
  compile.kvTokens = static_cast<std::int32_t>(kvTokens);
  if (options.kvTokens == 0) compile.leastKvTokens = options.contextTokens + runtime::kKvBlockTokens;
  compile.contextTokens = options.contextTokens;
  compile.batchTokens = options.batchTokens;
  compile.logitRows = options.parallel;
  if (options.speculation != Speculation::kOff) compile.logitRows += kDraftRows;
  compile.hiddenRows = options.embeddings ? options.batchTokens : 0;
  compile.threads = options.threads;
  compile.kvType = options.kvType;
  compile.kernels = options.kernels;
  return plan;
}

LoadOptions draftOptions(const LoadOptions& options) {
  LoadOptions draft;
  draft.contextTokens = options.contextTokens;
  draft.parallel = options.parallel;
  draft.threads = options.threads;
  draft.kvType = options.kvType;
  draft.kernels = options.kernels;
  draft.speculation = Speculation::kOff;
  return draft;
}

base::Result<runtime::MemoryUse> estimateMemory(const std::filesystem::path& path,
                                                const LoadOptions& options) {
  QUERN_ASSIGN(const auto file, gguf::File::open(path));
  QUERN_ASSIGN(const model::Program program, model::buildProgram(*file));
  QUERN_ASSIGN(const LoadPlan plan, planLoad(program, options));
  QUERN_ASSIGN(runtime::MemoryUse use, runtime::cpuMemoryNeed(*file, program, plan.compile));
  if (plan.options.speculation == Speculation::kDraftModel) {
    QUERN_ASSIGN(const auto draft, estimateMemory(plan.options.draftModel, draftOptions(plan.options)));
    use.weightBytes += draft.weightBytes;
    use.kvBytes += draft.kvBytes;
    use.workBytes += draft.workBytes;
  }
  return use;
}

}  // namespace quern::engine::scheduler
