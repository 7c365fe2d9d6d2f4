#include "engine/scheduler/reasoning_budget.h"

namespace quern::engine::scheduler {

ReasoningBudget::ReasoningBudget(const ReasoningLimit& limit)
    : limit_(limit), state_(limit.isOpen ? State::kInside : State::kBefore) {
  if (limit.tokens < 0 || limit.closing.empty() || limit.end.empty() ||
      (!limit.isOpen && limit.begin.empty())) {
    state_ = State::kOver;
  } else if (state_ == State::kInside && limit.tokens == 0) {
    state_ = State::kForcing;
  }
}

std::optional<std::int32_t> ReasoningBudget::forced() const {
  if (state_ != State::kForcing) return std::nullopt;
  return limit_.closing[written_];
}

void ReasoningBudget::accept(std::int32_t token, std::string_view text) {
  if (state_ == State::kForcing) {
    if (token != limit_.closing[written_] || ++written_ == limit_.closing.size()) state_ = State::kOver;
    return;
  }
  if (state_ == State::kOver) return;
  text_ += text;
  if (state_ == State::kInside) ++spent_;
  look();
}

void ReasoningBudget::look() {
  if (state_ == State::kBefore) {
    text_.erase(0, text_.find_first_not_of(" \t\r\n"));
    if (!text_.starts_with(limit_.begin)) {
      if (!limit_.begin.starts_with(text_)) state_ = State::kOver;
      return;
    }
    text_.erase(0, limit_.begin.size());
    state_ = State::kInside;
  }
  if (text_.find(limit_.end) != std::string::npos) {
    state_ = State::kOver;
    return;
  }
  if (text_.size() >= limit_.end.size()) text_.erase(0, text_.size() - limit_.end.size() + 1);
  if (spent_ >= limit_.tokens) state_ = State::kForcing;
}

}  // namespace quern::engine::scheduler
