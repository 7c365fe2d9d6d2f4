// A model compiled to be driven by hand, batch by batch, without the scheduler: for measurements that need
// every row of logits or the bare step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/file.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"

namespace quern::engine::evaluation {

/// `sequences` sequences, each with cache blocks of its own. Used by one thread.
class DirectModel {
 public:
  /// The cache is sized for `sequences` × `tokensPerSequence`; `options.kvTokens` is overwritten. Errors:
  /// those of File::open(), model::buildProgram() and Backend::compile().
  static base::Result<std::unique_ptr<DirectModel>> load(const std::filesystem::path& path,
                                                         std::int32_t sequences,
                                                         std::int32_t tokensPerSequence,
                                                         runtime::CompileOptions options,
                                                         const runtime::Progress& progress);

  const gguf::File& file() const { return *file_; }
  const model::Program& program() const { return program_; }
  runtime::Executable& executable() { return *executable_; }
  const runtime::Executable& executable() const { return *executable_; }
  const runtime::CompileOptions& options() const { return options_; }

  /// The cache blocks of a sequence, in order.
  std::span<const std::uint32_t> blocks(std::int32_t sequence) const;

  /// Computes `tokens` of `sequence` from `firstPosition` on, in steps of options().batchTokens. The logits
  /// of the last step hold the last `logitRows` tokens (at most options().logitRows, all in the last step).
  base::Result<void> advance(std::int32_t sequence, std::span<const std::int32_t> tokens,
                             std::int32_t firstPosition, std::int32_t logitRows);

 private:
  DirectModel() = default;

  std::shared_ptr<const gguf::File> file_;
  model::Program program_;
  std::unique_ptr<runtime::Backend> backend_;
  std::unique_ptr<runtime::Executable> executable_;
  runtime::CompileOptions options_;
  std::vector<std::uint32_t> blocks_;  ///< of all sequences, one after another
  std::size_t blocksEach_ = 0;
};

}  // namespace quern::engine::evaluation
