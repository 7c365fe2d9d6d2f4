#include "engine/runtime/cpu/cpu_adapter.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::runtime {
namespace {

constexpr std::int64_t kLineFloats = static_cast<std::int64_t>(kernels::cpu::kAlignment / sizeof(float));

/// How a factor is packed: as it is stored where kernels read its floats, otherwise decoded.
kernels::DType packedType(const gguf::Tensor& tensor) {
  const bool isHalf = tensor.type == kernels::DType::kF16 || tensor.type == kernels::DType::kBF16;
  return isHalf ? tensor.type : kernels::DType::kF32;
}

std::int64_t wholeLines(std::int64_t floats) {
  return (floats + kLineFloats - 1) / kLineFloats * kLineFloats;
}

}  // namespace

/// Lays out all factors first, so that they share one region, and then packs them.
class AdapterCompiler {
 public:
  AdapterCompiler(const model::Adapter& adapter, const kernels::cpu::Kernels& kernels)
      : adapter_(adapter), kernels_(kernels), made_(std::make_shared<CpuAdapter>()) {}

  base::Result<std::shared_ptr<const CpuAdapter>> compile(const model::Program& program,
                                                          const Executable* owner) {
    for (const auto* operations : {&program.body, &program.head}) {
      for (const model::Operation& operation : *operations) {
        if (const auto* project = std::get_if<model::Project>(&operation)) addStep(*project);
      }
    }
    QUERN_ASSIGN(made_->memory_, AlignedBuffer::allocate(bytes_));
    for (const Factor& factor : factors_) QUERN_TRY(pack(factor));
    made_->owner_ = owner;
    return std::shared_ptr<const CpuAdapter>(std::move(made_));
  }

 private:
  /// Rows [firstRow, firstRow + matrix->rows) of a tensor.
  struct Factor {
    const gguf::Tensor* tensor;
    std::int64_t firstRow;
    std::size_t step;
    std::size_t index;  ///< among the downs or ups of the step
    bool isDown;
    std::size_t offset;
  };

  void addStep(const model::Project& project) {
    const std::size_t step = made_->steps_.size();
    CpuAdapter::StepChange change;
    change.ups.resize(project.outputs.size());
    std::map<std::string, std::int64_t> known;  // where the products of a matrix lie
    std::int64_t products = 0;
    for (std::size_t i = 0; i < project.outputs.size(); ++i) {
      const model::WeightRows& weights = project.outputs[i].weights;
      const auto found = adapter_.changes.find(weights.tensor);
      if (found == adapter_.changes.end()) continue;
      const model::LowRank& pair = found->second;
      if (!known.contains(weights.tensor)) {
        known[weights.tensor] = products;
        add(*pair.a, 0, step, change.downs.size(), true, pair.rank, weights.cols);
        change.downs.push_back({packed(*pair.a, pair.rank, weights.cols), products, pair.factor});
        products = wholeLines(products + pair.rank);
      }
      add(*pair.b, weights.firstRow, step, i, false, weights.rows, pair.rank);
      change.ups[i] = {packed(*pair.b, weights.rows, pair.rank), known[weights.tensor], true};
    }
    made_->products_ = std::max(made_->products_, products);
    made_->steps_.push_back(std::move(change));
  }

  kernels::cpu::PackedMatrix packed(const gguf::Tensor& tensor, std::int64_t rows, std::int64_t cols) const {
    const kernels::DType type = packedType(tensor);
    return {type, rows, cols, nullptr, kernels_.packedBytes(type, rows, cols)};
  }

  void add(const gguf::Tensor& tensor, std::int64_t firstRow, std::size_t step, std::size_t index,
           bool isDown, std::int64_t rows, std::int64_t cols) {
    factors_.push_back({&tensor, firstRow, step, index, isDown, bytes_});
    bytes_ += (packed(tensor, rows, cols).sizeBytes + kernels::cpu::kAlignment - 1) /
              kernels::cpu::kAlignment * kernels::cpu::kAlignment;
  }

  base::Result<void> pack(const Factor& factor) {
    CpuAdapter::StepChange& change = made_->steps_[factor.step];
    kernels::cpu::PackedMatrix& matrix =
        factor.isDown ? change.downs[factor.index].a : change.ups[factor.index].b;
    const gguf::Tensor& tensor = *factor.tensor;
    floats_.resize(static_cast<std::size_t>(matrix.rows * matrix.cols));
    const std::size_t rowBytes = tensor.data.size() / tensor.rows();
    const std::byte* source = tensor.data.data() + static_cast<std::size_t>(factor.firstRow) * rowBytes;
    const bool isDecoded =
        kernels::reference::dequantizeRow(tensor.type, source, floats_.data(), floats_.size());
    if (!isDecoded) {
      return base::Error(base::ErrorCode::kUnsupported, "The adapter's tensor \"" +
                                                            base::printable(tensor.name) +
                                                            "\" is of a type that cannot be decoded.");
    }
    if (!std::all_of(floats_.begin(), floats_.end(), [](float value) { return std::isfinite(value); })) {
      return base::Error(base::ErrorCode::kMalformed,
                         "The adapter's tensor \"" + base::printable(tensor.name) +
                             "\" holds numbers that are not finite: the file is damaged.");
    }
    std::byte* target = made_->memory_.data() + factor.offset;
    if (matrix.type == kernels::DType::kF32) source = reinterpret_cast<const std::byte*>(floats_.data());
    kernels_.packRows(matrix.type, source, matrix.rows, matrix.cols, 0, matrix.rows, target);
    matrix.data = target;
    return base::ok();
  }

  const model::Adapter& adapter_;
  const kernels::cpu::Kernels& kernels_;
  std::shared_ptr<CpuAdapter> made_;
  std::vector<Factor> factors_;
  std::vector<float> floats_;
  std::size_t bytes_ = 0;
};

base::Result<std::shared_ptr<const CpuAdapter>> CpuAdapter::make(const model::Adapter& adapter,
                                                                 const model::Program& program,
                                                                 const kernels::cpu::Kernels& kernels,
                                                                 const Executable* owner) {
  return AdapterCompiler(adapter, kernels).compile(program, owner);
}

}  // namespace quern::engine::runtime
