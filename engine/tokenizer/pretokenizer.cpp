#include "engine/tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::tokenizer {
namespace {

/// Enough for any text that people write; beyond it the pattern sees the text in windows (see split()).
constexpr std::uint32_t kMatchLimit = 5'000'000;
/// Short enough that even a pattern that tries every pair of places in it stays far below the limit.
constexpr std::size_t kWindowBytes = 1024;
constexpr std::size_t kJitStackBytes = 4U << 20;

struct MatchState {
  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
  MatchState()
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr)) {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~MatchState() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

/// The end of the window that begins at `from`: a border between characters.
std::size_t windowEnd(std::string_view text, std::size_t from) {
  std::size_t end = std::min(text.size(), from + kWindowBytes);
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return end;
}

// Runs of whole characters and runs of bytes that are none: patterns are only shown the former, proven once,
// so that the library need not prove the rest of the text again at every match.
std::vector<std::string_view> splitInvalid(std::string_view text) {
  std::vector<std::string_view> runs;
  std::size_t begin = 0;
  bool valid = true;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = base::utf8CharacterBytes(text.substr(at));
    if ((length > 0) != valid) {
      if (at > begin) runs.push_back(text.substr(begin, at - begin));
      begin = at;
      valid = length > 0;
    }
    at += std::max<std::size_t>(1, length);
  }
  if (begin < text.size()) runs.push_back(text.substr(begin));
  return runs;
}

}  // namespace

struct Pretokenizer::Compiled {
  explicit Compiled(pcre2_code* made) : code(made) {}
  ~Compiled() { pcre2_code_free(code); }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  pcre2_code* code;
};

Pretokenizer::Pretokenizer() = default;
Pretokenizer::~Pretokenizer() = default;
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;

base::Result<Pretokenizer> Pretokenizer::compile(const std::vector<const char*>& patterns) {
  Pretokenizer made;
  for (const char* pattern : patterns) {
    int failure = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP, &failure, &offset, nullptr);
    if (code == nullptr) {
      return base::Error(base::ErrorCode::kInternal, "A pre-tokenizer's pattern cannot be compiled (" +
                                                         std::to_string(failure) + " at " +
                                                         std::to_string(offset) + ").");
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it matching is slower, not different
    made.patterns_.push_back(std::make_unique<Compiled>(code));
  }
  return made;
}

std::vector<std::string_view> Pretokenizer::split(std::string_view text) const {
  std::vector<std::string_view> pieces = splitInvalid(text);
  std::vector<std::string_view> finer;
  const MatchState state;
  for (const auto& pattern : patterns_) {
    finer.clear();
    for (const std::string_view piece : pieces) {
      if (base::utf8CharacterBytes(piece) == 0) {
        finer.push_back(piece);
        continue;
      }
      std::size_t done = 0;  // everything before it is in a piece
      bool windows = false;  // once a limit was reached, for the rest of this piece
      for (std::size_t from = 0; from < piece.size();) {
        const std::size_t end = windows ? windowEnd(piece, from) : piece.size();
        const int found = pcre2_match(pattern->code, reinterpret_cast<PCRE2_SPTR>(piece.data()), end, from,
                                      PCRE2_NO_UTF_CHECK, state.data, state.context);
        if (found < 0) {
          // Nothing here: what no pattern takes stays between the pieces, so a limit never loses text.
          if (windows || found == PCRE2_ERROR_NOMATCH) {
            from = end;
          } else {
            windows = true;
          }
          continue;
        }
        const PCRE2_SIZE* span = pcre2_get_ovector_pointer(state.data);
        if (span[1] <= span[0]) {
          from = span[1] + std::max<std::size_t>(1, base::utf8CharacterBytes(piece.substr(span[1])));
          continue;
        }
        if (span[0] > done) finer.push_back(piece.substr(done, span[0] - done));
        finer.push_back(piece.substr(span[0], span[1] - span[0]));
        done = from = span[1];
      }
      if (done < piece.size()) finer.push_back(piece.substr(done));
    }
    std::swap(pieces, finer);
  }
  return pieces;
}

}  // namespace quern::engine::tokenizer
