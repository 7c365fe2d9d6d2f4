// Counts the tokens that an answer spends on reasoning, and says when it must write the end of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/scheduler/request.h"

namespace quern::engine::scheduler {

/// Sees one answer's tokens. Reasoning counts from behind its opening marker, which is the first thing of an
/// answer or of the prompt's end, up to its closing marker; an answer that begins otherwise does not reason.
class ReasoningBudget {
 public:
  explicit ReasoningBudget(const ReasoningLimit& limit);

  /// The token that must come next; none while the model may choose.
  std::optional<std::int32_t> forced() const;
  /// The token that came, and its written form. Where it is not the one that was to be forced (a grammar
  /// forbids that), the limit is given up.
  void accept(std::int32_t token, std::string_view text);

 private:
  enum class State { kBefore, kInside, kForcing, kOver };

  void look();

  const ReasoningLimit& limit_;
  State state_;
  std::string text_;  ///< kBefore: all so far; kInside: what may be the beginning of the closing marker
  std::int32_t spent_ = 0;
  std::size_t written_ = 0;  ///< of the closing tokens
};

}  // namespace quern::engine::scheduler
