// A safetensors file that anybody may have sent. Nothing may crash, hang, read past the bytes or take memory
// that the file does not.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "engine/convert/checkpoint.h"
#include "engine/convert/safetensors.h"

namespace {

using namespace quern::engine::convert;

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  const auto file = SafetensorsFile::fromMemory(bytes, "fuzz.safetensors");
  if (!file) {
    require(!file.error().message().empty());
    return 0;
  }
  std::size_t total = 0;
  for (const SourceTensor& tensor : (*file)->tensors()) {
    require(tensor.data.size() == tensor.elements() * sizeOf(tensor.type));
    require(tensor.data.empty() || (tensor.data.data() >= bytes.data() &&
                                    tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size()));
    total += tensor.data.size();
    (void)canonicalName(tensor.name);
  }
  require(total <= size);
  return 0;
}
