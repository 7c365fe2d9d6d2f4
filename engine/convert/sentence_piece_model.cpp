// SentencePiece's tokenizer.model: a protocol buffer of which a converter needs three messages. Source of the
// field numbers: sentencepiece_model.proto (google/sentencepiece); of the wire format:
// protobuf.dev/programming- guides/encoding.

#include <cstring>

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"

namespace quern::engine::convert {
namespace {

using tokenizer::TokenKind;

constexpr std::uint64_t kUnigram = 1;
constexpr std::uint64_t kBytePair = 2;

base::Error broken() {
  return {base::ErrorCode::kMalformed,
          "The model's tokenizer.model is no SentencePiece model, or ends too early; download it again."};
}

/// One field of a message: its number, and a number or bytes.
struct Field {
  std::uint64_t number = 0;
  std::uint64_t value = 0;
  std::string_view bytes;
};

/// Walks over the fields of a message; every length is checked against what is left.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}

  bool atEnd() const { return rest_.empty(); }

  base::Result<Field> next() {
    Field field;
    std::uint64_t tag = 0;
    if (!varint(tag)) return broken();
    field.number = tag >> 3;
    switch (tag & 7) {
      case 0:
        if (!varint(field.value)) return broken();
        return field;
      case 1:
        return fixed(field, 8);
      case 2: {
        std::uint64_t length = 0;
        if (!varint(length) || length > rest_.size()) return broken();
        field.bytes = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return field;
      }
      case 5:
        return fixed(field, 4);
      default:
        return broken();
    }
  }

 private:
  bool varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  base::Result<Field> fixed(Field field, std::size_t size) {
    if (rest_.size() < size) return broken();
    std::memcpy(&field.value, rest_.data(), size);
    rest_.remove_prefix(size);
    return field;
  }

  std::string_view rest_;
};

base::Result<void> readPiece(std::string_view message, VocabularyData& vocabulary) {
  std::string text;
  float score = 0;
  TokenKind kind = TokenKind::kNormal;
  for (Fields fields(message); !fields.atEnd();) {
    QUERN_ASSIGN(const Field field, fields.next());
    if (field.number == 1) text = field.bytes;
    if (field.number == 2) {
      const auto bits = static_cast<std::uint32_t>(field.value);
      std::memcpy(&score, &bits, sizeof score);
    }
    if (field.number == 3) {
      if (field.value < 1 || field.value > 6) return broken();
      kind = static_cast<TokenKind>(field.value);  // the numbers are GGUF's
    }
  }
  if (score != score) return broken();
  return vocabulary.put(vocabulary.tokens.size(), std::move(text), kind, score);
}

base::Result<std::uint64_t> readAlgorithm(std::string_view message) {
  std::uint64_t algorithm = kUnigram;
  for (Fields fields(message); !fields.atEnd();) {
    QUERN_ASSIGN(const Field field, fields.next());
    if (field.number == 3) algorithm = field.value;
  }
  return algorithm;
}

base::Result<void> readNormalizer(std::string_view message, VocabularyData& vocabulary) {
  for (Fields fields(message); !fields.atEnd();) {
    QUERN_ASSIGN(const Field field, fields.next());
    if (field.number == 2) vocabulary.charsmap = field.bytes;
    if (field.number == 3) vocabulary.addSpacePrefix = field.value != 0;
    if (field.number == 4) vocabulary.removeExtraSpaces = field.value != 0;
  }
  return base::ok();
}

}  // namespace

base::Result<VocabularyData> fromSentencePiece(std::string_view bytes) {
  VocabularyData vocabulary;
  vocabulary.model = "llama";  // decides that tokens have scores
  vocabulary.addSpacePrefix = true;
  vocabulary.removeExtraSpaces = true;
  std::uint64_t algorithm = kUnigram;
  for (Fields fields(bytes); !fields.atEnd();) {
    QUERN_ASSIGN(const Field field, fields.next());
    if (field.number == 1) QUERN_TRY(readPiece(field.bytes, vocabulary));
    if (field.number == 2) {
      QUERN_ASSIGN(algorithm, readAlgorithm(field.bytes));
    }
    if (field.number == 3) QUERN_TRY(readNormalizer(field.bytes, vocabulary));
  }
  if (vocabulary.tokens.empty()) return broken();
  if (algorithm != kUnigram && algorithm != kBytePair) {
    return base::Error(base::ErrorCode::kUnsupported,
                       "The model's tokenizer.model is neither a unigram nor a byte-pair model.");
  }
  if (algorithm == kUnigram) {
    vocabulary.model = "t5";
    return vocabulary;
  }
  if (vocabulary.removeExtraSpaces == true) {
    vocabulary.notes.emplace_back(
        "The tokenizer merges runs of spaces; a GGUF file of its kind cannot say that.");
  }
  if (!vocabulary.charsmap.empty()) {
    vocabulary.notes.emplace_back(
        "The tokenizer normalizes characters; a GGUF file of its kind cannot say that.");
  }
  vocabulary.charsmap.clear();
  vocabulary.removeExtraSpaces.reset();
  return vocabulary;
}

}  // namespace quern::engine::convert
