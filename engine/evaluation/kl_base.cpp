#include "engine/evaluation/kl_base.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <utility>

#include "engine/base/text.h"
#include "engine/evaluation/perplexity.h"

namespace quern::engine::evaluation {
namespace {

constexpr char kMagic[8] = {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};
/// What lies further below the likeliest token is written as being that far below.
constexpr float kSpanNats = 16.0F;
constexpr float kSteps = 65535.0F;
/// Words of a row before its tokens: two floats.
constexpr std::size_t kRowHead = 4;

std::size_t rowWords(std::int32_t vocabulary) {
  return static_cast<std::size_t>((vocabulary + 1) / 2) * 2 + kRowHead;
}

/// ln Σ exp(logits)
double logSum(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - largest));
  return static_cast<double>(largest) + std::log(sum);
}

}  // namespace

base::Result<KlBaseWriter> KlBaseWriter::create(const std::filesystem::path& path, std::int32_t context,
                                                std::int32_t vocabulary,
                                                std::span<const std::int32_t> tokens) {
  QUERN_ASSIGN(gguf::OutputFile file, gguf::OutputFile::create(path));
  const auto windows = static_cast<std::int32_t>(tokens.size() / static_cast<std::size_t>(context));
  const std::int32_t head[3] = {context, vocabulary, windows};
  QUERN_TRY(file.append(std::as_bytes(std::span(kMagic))));
  QUERN_TRY(file.append(std::as_bytes(std::span(head))));
  QUERN_TRY(file.append(
      std::as_bytes(tokens.first(static_cast<std::size_t>(windows) * static_cast<std::size_t>(context)))));
  return KlBaseWriter(std::move(file), rowWords(vocabulary));
}

base::Result<void> KlBaseWriter::add(std::span<const float> logits) {
  const auto [least, most] = std::minmax_element(logits.begin(), logits.end());
  const float bottom = std::max(*least, *most - kSpanNats);
  const float scale = (*most - bottom) / kSteps;
  const float minimum = static_cast<float>(static_cast<double>(bottom) - logSum(logits));
  std::fill(row_.begin(), row_.end(), std::uint16_t{0});
  std::memcpy(row_.data(), &scale, sizeof scale);
  std::memcpy(row_.data() + 2, &minimum, sizeof minimum);
  for (std::size_t i = 0; scale > 0 && i < logits.size(); ++i) {
    if (logits[i] > bottom) {
      row_[kRowHead + i] =
          static_cast<std::uint16_t>(std::min(kSteps, std::nearbyint((logits[i] - bottom) / scale)));
    }
  }
  return file_.append(std::as_bytes(std::span(row_)));
}

base::Result<void> KlBaseWriter::finish() {
  QUERN_TRY(file_.finish());
  return file_.publish();
}

base::Result<KlBaseReader> KlBaseReader::open(const std::filesystem::path& path) {
  KlBaseReader reader;
  reader.name_ = "\"" + base::printable(path.string()) + "\"";
  reader.stream_.open(path, std::ios::binary);
  if (!reader.stream_.is_open()) {
    return base::Error(base::ErrorCode::kNotFound, "The base " + reader.name_ + " cannot be read.");
  }
  const auto malformed = [&](const char* why) {
    return base::Error(base::ErrorCode::kMalformed, reader.name_ + " " + why + ".");
  };
  char magic[sizeof kMagic] = {};
  std::int32_t head[3] = {};
  reader.stream_.read(magic, sizeof magic);
  reader.stream_.read(reinterpret_cast<char*>(head), sizeof head);
  if (!reader.stream_ || std::memcmp(magic, kMagic, sizeof magic) != 0) {
    return malformed("is no base of log-probabilities, as --kl-base writes it");
  }
  const auto [context, vocabulary, windows] = std::tuple(head[0], head[1], head[2]);
  std::error_code failure;
  const std::uint64_t size = std::filesystem::file_size(path, failure);
  // Bounded by 2^24 each, so that no product below overflows.
  constexpr std::int32_t kMost = 1 << 24;
  const bool sensible = context >= 4 && context < kMost && vocabulary > 0 && vocabulary < kMost &&
                        windows > 0 && windows < kMost;
  if (failure || !sensible) return malformed("has a head that makes no sense");
  const std::uint64_t tokens = static_cast<std::uint64_t>(context) * static_cast<std::uint64_t>(windows);
  const std::uint64_t perWindow = static_cast<std::uint64_t>(scoredRows(context)) * rowWords(vocabulary) * 2;
  const std::uint64_t before = sizeof magic + sizeof head;
  if (size < before || (size - before) / static_cast<std::uint64_t>(windows) <
                           perWindow + static_cast<std::uint64_t>(context) * sizeof(std::int32_t)) {
    return malformed("is shorter than it says: it was not written to its end");
  }
  reader.context_ = context;
  reader.vocabulary_ = vocabulary;
  reader.tokens_.resize(tokens);
  reader.stream_.read(reinterpret_cast<char*>(reader.tokens_.data()),
                      static_cast<std::streamsize>(tokens * sizeof(std::int32_t)));
  if (!reader.stream_) return malformed("cannot be read");
  for (const std::int32_t token : reader.tokens_) {
    if (token < 0 || token >= vocabulary) return malformed("holds tokens that its vocabulary has not");
  }
  reader.row_.resize(rowWords(vocabulary));
  return reader;
}

base::Result<void> KlBaseReader::compare(std::span<const float> logits, std::int32_t next) {
  QUERN_CHECK(logits.size() == static_cast<std::size_t>(vocabulary_), "another vocabulary than the base's");
  stream_.read(reinterpret_cast<char*>(row_.data()), static_cast<std::streamsize>(row_.size() * 2));
  if (!stream_) return base::Error(base::ErrorCode::kIo, "The base " + name_ + " cannot be read.");
  float scale = 0;
  float minimum = 0;
  std::memcpy(&scale, row_.data(), sizeof scale);
  std::memcpy(&minimum, row_.data() + 2, sizeof minimum);
  const std::span<const std::uint16_t> steps(row_.data() + kRowHead, logits.size());
  const double log = logSum(logits);
  double divergence = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float logBase = minimum + scale * static_cast<float>(steps[i]);
    if (logBase <= -kSpanNats) continue;  // under 10⁻⁷: adds nothing
    divergence += std::exp(static_cast<double>(logBase)) *
                  (static_cast<double>(logBase) - (static_cast<double>(logits[i]) - log));
  }
  const auto top = std::max_element(logits.begin(), logits.end()) - logits.begin();
  const auto baseTop = std::max_element(steps.begin(), steps.end()) - steps.begin();
  sum_ += divergence;
  squares_ += divergence * divergence;
  max_ = std::max(max_, divergence);
  sameTop_ += top == baseTop ? 1 : 0;
  baseNats_ -=
      static_cast<double>(minimum + scale * static_cast<float>(steps[static_cast<std::size_t>(next)]));
  ++rows_;
  return base::ok();
}

Divergence KlBaseReader::result() const {
  Divergence result;
  if (rows_ == 0) return result;
  const auto count = static_cast<double>(rows_);
  result.rows = rows_;
  result.meanNats = sum_ / count;
  const double variance = squares_ / count - result.meanNats * result.meanNats;
  result.standardError = rows_ > 1 && variance > 0 ? std::sqrt(variance / (count - 1)) : 0;
  result.maxNats = max_;
  result.sameTop = static_cast<double>(sameTop_) / count;
  result.basePerplexity = std::exp(baseNats_ / count);
  return result;
}

}  // namespace quern::engine::evaluation
