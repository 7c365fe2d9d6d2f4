#include "engine/runtime/cpu/plan.h"

#include <algorithm>
#include <atomic>

#include "engine/gguf/file.h"
#include "engine/runtime/cpu/thread_pool.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::runtime {
namespace {

using kernels::cpu::kRowTile;

/// Rows that a worker packs before it looks whether the load was cancelled: about a millisecond of work.
constexpr std::int64_t kRowsAtOnce = 16 * kRowTile;

std::size_t aligned(std::size_t bytes) {
  return (bytes + kernels::cpu::kAlignment - 1) / kernels::cpu::kAlignment * kernels::cpu::kAlignment;
}

class PlanCompiler {
 public:
  PlanCompiler(const gguf::File& file, const model::Program& program, const kernels::cpu::Kernels& kernels)
      : file_(file), program_(program), kernels_(kernels) {}

  base::Result<Plan> compile(ThreadPool& pool, const Progress& progress) {
    QUERN_TRY(operations(program_.body, plan_.body));
    QUERN_TRY(operations(program_.head, plan_.head));
    QUERN_TRY(pack(pool, progress));
    return std::move(plan_);
  }

 private:
  /// One matrix to be packed: where its rows lie in the file, and where they go.
  struct Packing {
    const gguf::Tensor* tensor;
    const std::byte* source;
    std::int64_t rows, cols;
    std::size_t offset;  ///< in Plan::packed
  };

  base::Result<void> operations(const std::vector<model::Operation>& from, std::vector<Step>& to) {
    const model::Norm* norm = nullptr;  // waits for the projection that reads it
    const model::Activate* activate = nullptr;
    for (const model::Operation& operation : from) {
      if (const auto* embed = std::get_if<model::Embed>(&operation)) {
        const gguf::Tensor& table = *file_.tensor(embed->tensor);
        if (!kernels::dtypeInfo(table.type)->decodable) {
          return base::Error(
              base::ErrorCode::kUnsupported,
              "The model's tensor \"" + embed->tensor + "\" is stored as " +
                  std::string(kernels::dtypeInfo(table.type)->name) +
                  ", which Quern cannot decode. A Q4_K_M or Q8_0 file of the same model works.");
        }
        table_ = &table;
        plan_.embedRowBytes = table.data.size() / table.rows();
        to.emplace_back(EmbedStep{table.type, table.data.data(), plan_.embedRowBytes, embed->scale});
      } else if (const auto* found = std::get_if<model::Norm>(&operation)) {
        if (!found->addToResidual) {
          norm = found;
          continue;
        }
        QUERN_ASSIGN(const float* weight, vector(found->weight));
        to.emplace_back(NormAddStep{found->in, weight, found->epsilon});
      } else if (const auto* act = std::get_if<model::Activate>(&operation)) {
        activate = act;
      } else if (const auto* project = std::get_if<model::Project>(&operation)) {
        QUERN_ASSIGN(ProjectStep step, projection(*project));
        if (project->in == model::Buffer::kNormed && norm != nullptr) {
          step.prepare = ProjectStep::Prepare::kNorm;
          step.in = norm->in;
          step.epsilon = norm->epsilon;
          QUERN_ASSIGN(step.norm, vector(norm->weight));
        } else if (project->in == model::Buffer::kHidden && activate != nullptr) {
          step.prepare = activate->activation == model::Activation::kSilu ? ProjectStep::Prepare::kSilu
                                                                          : ProjectStep::Prepare::kGelu;
        }
        to.emplace_back(std::move(step));
      } else if (const auto* attend = std::get_if<model::Attend>(&operation)) {
        QUERN_ASSIGN(const float* queryNorm, vector(attend->queryNorm));
        QUERN_ASSIGN(const float* keyNorm, vector(attend->keyNorm));
        to.emplace_back(AttendStep{attend->layer, attend->rope, queryNorm, keyNorm, attend->epsilon,
                                   attend->scale, attend->softcap, attend->window});
      }
    }
    return base::ok();
  }

  base::Result<ProjectStep> projection(const model::Project& project) {
    ProjectStep step;
    step.in = project.in;
    for (const model::Projection& projection : project.outputs) {
      const model::WeightRows& weights = projection.weights;
      const gguf::Tensor& tensor = *file_.tensor(weights.tensor);
      const std::size_t bytes = kernels_.packedBytes(tensor.type, weights.rows, weights.cols);
      const std::byte* source = tensor.data.data() + static_cast<std::size_t>(weights.firstRow) *
                                                         (tensor.data.size() / tensor.rows());
      packings_.push_back({&tensor, source, weights.rows, weights.cols, plan_.packedBytes});

      PackedProjection packed;
      packed.matrix = {tensor.type, weights.rows, weights.cols, nullptr, bytes};
      packed.out = projection.out;
      packed.accumulate = projection.accumulate;
      packed.firstTile = step.tiles;
      if (!weights.bias.empty()) {
        QUERN_ASSIGN(const float* bias, vector(weights.bias));
        packed.bias = bias + weights.firstRow;
      }
      step.cols = weights.cols;
      step.quantizes = step.quantizes || kernels_.readsQuantized(tensor.type);
      step.tiles += (weights.rows + kRowTile - 1) / kRowTile;
      step.outputs.push_back(packed);
      plan_.packedBytes += aligned(bytes);
      plan_.widestInput = std::max(plan_.widestInput, weights.cols);
    }
    return step;
  }

  /// A small tensor as floats; null for the empty name.
  base::Result<const float*> vector(const std::string& name) {
    if (name.empty()) return static_cast<const float*>(nullptr);
    const gguf::Tensor& tensor = *file_.tensor(name);
    std::vector<float> values(tensor.elements());
    if (!kernels::reference::dequantizeRow(tensor.type, tensor.data.data(), values.data(), values.size())) {
      return base::Error(base::ErrorCode::kUnsupported,
                         "The model's tensor \"" + name + "\" is of a type that cannot be decoded.");
    }
    plan_.vectors.push_back(std::move(values));
    return static_cast<const float*>(plan_.vectors.back().data());
  }

  /// The matrices lie in the order of the steps, as their packings do.
  void place(std::vector<Step>& steps, std::size_t& next) {
    for (Step& step : steps) {
      auto* project = std::get_if<ProjectStep>(&step);
      if (project == nullptr) continue;
      for (PackedProjection& one : project->outputs) {
        one.matrix.data = plan_.packed.data() + packings_[next++].offset;
      }
    }
  }

  base::Result<void> pack(ThreadPool& pool, const Progress& progress) {
    QUERN_ASSIGN(plan_.packed, AlignedBuffer::allocate(plan_.packedBytes));
    std::size_t placed = 0;
    place(plan_.body, placed);
    place(plan_.head, placed);
    // Pieces of all matrices in one list, which the workers take from in order: the file is read front to
    // back.
    struct Piece {
      const Packing* packing;
      std::int64_t begin, end;
    };
    std::vector<Piece> pieces;
    for (const Packing& packing : packings_) {
      for (std::int64_t row = 0; row < packing.rows; row += kRowsAtOnce) {
        pieces.push_back({&packing, row, std::min(packing.rows, row + kRowsAtOnce)});
      }
    }
    std::atomic<std::size_t> next{0};
    std::atomic<bool> cancelled{false};
    pool.run([&](std::int32_t worker) {
      for (std::size_t i = next.fetch_add(1); i < pieces.size() && !cancelled.load(); i = next.fetch_add(1)) {
        const Piece& piece = pieces[i];
        const Packing& p = *piece.packing;
        kernels_.packRows(p.tensor->type, p.source, p.rows, p.cols, piece.begin, piece.end,
                          plan_.packed.data() + p.offset);
        if (worker == 0 && progress &&
            !progress(static_cast<double>(i) / static_cast<double>(pieces.size()))) {
          cancelled.store(true);
        }
      }
    });
    if (!cancelled.load() && progress && !progress(1.0)) cancelled.store(true);
    if (cancelled.load()) return base::Error(base::ErrorCode::kCancelled, "Loading was cancelled.");
    // The embedding's rows are still read from the file, token by token.
    for (const Packing& packing : packings_) {
      if (packing.tensor != table_) file_.release(*packing.tensor);
    }
    return base::ok();
  }

  const gguf::File& file_;
  const model::Program& program_;
  const kernels::cpu::Kernels& kernels_;
  Plan plan_;
  std::vector<Packing> packings_;
  const gguf::Tensor* table_ = nullptr;
};

}  // namespace

base::Result<Plan> compilePlan(const gguf::File& file, const model::Program& program,
                               const kernels::cpu::Kernels& kernels, ThreadPool& pool,
                               const Progress& progress) {
  return PlanCompiler(file, program, kernels).compile(pool, progress);
}

base::Result<std::uint64_t> packedBytesOf(const gguf::File& file, const model::Program& program,
                                          const kernels::cpu::Kernels& kernels) {
  std::uint64_t bytes = 0;
  for (const auto* operations : {&program.body, &program.head}) {
    for (const model::Operation& operation : *operations) {
      const auto* project = std::get_if<model::Project>(&operation);
      if (project == nullptr) continue;
      for (const model::Projection& projection : project->outputs) {
        const model::WeightRows& weights = projection.weights;
        const kernels::DType type = file.tensor(weights.tensor)->type;
        if (!kernels.supports(type)) {
          return base::Error(
              base::ErrorCode::kUnsupported,
              "The model's tensor \"" + weights.tensor + "\" is stored as " +
                  std::string(kernels::dtypeInfo(type)->name) +
                  ", which Quern cannot compute with yet. A Q4_K_M or Q8_0 file of the same model works.");
        }
        bytes += aligned(kernels.packedBytes(type, weights.rows, weights.cols));
      }
    }
  }
  return bytes;
}

}  // namespace quern::engine::runtime
