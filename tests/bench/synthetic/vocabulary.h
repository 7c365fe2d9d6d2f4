// A vocabulary of any size that tokenizers accept and whose merges are all used.
#pragma once

#include <cstddef>

#include "engine/gguf/writer.h"

namespace quern::bench {

/// Three control tokens and the 256 bytes.
inline constexpr std::size_t kLeastVocabulary = 259;

/// Writes `tokenizer.ggml.*`: a byte-level BPE with `size` tokens (at least kLeastVocabulary). Behind the
/// bytes every token is an earlier one and one byte more, with the merge that makes it.
void setVocabulary(engine::gguf::Writer& writer, std::size_t size);

}  // namespace quern::bench
