#include "engine/scheduler/model_hash.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <span>

#include "engine/gguf/file.h"

namespace quern::engine::scheduler {
namespace {

constexpr std::size_t kSamples = 5;
/// A page: that much is read from the disk anyway.
constexpr std::size_t kSampleBytes = 4096;

class Hash {
 public:
  Hash() : state_(XXH3_createState(), XXH3_freeState) {
    QUERN_CHECK(state_ != nullptr, "no memory for a hash");
    XXH3_128bits_reset(state_.get());
  }
  /// Every part with its length before it, so that no two ways of cutting give the same.
  void add(std::span<const std::byte> bytes) {
    addNumber(bytes.size());
    XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
  }
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  void addNumber(std::uint64_t number) { XXH3_128bits_update(state_.get(), &number, sizeof number); }
  ModelHash result() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    return {hash.high64, hash.low64};
  }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

void addSamples(Hash& hash, std::span<const std::byte> data) {
  hash.addNumber(data.size());
  if (data.size() <= kSamples * kSampleBytes) return hash.add(data);
  for (std::size_t i = 0; i < kSamples; ++i) {
    const std::size_t at = (data.size() - kSampleBytes) / (kSamples - 1) * i;
    hash.add(data.subspan(at, kSampleBytes));
  }
}

}  // namespace

ModelHash hashModel(const gguf::File& file, std::string_view numerics) {
  Hash hash;
  hash.add(numerics);
  for (const gguf::Entry& entry : file.metadata()) {
    hash.add(entry.key);
    hash.addNumber(static_cast<std::uint64_t>(entry.value.type()));
    hash.add(entry.value.payload());
  }
  for (const gguf::Tensor& tensor : file.tensors()) {
    hash.add(tensor.name);
    hash.addNumber(static_cast<std::uint64_t>(tensor.type));
    for (const std::uint64_t dim : tensor.dims) hash.addNumber(dim);
    addSamples(hash, tensor.data);
  }
  return hash.result();
}

}  // namespace quern::engine::scheduler
