// A model of the tests, compiled, and ways to run it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"
#include "engine/runtime/backend.h"

namespace quern::engine::runtime {

using Row = std::vector<float>;

inline std::filesystem::path tinyModel(const std::string& name) {
  return std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model" / (name + ".gguf");
}

/// `count` blocks of the cache, from `first` on.
inline std::vector<std::uint32_t> blocks(std::uint32_t first, std::uint32_t count) {
  std::vector<std::uint32_t> table(count);
  std::iota(table.begin(), table.end(), first);
  return table;
}

inline std::vector<std::int32_t> someTokens(std::size_t count, std::int32_t vocabulary,
                                            std::uint32_t seed = 1) {
  std::vector<std::int32_t> tokens(count);
  for (std::int32_t& token : tokens) {
    seed = seed * 1664525U + 1013904223U;
    token = static_cast<std::int32_t>((seed >> 8) % static_cast<std::uint32_t>(vocabulary));
  }
  return tokens;
}

class LoadedModel {
 public:
  LoadedModel(const std::filesystem::path& path, const CompileOptions& options) {
    const auto file = *gguf::File::open(path);
    const auto program = *model::buildProgram(*file);
    executable_ = *makeCpuBackend()->compile(file, program, options, {});
  }

  Executable& executable() { return *executable_; }

  /// Runs slices and returns the rows of logits.
  std::vector<Row> run(std::span<const Slice> slices) {
    const auto ran = executable_->run({slices});
    EXPECT_TRUE(ran) << (ran ? "" : ran.error().message());
    std::int32_t rows = 0;
    for (const Slice& slice : slices) rows += slice.logitRows;
    std::vector<Row> result;
    for (std::int32_t i = 0; ran && i < rows; ++i) {
      const auto logits = executable_->logits(i);
      result.emplace_back(logits.begin(), logits.end());
    }
    return result;
  }

  std::vector<Row> run(std::span<const std::int32_t> tokens, std::int32_t firstPosition,
                       std::span<const std::uint32_t> table, std::int32_t rows, bool isPrompt = false) {
    const Slice slice{tokens, firstPosition, table, rows, isPrompt};
    return run(std::span(&slice, 1));
  }

  /// All rows of `tokens` from position 0, in chunks of at most `chunk` tokens.
  std::vector<Row> inChunks(std::span<const std::int32_t> tokens, std::size_t chunk,
                            std::span<const std::uint32_t> table) {
    std::vector<Row> all;
    for (std::size_t at = 0; at < tokens.size(); at += chunk) {
      const auto part = tokens.subspan(at, std::min(chunk, tokens.size() - at));
      for (Row& row :
           run(part, static_cast<std::int32_t>(at), table, static_cast<std::int32_t>(part.size()))) {
        all.push_back(std::move(row));
      }
    }
    return all;
  }

 private:
  std::unique_ptr<Executable> executable_;
};

}  // namespace quern::engine::runtime
