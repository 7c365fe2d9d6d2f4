// A GGUF file beside what llama.cpp's converter wrote (tests/conformance/make_convert_cases.py).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "engine/gguf/file.h"

namespace quern::engine::convert::testing_expected {

using nlohmann::json;

inline std::string fnv1a(std::span<const std::byte> data) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (std::size_t at = 0; at < data.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data.data() + at, std::min<std::size_t>(8, data.size() - at));
    hash = (hash ^ word) * 0x100000001B3;
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

inline bool sameValue(const gguf::Value& value, const json& expected) {
  if (expected.is_boolean()) return value.asBool() == expected.get<bool>();
  if (expected.is_string()) return value.asString() == expected.get<std::string>();
  if (expected.is_array() && !expected.empty() && expected[0].is_string()) {
    const auto texts = value.asStrings();
    return texts && std::equal(texts->begin(), texts->end(), expected.begin(), expected.end());
  }
  if (expected.is_array()) {
    const auto numbers = value.asIntegers();
    if (!numbers || numbers->size() != expected.size()) return false;
    return std::equal(
        numbers->begin(), numbers->end(), expected.begin(), [](std::int64_t ours, const json& theirs) {
          return ours == (theirs.is_boolean() ? theirs.get<bool>() : theirs.get<std::int64_t>());
        });
  }
  const auto number = value.asNumber();
  return number && static_cast<float>(*number) == expected.get<float>();
}

inline void expectFile(const gguf::File& file, const json& expected) {
  for (const auto& [key, value] : expected["keys"].items()) {
    const gguf::Value* ours = file.find(key);
    ASSERT_NE(ours, nullptr) << key << " should be " << value;
    EXPECT_TRUE(sameValue(*ours, value)) << key << " should be " << value;
  }
  EXPECT_EQ(file.tensors().size(), expected["tensors"].size());
  for (const auto& [name, facts] : expected["tensors"].items()) {
    const gguf::Tensor* ours = file.tensor(name);
    ASSERT_NE(ours, nullptr) << name;
    EXPECT_EQ(gguf::typeName(*ours), facts[0].get<std::string>()) << name;
    EXPECT_EQ(ours->dims, facts[1].get<std::vector<std::uint64_t>>()) << name;
    if (facts[2].is_string()) {
      EXPECT_EQ(fnv1a(ours->data), facts[2].get<std::string>()) << name << " " << expected["type"];
      continue;
    }
    const auto values = facts[2].get<std::vector<float>>();
    ASSERT_EQ(ours->data.size(), values.size() * sizeof(float)) << name;
    for (std::size_t i = 0; i < values.size(); ++i) {
      float value = 0;
      std::memcpy(&value, ours->data.data() + i * sizeof value, sizeof value);
      EXPECT_NEAR(value, values[i], 2e-6F * values[i]) << name << " " << i;
    }
  }
}

}  // namespace quern::engine::convert::testing_expected
