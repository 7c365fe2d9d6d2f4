// The metadata of the file to be: keys in order, the last word on each counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "engine/gguf/writer.h"

namespace quern::engine::convert {

/// Collects keys that several hands set; not shared by threads.
class Metadata {
 public:
  using Value =
      std::variant<std::uint32_t, float, bool, std::string, std::vector<bool>, std::vector<std::string>,
                   std::vector<std::int32_t>, std::vector<float>, std::vector<std::uint8_t>>;

  explicit Metadata(std::string architecture) : architecture_(std::move(architecture)) {}

  const std::string& architecture() const { return architecture_; }
  /// "general.name" and the like; replaces what the key held.
  void set(std::string_view key, Value value);
  /// The same for "<architecture>.<suffix>".
  void setOwn(std::string_view suffix, Value value) {
    set(architecture_ + "." + std::string(suffix), std::move(value));
  }
  void setCount(std::string_view suffix, std::uint64_t value) {
    setOwn(suffix, static_cast<std::uint32_t>(value));
  }
  void setReal(std::string_view suffix, double value) { setOwn(suffix, static_cast<float>(value)); }

  void writeTo(gguf::Writer& writer) const;

 private:
  std::string architecture_;
  std::vector<std::pair<std::string, Value>> values_;
};

}  // namespace quern::engine::convert
