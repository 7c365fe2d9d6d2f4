// A GGUF file that anybody may have sent: opened from memory, then everything in it looked at the way the
// rest of the engine does. Nothing may crash, hang, read past the bytes or take memory that the file does
// not.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"
#include "kernels/reference/dequantize.h"

namespace {

using namespace quern;
using engine::gguf::File;
using engine::gguf::Tensor;
using engine::gguf::Value;

/// Stops the run where a promise of the header does not hold.
void require(bool condition) {
  if (!condition) std::abort();
}

void look(const File& file, std::string_view key, const Value& value) {
  (void)value.asUnsigned();
  (void)value.asInteger();
  (void)value.asNumber();
  (void)value.asBool();
  if (const auto text = value.asString()) require(text->size() == value.payload().size());
  if (const auto texts = value.asStrings()) {
    require(texts->size() == value.count());
    std::size_t bytes = 0;
    for (const std::string_view text : *texts) bytes += text.size();
    require(bytes <= file.sizeBytes());
  }
  if (const auto numbers = value.asFloats()) require(numbers->size() == value.count());
  if (const auto numbers = value.asIntegers()) require(numbers->size() == value.count());
  require(file.find(key) != nullptr);
  (void)file.unsignedAt(key);
  (void)file.numberAt(key);
  (void)file.stringAt(key);
  (void)file.optionalBool(key);
}

void look(const File& file, const Tensor& tensor, std::span<const std::byte> bytes) {
  require(file.tensor(tensor.name) != nullptr);
  require(tensor.rows() * tensor.rowElements() == tensor.elements());
  require(tensor.data.data() >= bytes.data());
  require(tensor.data.data() + tensor.data.size() <= bytes.data() + bytes.size());
  constexpr std::uint64_t kSmall = 1U << 16;
  if (tensor.elements() > kSmall) return;
  std::vector<float> values(tensor.elements());
  (void)kernels::reference::dequantizeRow(tensor.type, tensor.data.data(), values.data(), values.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto opened = File::fromMemory(bytes, "fuzz");
  if (!opened) {
    require(!opened.error().message().empty());
    return 0;
  }
  const File& file = **opened;
  require(file.sizeBytes() == size);
  for (const auto& entry : file.metadata()) look(file, entry.key, entry.value);
  for (const Tensor& tensor : file.tensors()) look(file, tensor, bytes);
  (void)engine::scheduler::inspect(file);
  if (const auto tokenizer = engine::tokenizer::Tokenizer::fromGguf(file)) {
    (void)(*tokenizer)->decode((*tokenizer)->encode("Grind \xF0\x9F\x8C\xBE <s> 42\xFF"), true);
  }
  return 0;
}
