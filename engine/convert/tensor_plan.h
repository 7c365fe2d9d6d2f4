// From a checkpoint's tensors to the file's: which numbers, in which order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/convert/checkpoint.h"
#include "engine/convert/config.h"
#include "engine/convert/family.h"

namespace quern::engine::convert {

/// Factors of numbers stored in eight bits: one for each block of rows × columns of the source.
struct BlockScale {
  const SourceTensor* tensor = nullptr;
  std::uint64_t blockRows = 1;
  std::uint64_t blockColumns = 1;
};

/// Rows of a planned tensor that come from one source: element c of row r is source element
/// offset + r · rowStride + c · columnStride. With `heads`, row r stands for another: see sourceRow(). All of
/// them lie in the source; planTensors() has proven that.
struct Piece {
  const SourceTensor* source = nullptr;
  std::uint64_t offset = 0;
  std::uint64_t rows = 0;
  std::uint64_t rowStride = 0;
  std::uint64_t columnStride = 1;
  std::uint64_t heads = 0;
  BlockScale scale = {};

  /// Where row r comes from: with `heads`, row 2i of a head is row i of its first half, row 2i + 1 of its
  /// second.
  std::uint64_t sourceRow(std::uint64_t row) const;
};

/// MXFP4 blocks as gpt-oss has them: 16 bytes of pairs (2i low, 2i + 1 high) and a scale byte elsewhere.
struct Mxfp4Rows {
  const SourceTensor* blocks = nullptr;  ///< [experts, rows, blocks of a row, 16]
  const SourceTensor* scales = nullptr;  ///< [experts, rows, blocks of a row]
  std::uint64_t firstRow = 0;
  std::uint64_t rowStep = 1;
};

struct PlannedTensor {
  std::string name;
  std::vector<std::uint64_t> dims;  ///< GGUF's order: the row length first
  std::vector<Piece> pieces;        ///< all rows in order
  float shift = 0;                  ///< added to every number
  std::vector<float> values;        ///< computed instead of read
  Mxfp4Rows mxfp4 = {};             ///< blocks != nullptr: taken over as they are

  std::uint64_t columns() const { return dims.front(); }
  std::uint64_t elements() const;
};

struct Plan {
  std::vector<PlannedTensor> tensors;
  std::vector<std::string> leftOut;  ///< names in the checkpoint that no GGUF file has (vision, extra heads)
};

/// Errors: kMalformed (a tensor is missing or its shape contradicts config.json), kUnsupported (a tensor that
/// nobody knows, a way of quantization that Quern does not read).
base::Result<Plan> planTensors(const Family& family, const Config& config, const Checkpoint& checkpoint);

}  // namespace quern::engine::convert
