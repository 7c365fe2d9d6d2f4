#include "engine/scheduler/lookup_proposer.h"

#include <algorithm>
#include <utility>

namespace quern::engine::scheduler {
namespace {

/// A draft that is hardly ever reached is worth no row.
constexpr double kHopeless = 0.03;
/// Changes remembered, and the longest of them.
constexpr std::size_t kMostEdits = 8;
constexpr std::size_t kLongestEdit = 8;
/// A change that was expected so often in vain is none.
constexpr std::int32_t kMostFailures = 2;
/// While a copy is being taken up again nearby, a match elsewhere must be so much longer.
constexpr std::size_t kElsewhere = 3;

}  // namespace

LookupProposer::LookupProposer(std::function<bool(std::int32_t)> endsAnswer)
    : endsAnswer_(std::move(endsAnswer)), rates_(CopyCursor::priors()) {}

void LookupProposer::restart() {
  index_.clear();
  cursor_ = {};
  edits_.clear();
  read_ = 0;
}

void LookupProposer::read(std::span<const std::int32_t> tokens) {
  if (tokens.size() < read_) restart();
  if (read_ == 0 && !tokens.empty()) {
    // A prompt's own repetitions say little about the answer's.
    read_ = tokens.size();
    index_.add(tokens, read_ - 1);
    search(tokens);
    index_.add(tokens, read_);
  }
  while (read_ < tokens.size()) {
    const auto text = tokens.first(++read_);
    follow(text);
    search(text);
    index_.add(text, read_);
  }
}

/// The text has one token more. Was it the one that was expected?
void LookupProposer::follow(std::span<const std::int32_t> text) {
  if (!cursor_.isSomewhere()) return;
  const auto before = text.first(text.size() - 1);
  const std::int32_t guess = cursor_.next({before, {}}, edits_);
  const bool isHit = guess == text.back();
  rates_.count(cursor_.kind(), isHit);
  const std::size_t edit = cursor_.edit;
  if (isHit) {
    const bool wasRepairing = cursor_.repairing;
    cursor_.hit(edits_);
    if (edit != 0) edits_[edit - 1].failures = 0;
    if (wasRepairing && !cursor_.repairing) learn(text);
    return;
  }
  cursor_.miss(text);
  if (edit == 0 || ++edits_[edit - 1].failures < kMostFailures) return;
  edits_.erase(edits_.begin() + static_cast<std::ptrdiff_t>(edit - 1));
}

/// A change is over: what was it?
void LookupProposer::learn(std::span<const std::int32_t> text) {
  const std::size_t sourceEnd = cursor_.source - cursor_.matched;
  const std::size_t textEnd = text.size() - cursor_.matched;
  if (sourceEnd <= cursor_.anchor || textEnd <= cursor_.left) return;  // something was left out or put in
  const auto from = text.subspan(cursor_.anchor, sourceEnd - cursor_.anchor);
  const auto to = text.subspan(cursor_.left, textEnd - cursor_.left);
  if (from.size() > kLongestEdit || to.size() > kLongestEdit) return;
  std::erase_if(edits_, [&](const Edit& known) { return std::ranges::equal(known.from, from); });
  if (edits_.size() == kMostEdits) edits_.erase(edits_.begin());
  edits_.push_back({{from.begin(), from.end()}, {to.begin(), to.end()}});
}

void LookupProposer::search(std::span<const std::int32_t> text) {
  // In the middle of a known change the end of the text agrees with nothing but earlier such changes.
  if (cursor_.edit != 0) return;
  const std::size_t atLeast = cursor_.matched + (cursor_.repairing ? kElsewhere : 1);
  const auto match = index_.find(text, text.size(), atLeast);
  if (!match) return;
  const bool isSamePlace = match->next == cursor_.source;
  if (cursor_.repairing && isSamePlace) learn(text);
  cursor_ = {};
  cursor_.source = match->next;
  cursor_.matched = match->length;
}

void LookupProposer::propose(std::span<const std::int32_t> tokens, std::int32_t most,
                             const sampling::Sampler& /*sampler*/, Proposal& proposal) {
  proposal.clear();
  read(tokens);
  CopyCursor ahead = cursor_;
  double reached = 1;
  while (ahead.isSomewhere() && proposal.tokens.size() < static_cast<std::size_t>(std::max(0, most))) {
    const std::int32_t token = ahead.next({tokens, proposal.tokens}, edits_);
    const double probability = rates_.rate(ahead.kind());
    reached *= probability;
    if (reached < kHopeless) break;
    proposal.add(token, probability);
    if (endsAnswer_ && endsAnswer_(token)) break;
    ahead.hit(edits_);
  }
}

}  // namespace quern::engine::scheduler
