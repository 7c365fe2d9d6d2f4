// Every format that Quern decodes, against numbers that the `gguf` package decoded
// (tests/data/kernels/formats.txt).

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "kernels/formats/formats.h"
#include "kernels/reference/dequantize.h"

namespace quern::kernels {
namespace {

struct Case {
  std::string name;
  std::vector<std::uint8_t> bytes;
  std::vector<float> values;
};

std::vector<std::uint8_t> fromHex(const std::string& text) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<Case> readCases() {
  std::vector<Case> cases;
  std::ifstream stream(QUERN_SOURCE_DIR "/tests/data/kernels/formats.txt");
  std::string line;
  while (std::getline(stream, line)) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string name;
    std::string bytes;
    std::string values;
    words >> name >> bytes >> values;
    Case next{name, fromHex(bytes), {}};
    const auto raw = fromHex(values);
    next.values.resize(raw.size() / sizeof(float));
    std::memcpy(next.values.data(), raw.data(), next.values.size() * sizeof(float));
    cases.push_back(std::move(next));
  }
  return cases;
}

std::optional<DTypeInfo> typeNamed(const std::string& name) {
  for (std::uint32_t id = 0; id < 64; ++id) {
    if (const DTypeInfo* info = dtypeInfo(id); info != nullptr && info->name == name) return *info;
  }
  return std::nullopt;
}

TEST(Formats, DecodeAsTheGgufPackageDoes) {
  const auto cases = readCases();
  ASSERT_GT(cases.size(), 30U);
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    const auto info = typeNamed(test.name);
    ASSERT_TRUE(info);
    ASSERT_EQ(test.bytes.size(), test.values.size() / info->blockElements * info->blockBytes);
    std::vector<float> decoded(test.values.size(), 12345.0F);
    ASSERT_TRUE(reference::dequantizeRow(info->type, test.bytes.data(), decoded.data(), decoded.size()));
    float largest = 0;
    for (const float value : test.values) {
      if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
    }
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      if (!std::isfinite(test.values[i])) {
        EXPECT_EQ(decoded[i], test.values[i]) << i;
        continue;
      }
      // The order of the two multiplications may differ by one rounding, nothing more.
      EXPECT_LE(std::abs(decoded[i] - test.values[i]), largest * 2e-7F) << i << ": " << decoded[i];
    }
  }
}

TEST(Formats, EveryDecodableTypeHasACase) {
  std::map<std::string, int> counts;
  for (const Case& test : readCases()) ++counts[test.name];
  for (std::uint32_t id = 0; id < 64; ++id) {
    const DTypeInfo* info = dtypeInfo(id);
    if (info == nullptr || !info->decodable || info->type == DType::kF32) continue;
    EXPECT_GE(counts[std::string(info->name)], 1) << info->name;
  }
}

TEST(Formats, RefusesPartsOfBlocksAndWhatItCannotDecode) {
  std::vector<std::uint8_t> bytes(1024);
  std::vector<float> values(512);
  EXPECT_FALSE(reference::dequantizeRow(DType::kQ4_0, bytes.data(), values.data(), 31));
  EXPECT_FALSE(reference::dequantizeRow(DType::kQ4_K, bytes.data(), values.data(), 32));
  EXPECT_FALSE(reference::dequantizeRow(DType::kIQ2_S, bytes.data(), values.data(), 256));
  EXPECT_FALSE(reference::dequantizeRow(DType::kI32, bytes.data(), values.data(), 8));
}

}  // namespace
}  // namespace quern::kernels
