#include "engine/convert/metadata.h"

#include <algorithm>
#include <type_traits>

namespace quern::engine::convert {

void Metadata::set(std::string_view key, Value value) {
  const auto known =
      std::find_if(values_.begin(), values_.end(), [&](const auto& entry) { return entry.first == key; });
  if (known != values_.end()) {
    known->second = std::move(value);
  } else {
    values_.emplace_back(key, std::move(value));
  }
}

void Metadata::writeTo(gguf::Writer& writer) const {
  for (const auto& entry : values_) {
    const std::string& key = entry.first;
    std::visit(
        [&](const auto& value) {
          using T = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<T, std::vector<std::string>>) {
            writer.setStrings(key, value);
          } else if constexpr (std::is_same_v<T, std::vector<bool>>) {
            // A vector<bool> has no elements to point at; the format stores one byte each.
            std::unique_ptr<bool[]> flags(new bool[value.size()]);
            std::copy(value.begin(), value.end(), flags.get());
            writer.setArray<bool>(key, {flags.get(), value.size()});
          } else if constexpr (std::is_same_v<T, std::string>) {
            writer.set(key, std::string_view(value));
          } else if constexpr (std::is_arithmetic_v<T>) {
            writer.set(key, value);
          } else {
            writer.setArray<typename T::value_type>(key, value);
          }
        },
        entry.second);
  }
}

}  // namespace quern::engine::convert
