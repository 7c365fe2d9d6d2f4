// LoRA adapters beside the projections: which rows have which, A · x where inputs are prepared, and B behind
// the model's own matrix.

#include <algorithm>
#include <cmath>

#include "engine/runtime/cpu/cpu_executable.h"

namespace quern::engine::runtime {
namespace {

const CpuAdapter& cpuAdapter(const AdapterUse& use) { return static_cast<const CpuAdapter&>(*use.adapter); }

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

}  // namespace

base::Result<std::shared_ptr<const Adapter>> CpuExecutable::compileAdapter(const gguf::File& file) const {
  QUERN_ASSIGN(const model::Adapter adapter, model::readAdapter(file, *file_, program_));
  QUERN_ASSIGN(auto made, CpuAdapter::make(adapter, program_, kernels_, this));
  return std::shared_ptr<const Adapter>(std::move(made));
}

base::Result<void> CpuExecutable::makeRoomFor(const Adapter& adapter) {
  const auto* own = dynamic_cast<const CpuAdapter*>(&adapter);
  if (own == nullptr || !own->isFor(this)) return invalid("The adapter was loaded for another model.");
  if (own->products() <= productFloats_) return base::ok();
  const auto bytesOf = [&](std::int64_t rows) {
    return static_cast<std::size_t>(rows) * kMostAdapters * static_cast<std::size_t>(own->products()) *
           sizeof(float);
  };
  QUERN_ASSIGN(auto shared, AlignedBuffer::allocate(bytesOf(options_.batchTokens)));
  std::vector<AlignedBuffer> rooms;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    QUERN_ASSIGN(auto one, AlignedBuffer::allocate(bytesOf(kPrivateTokens)));
    rooms.push_back(std::move(one));
  }
  products_ = std::move(shared);
  for (std::size_t i = 0; i < workers_.size(); ++i) workers_[i].products = std::move(rooms[i]);
  productFloats_ = own->products();
  return base::ok();
}

base::Result<void> CpuExecutable::checkAdapters(const Slice& slice) const {
  if (slice.adapters.size() > kMostAdapters) {
    return invalid("A slice has " + std::to_string(slice.adapters.size()) + " adapters; at most " +
                   std::to_string(kMostAdapters) + " can be used at once.");
  }
  for (const AdapterUse& use : slice.adapters) {
    const auto* own = dynamic_cast<const CpuAdapter*>(use.adapter);
    if (own == nullptr || !own->isFor(this) || own->products() > productFloats_) {
      return invalid("A slice has an adapter that no room was made for.");
    }
    if (!std::isfinite(use.scale)) return invalid("A slice's adapter has a scale that is no finite number.");
  }
  return base::ok();
}

void CpuExecutable::layAdapters(const Batch& batch) {
  adapted_.clear();
  adaptedHead_.clear();
  adapters_.clear();
  adapterBytesRead_ = 0;
  std::int32_t first = 0;
  std::int32_t firstWanted = 0;
  for (const Slice& slice : batch.slices) {
    const auto tokens = static_cast<std::int32_t>(slice.tokens.size());
    if (!slice.adapters.empty()) {
      adapted_.push_back({first, tokens, slice.adapters});
      if (slice.logitRows > 0) adaptedHead_.push_back({firstWanted, slice.logitRows, slice.adapters});
    }
    for (const AdapterUse& use : slice.adapters) {
      if (std::find(adapters_.begin(), adapters_.end(), use.adapter) == adapters_.end()) {
        adapters_.push_back(use.adapter);
        adapterBytesRead_ += use.adapter->sizeBytes();
      }
    }
    first += tokens;
    firstWanted += slice.logitRows;
  }
}

/// The products of one input with the first factors of its adapters, scaled.
void CpuExecutable::prepareChanges(const ProjectStep& step, std::span<const AdapterUse> uses,
                                   const float* input, float* products) const {
  for (const AdapterUse& use : uses) {
    const auto* change = cpuAdapter(use).changeOf(step.number);
    for (std::size_t i = 0; change != nullptr && i < change->downs.size(); ++i) {
      const CpuAdapter::Down& down = change->downs[i];
      float* out = products + down.at;
      kernels_.matmul(down.a, 0, down.a.rows, {.values = input, .stride = down.a.cols}, 1, out, down.a.rows,
                      false);
      const float scale = use.scale * down.factor;
      for (std::int64_t r = 0; r < down.a.rows; ++r) out[r] *= scale;
    }
    products += productFloats_;
  }
}

/// Rows [rowBegin, rowEnd) of the second factors, for those tokens of the run that have adapters. They come
/// in the order in which a slice names them, behind the model's own product and before the bias.
void CpuExecutable::addChanges(const ProjectStep& step, std::size_t output, std::int64_t rowBegin,
                               std::int64_t rowEnd, const float* products, const Run& run, bool head) {
  const model::Buffer buffer = step.outputs[output].out;
  const std::int64_t stride = program_.widthOf(buffer);
  for (const Adapted& part : head ? adaptedHead_ : adapted_) {
    const std::int32_t first = std::max(part.first, run.first);
    const std::int32_t end = std::min(part.first + part.tokens, run.first + run.tokens);
    if (first >= end) continue;
    const float* own = products + first * productStride();
    for (const AdapterUse& use : part.uses) {
      const auto* change = cpuAdapter(use).changeOf(step.number);
      if (change != nullptr && change->ups[output].isThere) {
        const CpuAdapter::Up& up = change->ups[output];
        kernels_.matmul(up.b, rowBegin, rowEnd, {.values = own + up.at, .stride = productStride()},
                        end - first, row(buffer, first), stride, true);
      }
      own += productFloats_;
    }
  }
}

}  // namespace quern::engine::runtime
