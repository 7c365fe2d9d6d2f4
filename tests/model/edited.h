// A tiny model's file, changed in one place.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include "engine/gguf/file.h"
#include "engine/model/architecture.h"
#include "engine/model/program.h"

namespace quern::engine::model {

class Edited {
 public:
  explicit Edited(const std::string& name) {
    std::ifstream in(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model" / (name + ".gguf"),
                     std::ios::binary);
    bytes_.assign(std::istreambuf_iterator<char>(in), {});
  }

  /// Overwrites text in every place; the lengths are the same, so that the file stays well formed.
  Edited& replace(const std::string& from, const std::string& to) {
    EXPECT_EQ(from.size(), to.size());
    std::size_t found = 0;
    for (std::size_t at = bytes_.find(from); at != std::string::npos; at = bytes_.find(from, at + 1)) {
      bytes_.replace(at, from.size(), to);
      ++found;
    }
    EXPECT_GT(found, 0U) << from;
    return *this;
  }
  /// Overwrites a scalar of four bytes (u32, i32 or f32).
  template <class T>
  Edited& set(const std::string& key, T value) {
    static_assert(sizeof(T) == 4);
    const std::size_t at = bytes_.find(key);
    EXPECT_NE(at, std::string::npos) << key;
    std::uint32_t type = 0;
    std::memcpy(&type, bytes_.data() + at + key.size(), 4);
    EXPECT_TRUE(type >= 4 && type <= 6) << key << " has type " << type;
    std::memcpy(bytes_.data() + at + key.size() + 4, &value, 4);
    return *this;
  }
  /// Overwrites one of a tensor's dimensions.
  Edited& setDim(const std::string& tensor, int dim, std::uint64_t value) {
    const std::size_t at = bytes_.rfind(tensor);
    EXPECT_NE(at, std::string::npos) << tensor;
    std::memcpy(bytes_.data() + at + tensor.size() + 4 + 8 * static_cast<std::size_t>(dim), &value, 8);
    return *this;
  }

  base::Result<Program> build() const {
    QUERN_ASSIGN(const auto file, gguf::File::fromMemory(std::as_bytes(std::span(bytes_)), "edited.gguf"));
    return buildProgram(*file);
  }
  /// The sentence of the refusal; empty when the file was taken.
  std::string refusal(base::ErrorCode code = base::ErrorCode::kMalformed) const {
    const auto built = build();
    if (built) return "";
    EXPECT_EQ(built.error().code(), code) << built.error().message();
    return built.error().message();
  }

 private:
  std::string bytes_;
};

inline testing::AssertionResult names(const std::string& sentence, const std::string& what) {
  if (sentence.find(what) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "\"" << sentence << "\" does not name " << what;
}

}  // namespace quern::engine::model
