#include "engine/evaluation/direct_model.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/model/architecture.h"

namespace quern::engine::evaluation {

base::Result<std::unique_ptr<DirectModel>> DirectModel::load(const std::filesystem::path& path,
                                                             std::int32_t sequences,
                                                             std::int32_t tokensPerSequence,
                                                             runtime::CompileOptions options,
                                                             const runtime::Progress& progress) {
  std::unique_ptr<DirectModel> model(new DirectModel());
  QUERN_ASSIGN(model->file_, gguf::File::open(path));
  QUERN_ASSIGN(model->program_, model::buildProgram(*model->file_));
  const std::int64_t blocksEach = (tokensPerSequence + runtime::kKvBlockTokens - 1) / runtime::kKvBlockTokens;
  const std::int64_t tokens = blocksEach * runtime::kKvBlockTokens * sequences;
  if (tokens > INT32_MAX) {
    return base::Error(base::ErrorCode::kLimit,
                       "So many tokens fit into no cache: ask for fewer sequences or a "
                       "shorter depth.");
  }
  options.kvTokens = static_cast<std::int32_t>(tokens);
  model->blocksEach_ = static_cast<std::size_t>(blocksEach);
  model->options_ = options;
  model->backend_ = runtime::makeCpuBackend();
  QUERN_ASSIGN(model->executable_,
               model->backend_->compile(model->file_, model->program_, options, progress));
  model->blocks_.resize(model->blocksEach_ * static_cast<std::size_t>(sequences));
  std::iota(model->blocks_.begin(), model->blocks_.end(), 0U);
  return model;
}

std::span<const std::uint32_t> DirectModel::blocks(std::int32_t sequence) const {
  return std::span(blocks_).subspan(static_cast<std::size_t>(sequence) * blocksEach_, blocksEach_);
}

base::Result<void> DirectModel::advance(std::int32_t sequence, std::span<const std::int32_t> tokens,
                                        std::int32_t firstPosition, std::int32_t logitRows) {
  QUERN_CHECK(logitRows <= options_.logitRows, "more rows of logits than the model was compiled for");
  while (!tokens.empty()) {
    // The rows of logits must all lie in the last step.
    std::size_t step = std::min(tokens.size(), static_cast<std::size_t>(options_.batchTokens));
    const std::size_t left = tokens.size() - step;
    const auto rows = static_cast<std::size_t>(logitRows);
    if (left > 0 && left < rows) step -= std::min(step - 1, rows - left);
    const bool last = step == tokens.size();
    const runtime::Slice slice{tokens.first(step), firstPosition, blocks(sequence), last ? logitRows : 0,
                               /*isPrompt=*/true};
    QUERN_TRY(executable_->run({std::span(&slice, 1)}));
    tokens = tokens.subspan(step);
    firstPosition += static_cast<std::int32_t>(step);
  }
  return base::ok();
}

}  // namespace quern::engine::evaluation
