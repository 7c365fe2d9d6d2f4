#include "engine/runtime/cpu/plan.h"

#include <algorithm>

#include "engine/gguf/file.h"
#include "engine/runtime/cpu/packing.h"
#include "engine/runtime/cpu/thread_pool.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::runtime {
namespace {

using kernels::cpu::kRowTile;

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
  base::Result<void> operations(const std::vector<model::Operation>& from, std::vector<Step>& to) {
    const model::Norm* norm = nullptr;  // waits for the projection that reads it
    const model::Activate* activate = nullptr;
    for (const model::Operation& operation : from) {
      if (const auto* embed = std::get_if<model::Embed>(&operation)) {
        EmbedStep step;
        QUERN_ASSIGN(step.tokens, table(embed->tensor));
        step.scale = embed->scale;
        QUERN_ASSIGN(step.positions, table(embed->positions));
        QUERN_ASSIGN(step.constant, vector(embed->constant));
        plan_.embedRowBytes = step.tokens.rowBytes + step.positions.rowBytes;
        to.emplace_back(step);
      } else if (const auto* found = std::get_if<model::Norm>(&operation)) {
        if (!found->addToResidual && found->in != found->out) {
          norm = found;
          continue;
        }
        QUERN_ASSIGN(const NormWeights weights, normWeights(*found));
        if (found->addToResidual) {
          to.emplace_back(NormAddStep{found->in, weights});
        } else {
          to.emplace_back(NormStep{found->in, weights});
        }
      } else if (const auto* act = std::get_if<model::Activate>(&operation)) {
        activate = act;
      } else if (const auto* project = std::get_if<model::Project>(&operation)) {
        QUERN_ASSIGN(ProjectStep step, projection(*project));
        if (project->in == model::Buffer::kNormed && norm != nullptr) {
          step.prepare = ProjectStep::Prepare::kNorm;
          step.in = norm->in;
          QUERN_ASSIGN(step.norm, normWeights(*norm));
        } else if (project->in == model::Buffer::kHidden && activate != nullptr) {
          step.prepare = preparation(activate->activation);
          step.hasUp = activate->isGated;
        }
        step.scale = project->scale;
        step.isGated = project->isGated;
        to.emplace_back(std::move(step));
      } else if (const auto* attend = std::get_if<model::Attend>(&operation)) {
        QUERN_ASSIGN(const float* queryNorm, vector(attend->queryNorm));
        QUERN_ASSIGN(const float* keyNorm, vector(attend->keyNorm));
        QUERN_ASSIGN(const float* sinks, vector(attend->sinks));
        AttendStep step{attend->layer, attend->rope,    queryNorm,      keyNorm, attend->epsilon,
                        attend->scale, attend->softcap, attend->window, sinks};
        step.isCentred = attend->isCentred;
        step.queryNormStride = headStride(attend->queryNorm);
        step.keyNormStride = headStride(attend->keyNorm);
        to.emplace_back(step);
      } else if (const auto* mix = std::get_if<model::Experts>(&operation)) {
        QUERN_ASSIGN(ExpertsStep step, experts(*mix));
        if (mix->in == model::Buffer::kNormed && norm != nullptr) {
          step.in = norm->in;
          step.epsilon = norm->epsilon;
          QUERN_ASSIGN(step.norm, vector(norm->weight));
        }
        to.emplace_back(std::move(step));
      } else if (const auto* absorb = std::get_if<model::AbsorbKeys>(&operation)) {
        AbsorbKeysStep step;
        step.epsilon = absorb->epsilon;
        QUERN_ASSIGN(step.norm, vector(absorb->norm));
        QUERN_ASSIGN(step.keys, packedStack(absorb->keys, program_.heads));
        to.emplace_back(std::move(step));
      } else if (const auto* expand = std::get_if<model::ExpandValues>(&operation)) {
        ExpandValuesStep step;
        QUERN_ASSIGN(step.values, packedStack(expand->values, program_.heads));
        to.emplace_back(std::move(step));
      }
    }
    return base::ok();
  }

  static ProjectStep::Prepare preparation(model::Activation activation) {
    switch (activation) {
      case model::Activation::kSilu:
        return ProjectStep::Prepare::kSilu;
      case model::Activation::kGeluTanh:
        return ProjectStep::Prepare::kGelu;
      case model::Activation::kGeluErf:
        return ProjectStep::Prepare::kGeluErf;
      case model::Activation::kSwigluOai:
        return ProjectStep::Prepare::kSwigluOai;
    }
    return ProjectStep::Prepare::kNone;
  }

  /// A matrix of norms, one a head, or one vector for all.
  std::int64_t headStride(const std::string& norm) const {
    return !norm.empty() && file_.tensor(norm)->rows() > 1 ? program_.headDim : 0;
  }

  base::Result<NormWeights> normWeights(const model::Norm& norm) {
    QUERN_ASSIGN(const float* weight, vector(norm.weight));
    QUERN_ASSIGN(const float* bias, vector(norm.bias));
    return NormWeights{weight, bias, norm.isCentred, norm.epsilon};
  }

  /// Rows that are looked up; none for the empty name.
  base::Result<RowTable> table(const std::string& name) const {
    if (name.empty()) return RowTable{};
    const gguf::Tensor& tensor = *file_.tensor(name);
    if (!kernels::dtypeInfo(tensor.type)->decodable) {
      return base::Error(base::ErrorCode::kUnsupported,
                         "The model's tensor \"" + name + "\" is stored as " +
                             std::string(kernels::dtypeInfo(tensor.type)->name) +
                             ", which Quern cannot decode. A Q4_K_M or Q8_0 file of the same model works.");
    }
    return RowTable{tensor.type, tensor.data.data(), tensor.data.size() / tensor.rows()};
  }

  base::Result<ExpertsStep> experts(const model::Experts& mix) {
    ExpertsStep step;
    step.in = mix.in;
    step.out = mix.out;
    step.accumulate = mix.accumulate;
    step.choice = mix.choice;
    step.activation = mix.activation;
    QUERN_ASSIGN(step.choiceBias, vector(mix.choice.bias));
    QUERN_ASSIGN(step.gate, packedStack(mix.gate, mix.choice.experts));
    QUERN_ASSIGN(step.up, packedStack(mix.up, mix.choice.experts));
    QUERN_ASSIGN(step.down, packedStack(mix.down, mix.choice.experts));
    for (const auto& [stack, reads] : {std::pair{&step.gate, &step.reads}, std::pair{&step.up, &step.reads},
                                       std::pair{&step.down, &step.readsHidden}}) {
      (kernels_.readsQuantized(stack->matrix.type) ? reads->quantized : reads->values) = true;
    }
    return step;
  }

  /// One matrix of every expert, packed one by one: rows of different experts share no tile.
  base::Result<PackedStack> packedStack(const model::StackedWeights& weights, std::int32_t count) {
    const gguf::Tensor& tensor = *file_.tensor(weights.tensor);
    const std::size_t bytes = kernels_.packedBytes(tensor.type, weights.rows, weights.cols);
    const std::size_t sourceBytes = tensor.data.size() / static_cast<std::size_t>(count);
    PackedStack packed;
    packed.matrix = {tensor.type, weights.rows, weights.cols, nullptr, bytes};
    packed.stride = aligned(bytes);
    packed.count = count;
    for (std::int32_t expert = 0; expert < count; ++expert) {
      packings_.push_back({tensor.type,
                           tensor.data.subspan(static_cast<std::size_t>(expert) * sourceBytes, sourceBytes),
                           weights.rows, weights.cols, nullptr});
      offsets_.push_back(plan_.packedBytes);
      plan_.packedBytes += packed.stride;
    }
    QUERN_ASSIGN(packed.bias, vector(weights.bias));
    return packed;
  }

  base::Result<ProjectStep> projection(const model::Project& project) {
    ProjectStep step;
    step.in = project.in;
    step.number = projections_++;
    for (const model::Projection& projection : project.outputs) {
      const model::WeightRows& weights = projection.weights;
      const gguf::Tensor& tensor = *file_.tensor(weights.tensor);
      const std::size_t bytes = kernels_.packedBytes(tensor.type, weights.rows, weights.cols);
      const std::size_t rowBytes = tensor.data.size() / tensor.rows();
      packings_.push_back({tensor.type,
                           tensor.data.subspan(static_cast<std::size_t>(weights.firstRow) * rowBytes,
                                               static_cast<std::size_t>(weights.rows) * rowBytes),
                           weights.rows, weights.cols, nullptr});
      offsets_.push_back(plan_.packedBytes);

      PackedProjection packed;
      packed.matrix = {tensor.type, weights.rows, weights.cols, nullptr, bytes};
      packed.out = projection.out;
      packed.accumulate = projection.accumulate;
      packed.firstTile = step.tiles;
      if (!weights.bias.empty()) {
        QUERN_ASSIGN(const float* bias, vector(weights.bias));
        for (float& value : plan_.vectors.back()) value *= project.scale;
        packed.bias = bias + weights.firstRow;
      }
      step.cols = weights.cols;
      step.quantizes = step.quantizes || kernels_.readsQuantized(tensor.type);
      step.readsValues = step.readsValues || !kernels_.readsQuantized(tensor.type);
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

  /// The stacks of a step in the order in which they were packed.
  static std::vector<PackedStack*> stacksOf(Step& step) {
    if (auto* mix = std::get_if<ExpertsStep>(&step)) return {&mix->gate, &mix->up, &mix->down};
    if (auto* absorb = std::get_if<AbsorbKeysStep>(&step)) return {&absorb->keys};
    if (auto* expand = std::get_if<ExpandValuesStep>(&step)) return {&expand->values};
    return {};
  }

  /// The matrices lie in the order of the steps, as their packings do.
  void place(std::vector<Step>& steps, std::size_t& next) {
    for (Step& step : steps) {
      for (PackedStack* stack : stacksOf(step)) {
        stack->matrix.data = plan_.packed.data() + offsets_[next];
        for (std::int32_t i = 0; i < stack->count; ++i, ++next) {
          packings_[next].target = plan_.packed.data() + offsets_[next];
        }
      }
      auto* project = std::get_if<ProjectStep>(&step);
      if (project == nullptr) continue;
      for (PackedProjection& one : project->outputs) {
        packings_[next].target = plan_.packed.data() + offsets_[next];
        one.matrix.data = packings_[next++].target;
      }
    }
  }

  base::Result<void> pack(ThreadPool& pool, const Progress& progress) {
    QUERN_ASSIGN(plan_.packed, AlignedBuffer::allocate(plan_.packedBytes));
    std::size_t placed = 0;
    place(plan_.body, placed);
    place(plan_.head, placed);
    QUERN_ASSIGN(plan_.smallPages, packMatrices(file_, kernels_, packings_,
                                                {plan_.packed.data(), plan_.packed.size()}, pool, progress));
    return base::ok();
  }

  const gguf::File& file_;
  const model::Program& program_;
  const kernels::cpu::Kernels& kernels_;
  Plan plan_;
  std::int32_t projections_ = 0;
  std::vector<Packing> packings_;
  std::vector<std::size_t> offsets_;  ///< of each packing in Plan::packed
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
  const auto add = [&](const std::string& tensor, std::int64_t rows, std::int64_t cols,
                       std::int32_t matrices) -> base::Result<void> {
    const kernels::DType type = file.tensor(tensor)->type;
    if (!kernels.supports(type)) {
      return base::Error(
          base::ErrorCode::kUnsupported,
          "The model's tensor \"" + tensor + "\" is stored as " +
              std::string(kernels::dtypeInfo(type)->name) +
              ", which Quern cannot compute with yet. A Q4_K_M or Q8_0 file of the same model works.");
    }
    bytes += static_cast<std::uint64_t>(matrices) * aligned(kernels.packedBytes(type, rows, cols));
    return base::ok();
  };
  for (const auto* operations : {&program.body, &program.head}) {
    for (const model::Operation& operation : *operations) {
      if (const auto* mix = std::get_if<model::Experts>(&operation)) {
        for (const model::StackedWeights* each : {&mix->gate, &mix->up, &mix->down}) {
          QUERN_TRY(add(each->tensor, each->rows, each->cols, mix->choice.experts));
        }
      }
      if (const auto* absorb = std::get_if<model::AbsorbKeys>(&operation)) {
        QUERN_TRY(add(absorb->keys.tensor, absorb->keys.rows, absorb->keys.cols, program.heads));
      }
      if (const auto* expand = std::get_if<model::ExpandValues>(&operation)) {
        QUERN_TRY(add(expand->values.tensor, expand->values.rows, expand->values.cols, program.heads));
      }
      const auto* project = std::get_if<model::Project>(&operation);
      if (project == nullptr) continue;
      for (const model::Projection& projection : project->outputs) {
        const model::WeightRows& weights = projection.weights;
        QUERN_TRY(add(weights.tensor, weights.rows, weights.cols, 1));
      }
    }
  }
  return bytes;
}

}  // namespace quern::engine::runtime
