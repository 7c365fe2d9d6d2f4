// Safetensors files and folders written by hand, so that every lie can be told.
#pragma once

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace quern::engine::convert::testing_craft {

inline std::string safetensors(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  return file + header + data;
}

/// One float32 tensor after another.
inline std::string floatTensors(
    const std::vector<std::pair<std::string, std::vector<std::uint64_t>>>& tensors, float value = 1.0F) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::string data;
  for (const auto& [name, shape] : tensors) {
    std::uint64_t count = 1;
    for (const std::uint64_t dim : shape) count *= dim;
    const std::uint64_t begin = data.size();
    for (std::uint64_t i = 0; i < count; ++i) {
      const float number = value + static_cast<float>(i);
      data.append(reinterpret_cast<const char*>(&number), sizeof number);
    }
    header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {begin, data.size()}}};
  }
  return safetensors(header.dump(), data);
}

inline void write(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

/// A tokenizer that any model may have: BERT's way of cutting, four tokens.
inline const char* const kVocabTxt = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";

}  // namespace quern::engine::convert::testing_craft
