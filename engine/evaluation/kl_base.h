// How far a model's distributions lie from another's over the same text: the other's are kept in a file, in
// the format of llama-perplexity's --kl-divergence-base, so that either program reads what the other wrote.
//
// The file: "_logits_", then as int32 the window, the vocabulary and the number of windows, then all tokens;
// then for every scored row a float scale, a float minimum and one u16 for each token of the vocabulary (and
// one more where it is odd): log-probability = minimum + scale · u16, cut off 16 nats below the likeliest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/gguf/output_file.h"

namespace quern::engine::evaluation {

/// Writes a base; the file appears when finish() succeeds.
class KlBaseWriter {
 public:
  /// `tokens` is cut to whole windows. Errors: kIo.
  static base::Result<KlBaseWriter> create(const std::filesystem::path& path, std::int32_t context,
                                           std::int32_t vocabulary, std::span<const std::int32_t> tokens);
  base::Result<void> add(std::span<const float> logits);
  base::Result<void> finish();

 private:
  KlBaseWriter(gguf::OutputFile file, std::size_t rowWords) : file_(std::move(file)), row_(rowWords) {}
  gguf::OutputFile file_;
  std::vector<std::uint16_t> row_;
};

/// The mean over all rows, and how sure it is.
struct Divergence {
  double meanNats = 0;  ///< KL(base ‖ model)
  double standardError = 0;
  double maxNats = 0;
  double sameTop = 0;  ///< share of rows whose likeliest token is the base's
  double basePerplexity = 0;
  std::int64_t rows = 0;
};

/// Reads a base row by row beside the model that is measured.
class KlBaseReader {
 public:
  /// Errors: kNotFound, kMalformed (not such a file, or shorter than it says).
  static base::Result<KlBaseReader> open(const std::filesystem::path& path);

  std::int32_t context() const { return context_; }
  std::int32_t vocabulary() const { return vocabulary_; }
  const std::vector<std::int32_t>& tokens() const { return tokens_; }

  /// Compares the next row with `logits` [vocabulary()]; `next` is the token that follows.
  base::Result<void> compare(std::span<const float> logits, std::int32_t next);
  Divergence result() const;

 private:
  KlBaseReader() = default;
  std::ifstream stream_;
  std::string name_;
  std::int32_t context_ = 0;
  std::int32_t vocabulary_ = 0;
  std::vector<std::int32_t> tokens_;
  std::vector<std::uint16_t> row_;
  std::int64_t rows_ = 0;
  std::int64_t sameTop_ = 0;
  double sum_ = 0;
  double squares_ = 0;
  double max_ = 0;
  double baseNats_ = 0;
};

}  // namespace quern::engine::evaluation
