#include "engine/grammar/constraint.h"

#include <algorithm>
#include <set>
#include <utility>

#include "engine/base/check.h"

namespace quern::engine::grammar {
namespace {

/// From here on, and whenever they have doubled, stacks that nobody stands on are thrown away.
constexpr std::size_t kCompactFrom = 1024;

/// With more called rules, who calls whom over how many others is not worked out ahead.
constexpr std::size_t kMostWarmRules = 1000;

/// Per rule: the states that it may be gone back to.
std::vector<std::set<StateId>> backsOf(const Automaton& automaton) {
  std::vector<std::set<StateId>> backs(automaton.rules());
  std::set<std::pair<std::uint32_t, std::uint32_t>> hands;  // a rule ends where the other one, its last, ends
  for (StateId state = 0; state < automaton.states(); ++state) {
    for (const Automaton::Call& call : automaton.calls(state)) {
      if (call.back != kNoState) {
        backs[call.rule].insert(call.back);
      } else if (automaton.ruleOf(state) != call.rule) {
        hands.emplace(automaton.ruleOf(state), call.rule);
      }
    }
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& [from, to] : hands) {
      const std::size_t before = backs[to].size();
      backs[to].insert(backs[from].begin(), backs[from].end());
      changed = changed || backs[to].size() > before;
    }
  }
  return backs;
}

/// All states, near ones first.
std::vector<StateId> statesInReach(const Automaton& automaton) {
  std::vector<StateId> order = {automaton.start()};
  std::vector<bool> isKnown(automaton.states(), false);
  isKnown[automaton.start()] = true;
  const auto reach = [&](StateId state) {
    if (state == kNoState || isKnown[state]) return;
    isKnown[state] = true;
    order.push_back(state);
  };
  for (std::size_t i = 0; i < order.size(); ++i) {
    const StateId at = order[i];
    for (const auto& edge : automaton.edges(at)) reach(edge.target);
    for (const auto& call : automaton.calls(at)) {
      reach(call.start);
      reach(call.back);
    }
  }
  return order;
}

}  // namespace

Constraint::Constraint(Automaton automaton, std::shared_ptr<const VocabularyIndex> vocabulary,
                       std::size_t maskBytes)
    : automaton_(std::move(automaton)),
      vocabulary_(std::move(vocabulary)),
      masks_(automaton_, *vocabulary_, maskBytes) {}

base::Result<std::shared_ptr<const Constraint>> Constraint::compile(
    const Grammar& grammar, std::shared_ptr<const VocabularyIndex> vocabulary, const Options& options) {
  QUERN_ASSIGN(Automaton automaton, Automaton::compile(grammar, options.limits));
  return std::make_shared<const Constraint>(std::move(automaton), std::move(vocabulary), options.maskBytes);
}

bool Constraint::warm(std::chrono::milliseconds most) const {
  const auto end = std::chrono::steady_clock::now() + most;
  const auto isLate = [&] { return std::chrono::steady_clock::now() >= end; };
  std::vector<std::pair<std::shared_ptr<const Exits>, std::uint32_t>> open;
  std::set<std::pair<const Exits*, std::uint32_t>> seen;
  const auto note = [&](const TokenMasks::EntryPtr& entry, StateId state) {
    const std::uint32_t rule = automaton_.ruleOf(state);
    if (entry->exits && seen.emplace(entry->exits.get(), rule).second) open.emplace_back(entry->exits, rule);
  };
  masks_.entry(masks_.firstToken(), automaton_.start());
  for (const StateId state : statesInReach(automaton_)) {
    // Where a rule can only end nobody stands still.
    if (automaton_.is(state, Automaton::kEnd)) continue;
    if (isLate()) return false;
    note(masks_.entry(masks_.anyToken(), state), state);
  }
  if (automaton_.rules() > kMostWarmRules) return false;
  const auto backs = backsOf(automaton_);
  for (std::size_t i = 0; i < open.size(); ++i) {
    const auto [exits, rule] = open[i];
    for (const StateId back : backs[rule]) {
      if (isLate()) return false;
      note(masks_.entry(exits, back), back);
    }
  }
  return true;
}

Matcher::Matcher(std::shared_ptr<const Constraint> constraint)
    : constraint_(std::move(constraint)), compactAt_(kCompactFrom) {
  threads_.push_back({Stacks::kBottom, constraint_->automaton().start()});
  settle();
}

void Matcher::allowed(TokenMask mask) {
  std::fill(mask.begin(), mask.end(), 0);
  for (std::size_t i = 0; i < settled_; ++i) {
    if (constraint_->masks().add(threads_[i], stacks_, isFirst_, mask)) continue;
    isTooAmbiguous_ = true;
  }
  if (!isComplete_) return;
  for (const auto token : constraint_->vocabulary().endTokens()) {
    const auto number = static_cast<std::uint32_t>(token);
    mask[number / 64] |= std::uint64_t{1} << (number % 64);
  }
}

bool Matcher::accept(tokenizer::TokenId token) {
  const VocabularyIndex& vocabulary = constraint_->vocabulary();
  std::string_view bytes = vocabulary.bytes(token);
  if (bytes.empty()) {
    const auto ends = vocabulary.endTokens();
    const bool isAllowed = isComplete_ && std::find(ends.begin(), ends.end(), token) != ends.end();
    if (!isAllowed) die(false);
    return isAllowed;
  }
  if (std::exchange(isFirst_, false) && vocabulary.stripsLeadingSpace() && bytes.front() == ' ') {
    bytes.remove_prefix(1);
  }
  return acceptBytes(bytes);
}

bool Matcher::acceptBytes(std::string_view bytes) {
  for (const char c : bytes) {
    if (!step(static_cast<std::uint8_t>(c))) return false;
  }
  return true;
}

bool Matcher::step(std::uint8_t byte) {
  const Automaton& automaton = constraint_->automaton();
  const std::size_t expanded = threads_.size();
  if (!readByte(automaton, stacks_, threads_, settled_, expanded, byte)) {
    die(true);
    return false;
  }
  threads_.erase(threads_.begin(), threads_.begin() + static_cast<std::ptrdiff_t>(expanded));
  if (threads_.empty()) {
    die(false);
    return false;
  }
  if (stacks_.size() > compactAt_) {
    compact(stacks_, threads_);
    compactAt_ = kCompactFrom + 2 * stacks_.size();
  }
  return settle();
}

bool Matcher::settle() {
  settled_ = threads_.size();
  if (expand(constraint_->automaton(), stacks_, threads_, 0, settled_, isComplete_)) return true;
  die(true);
  return false;
}

void Matcher::die(bool tooAmbiguous) {
  threads_.clear();
  settled_ = 0;
  isComplete_ = false;
  isTooAmbiguous_ = isTooAmbiguous_ || tooAmbiguous;
}

/// The byte that must follow, or -1.
int Matcher::onlyByte() const {
  int only = -1;
  if (isComplete_) return only;
  for (std::size_t i = settled_; i < threads_.size(); ++i) {
    for (const Automaton::Edge& edge : constraint_->automaton().edges(threads_[i].state)) {
      if (edge.first != edge.last || (only >= 0 && only != edge.first)) return -1;
      only = edge.first;
    }
  }
  return only;
}

ForcedText Matcher::forced(std::size_t most) const {
  ForcedText text;
  int byte = onlyByte();
  if (byte < 0 || most == 0) return text;
  Matcher ahead(*this);
  while (byte >= 0 && text.bytes.size() < most && ahead.step(static_cast<std::uint8_t>(byte))) {
    text.bytes += static_cast<char>(byte);
    byte = ahead.onlyByte();
  }
  text.endsText = ahead.isFinished();
  return text;
}

}  // namespace quern::engine::grammar
