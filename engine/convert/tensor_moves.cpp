#include "engine/convert/tensor_moves.h"

#include <algorithm>

#include "engine/base/arithmetic.h"
#include "engine/base/text.h"

namespace quern::engine::convert {
namespace {

base::Error wrongShape(const SourceTensor& source, const std::string& wanted) {
  std::string shape;
  for (const std::uint64_t dim : source.shape) shape += (shape.empty() ? "" : " × ") + base::grouped(dim);
  return {base::ErrorCode::kMalformed,
          "The model's tensor \"" + base::printable(source.name) + "\" is " + shape + "; " + wanted + "."};
}

bool isWeight(SourceType type) {
  return type == SourceType::kF64 || type == SourceType::kF32 || type == SourceType::kF16 ||
         type == SourceType::kBF16 || type == SourceType::kF8E4M3 || type == SourceType::kF8E5M2;
}

/// A source as a stack of matrices: [outer, rows, columns]. A vector is one column, so that its elements can
/// be moved like rows.
struct Stack {
  std::uint64_t outer = 1, rows = 1, columns = 1;
};

Stack stackOf(const SourceTensor& source) {
  Stack stack;
  const auto& shape = source.shape;
  if (shape.size() == 1) {
    stack.rows = shape[0];
  } else if (shape.size() >= 2) {
    stack.columns = shape.back();
    stack.rows = shape[shape.size() - 2];
    for (std::size_t i = 0; i + 2 < shape.size(); ++i) stack.outer *= shape[i];
  }
  return stack;
}

class Mover {
 public:
  Mover(std::string target, std::span<const MoveSource> sources, const MoveContext& context)
      : sources_(sources), context_(context), source_(*sources.front().tensor), stack_(stackOf(source_)) {
    planned_.name = std::move(target);
  }

  base::Result<PlannedTensor> run(Move move) {
    const bool packed = move == Move::kMxfp4 || move == Move::kMxfp4EvenRows || move == Move::kMxfp4OddRows;
    if (source_.elements() == 0 || source_.shape.size() > 4) {
      return wrongShape(source_, "a weight has one to four dimensions and elements");
    }
    for (const MoveSource& source : sources_) {
      if (!packed && !isWeight(source.tensor->type)) {
        return base::Error(base::ErrorCode::kUnsupported,
                           "The model's tensor \"" + base::printable(source.tensor->name) +
                               "\" is stored as " + std::string(nameOf(source.tensor->type)) +
                               ", which is no type of weights that Quern reads.");
      }
    }
    QUERN_TRY(packed ? mxfp4(move) : place(move));
    QUERN_TRY(prove());
    return std::move(planned_);
  }

 private:
  base::Result<void> place(Move move) {
    const auto [outer, rows, columns] = stack_;
    switch (move) {
      case Move::kPlusOne:
        planned_.shift = 1.0F;
        return copy();
      case Move::kCopy:
        return copy();
      case Move::kPermuteQuery:
        return permute(context_.heads);
      case Move::kPermuteKey:
        return permute(context_.kvHeads);
      case Move::kExperts:
        return experts();
      case Move::kFirstHalf:
      case Move::kSecondHalf:
        if (rows % 2 != 0) return wrongShape(source_, "its rows are gate and up and must be even in number");
        for (std::uint64_t i = 0; i < outer; ++i) {
          add((2 * i + (move == Move::kSecondHalf ? 1 : 0)) * (rows / 2) * columns, rows / 2, columns, 1);
        }
        return shape({columns, rows / 2, outer}, source_.shape.size());
      case Move::kLatentKeys:
      case Move::kLatentValues:
        return latent(move == Move::kLatentKeys);
      case Move::kSkipPositions:
        if (rows <= context_.skippedPositions)
          return wrongShape(source_, "it has no positions behind the padding");
        add(context_.skippedPositions * columns, rows - context_.skippedPositions, columns, 1);
        return shape({columns, rows - context_.skippedPositions}, 2);
      case Move::kTransposed:
        for (std::uint64_t i = 0; i < outer; ++i) add(i * rows * columns, columns, 1, columns);
        return shape({rows, columns, outer}, source_.shape.size());
      case Move::kEvenColumns:
      case Move::kOddColumns:
        if (columns % 2 != 0)
          return wrongShape(source_, "its columns are gate and up and must be even in number");
        for (std::uint64_t i = 0; i < outer; ++i) {
          add(i * rows * columns + (move == Move::kOddColumns ? 1 : 0), columns / 2, 2, columns);
        }
        return shape({rows, columns / 2, outer}, source_.shape.size());
      case Move::kEvenElements:
      case Move::kOddElements:
        if (source_.shape.size() != 2 || columns % 2 != 0) {
          return wrongShape(source_, "it holds a bias of gate and up for every expert");
        }
        add(move == Move::kOddElements ? 1 : 0, rows, columns, 2);
        return shape({columns / 2, rows}, 2);
      case Move::kMxfp4:
      case Move::kMxfp4EvenRows:
      case Move::kMxfp4OddRows:
        break;
    }
    return base::ok();
  }

  base::Result<void> copy() {
    std::vector<std::uint64_t> dims(source_.shape.rbegin(), source_.shape.rend());
    if (dims.empty()) dims.push_back(1);
    add(0, source_.elements() / dims.front(), dims.front(), 1);
    planned_.dims = std::move(dims);
    return base::ok();
  }

  base::Result<void> permute(std::uint64_t heads) {
    const bool vector = source_.shape.size() == 1;
    if (stack_.outer != 1 || stack_.rows % heads != 0 || stack_.rows / heads % 2 != 0) {
      return wrongShape(source_, "its rows must be pairs for each of " + std::to_string(heads) + " heads");
    }
    add(0, stack_.rows, stack_.columns, 1);
    planned_.pieces.back().heads = heads;
    if (vector) return shape({stack_.rows}, 1);
    return shape({stack_.columns, stack_.rows}, 2);
  }

  base::Result<void> experts() {
    for (const MoveSource& source : sources_) {
      if (source.tensor->shape != source_.shape || source_.shape.size() > 2) {
        return wrongShape(*source.tensor, "all experts' matrices must have one shape");
      }
    }
    const bool vector = source_.shape.size() == 1;
    const std::uint64_t columns = vector ? stack_.rows : stack_.columns;
    const std::uint64_t rows = vector ? 1 : stack_.rows;
    for (const MoveSource& source : sources_) {
      current_ = &source;
      add(0, rows, columns, 1);
    }
    if (vector) return shape({columns, sources_.size()}, 2);
    return shape({columns, rows, sources_.size()}, 3);
  }

  /// DeepSeek's kv_b, a head at a time: its keys transposed, so that queries can be multiplied by them, or
  /// its values.
  base::Result<void> latent(bool keys) {
    const std::uint64_t k = context_.latentKeyRows;
    const std::uint64_t v = context_.latentValueRows;
    const std::uint64_t rank = stack_.columns;
    if (k == 0 || v == 0 || stack_.outer != 1 || stack_.rows != context_.kvHeads * (k + v)) {
      return wrongShape(source_, "config.json says that each of " + std::to_string(context_.kvHeads) +
                                     " heads has " + std::to_string(k) + " + " + std::to_string(v) + " rows");
    }
    for (std::uint64_t head = 0; head < context_.kvHeads; ++head) {
      const std::uint64_t begin = head * (k + v) * rank;
      if (keys) {
        add(begin, rank, 1, rank);
      } else {
        add(begin + k * rank, v, rank, 1);
      }
    }
    return keys ? shape({k, rank, context_.kvHeads}, 3) : shape({rank, v, context_.kvHeads}, 3);
  }

  base::Result<void> mxfp4(Move move) {
    const SourceTensor& scales = *sources_.front().scales;
    const auto& s = source_.shape;
    const bool fits = source_.type == SourceType::kU8 && scales.type == SourceType::kU8 && s.size() == 4 &&
                      s[3] == 16 && scales.shape == std::vector<std::uint64_t>(s.begin(), s.begin() + 3);
    if (!fits)
      return wrongShape(source_, "MXFP4 weights are experts × rows × blocks × 16 bytes with a scale a block");
    const std::uint64_t step = move == Move::kMxfp4 ? 1 : 2;
    if (s[1] % step != 0) return wrongShape(source_, "its rows are gate and up and must be even in number");
    const auto columns = base::checkedMul<std::uint64_t>(s[2], 32);
    if (!columns) return wrongShape(source_, "its rows are too long");
    planned_.mxfp4 = {&source_, &scales, move == Move::kMxfp4OddRows ? std::uint64_t{1} : 0, step};
    planned_.dims = {*columns, s[1] / step, s[0]};
    return base::ok();
  }

  void add(std::uint64_t offset, std::uint64_t rows, std::uint64_t rowStride, std::uint64_t columnStride) {
    Piece piece;
    const MoveSource& from = current_ != nullptr ? *current_ : sources_.front();
    piece.source = from.tensor;
    piece.offset = offset;
    piece.rows = rows;
    piece.rowStride = rowStride;
    piece.columnStride = columnStride;
    if (from.scales != nullptr) piece.scale = {from.scales, context_.scaleRows, context_.scaleColumns};
    planned_.pieces.push_back(piece);
  }

  /// The first `count` of these, which are in GGUF's order.
  base::Result<void> shape(std::vector<std::uint64_t> dims, std::size_t count) {
    dims.resize(std::clamp<std::size_t>(count, 1, dims.size()));
    planned_.dims = std::move(dims);
    return base::ok();
  }

  /// Nothing outside of a source will be read, and the rows make up the tensor.
  base::Result<void> prove() {
    if (planned_.mxfp4.blocks != nullptr) return base::ok();
    const std::uint64_t columns =
        planned_.pieces.front().heads > 0 && planned_.dims.size() == 1 ? 1 : planned_.columns();
    std::uint64_t elements = 0;
    for (Piece& piece : planned_.pieces) {
      const std::uint64_t last =
          piece.offset + (piece.rows - 1) * piece.rowStride + (columns - 1) * piece.columnStride;
      elements += piece.rows * columns;
      if (last >= piece.source->elements()) return wrongShape(*piece.source, "it is too small for its place");
      if (piece.scale.tensor != nullptr) QUERN_TRY(proveScale(piece));
    }
    if (elements != planned_.elements()) return wrongShape(source_, "it does not fill its place");
    return base::ok();
  }

  base::Result<void> proveScale(Piece& piece) const {
    const SourceTensor& scales = *piece.scale.tensor;
    const Stack whole = stackOf(*piece.source);
    if (!isWeight(scales.type) || piece.source->shape.size() != 2) {
      return wrongShape(scales, "it should hold the factors of a matrix");
    }
    // One factor for all, or one a row, where no blocks are said.
    if (scales.elements() == 1) {
      piece.scale.blockRows = whole.rows;
      piece.scale.blockColumns = whole.columns;
    } else if (piece.scale.blockRows == 0 && scales.elements() == whole.rows) {
      piece.scale.blockRows = 1;
      piece.scale.blockColumns = whole.columns;
    }
    const std::uint64_t blockRows = piece.scale.blockRows;
    const std::uint64_t blockColumns = piece.scale.blockColumns;
    if (blockRows == 0 || blockColumns == 0 ||
        ((whole.rows - 1) / blockRows + 1) * ((whole.columns - 1) / blockColumns + 1) != scales.elements()) {
      return wrongShape(scales, "its factors do not cover \"" + base::printable(piece.source->name) + "\"");
    }
    return base::ok();
  }

  std::span<const MoveSource> sources_;
  const MoveContext& context_;
  const SourceTensor& source_;
  Stack stack_;
  const MoveSource* current_ = nullptr;
  PlannedTensor planned_;
};

}  // namespace

base::Result<PlannedTensor> move(Move move, std::string target, std::span<const MoveSource> sources,
                                 const MoveContext& context) {
  return Mover(std::move(target), sources, context).run(move);
}

}  // namespace quern::engine::convert
