#include "engine/answer/marked_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/text.h"

namespace quern::engine::answer {
namespace {

using grammar::ExprId;

constexpr char32_t kSpaces[] = {U' ', U'\t', U'\n', U'\r'};
/// Stands for every character that no mark has.
constexpr char32_t kOther = 0x110000;

bool isSpaceCode(char32_t c) {
  return std::find(std::begin(kSpaces), std::end(kSpaces), c) != std::end(kSpaces);
}

/// Which marks may have begun: (mark, steps that have been read), and whether all so far was white space.
struct Place {
  std::set<std::pair<std::size_t, std::size_t>> open;
  bool atEdge = true;
  friend auto operator<=>(const Place&, const Place&) = default;
};

class MarkAutomaton {
 public:
  struct State {
    std::map<std::size_t, std::vector<char32_t>> next;   ///< by state: the characters that lead there
    std::map<std::size_t, std::vector<char32_t>> marks;  ///< by mark: the characters that complete it
  };

  explicit MarkAutomaton(const std::vector<Mark>& marks) : marks_(marks) {
    alphabet_.insert(std::begin(kSpaces), std::end(kSpaces));
    for (const Mark& mark : marks) {
      for (const MarkStep& step : mark.steps) {
        if (step.code != 0) alphabet_.insert(step.code);
      }
    }
    alphabet_.insert(kOther);
    Place first;
    begin(first);
    numberOf(std::move(first));
    for (std::size_t state = 0; state < places_.size(); ++state) {
      for (const char32_t c : alphabet_) read(state, c);
    }
  }

  const std::vector<State>& states() const { return states_; }
  const std::set<char32_t>& alphabet() const { return alphabet_; }

 private:
  void begin(Place& place) const {
    for (std::size_t mark = 0; mark < marks_.size(); ++mark) {
      if (place.atEdge || !marks_[mark].onlyAtEdge) reach(place, mark, 0);
    }
  }
  /// Runs of white space may be empty.
  void reach(Place& place, std::size_t mark, std::size_t at) const {
    place.open.emplace(mark, at);
    if (at < marks_[mark].steps.size() && marks_[mark].steps[at].code == 0) reach(place, mark, at + 1);
  }

  void read(std::size_t state, char32_t c) {
    const Place from = *places_[state];
    Place to;
    to.atEdge = from.atEdge && isSpaceCode(c);
    for (const auto& [mark, at] : from.open) {
      const MarkStep& step = marks_[mark].steps[at];
      if (step.code == 0 && isSpaceCode(c)) reach(to, mark, at);
      if (step.code != c || step.code == 0) continue;
      if (at + 1 == marks_[mark].steps.size()) {
        states_[state].marks[mark].push_back(c);
        return;
      }
      reach(to, mark, at + 1);
    }
    begin(to);
    const std::size_t next = numberOf(std::move(to));
    states_[state].next[next].push_back(c);
  }

  std::size_t numberOf(Place place) {
    const auto [at, isNew] = numbers_.try_emplace(std::move(place), states_.size());
    if (isNew) {
      places_.push_back(&at->first);
      states_.emplace_back();
    }
    return at->second;
  }

  const std::vector<Mark>& marks_;
  std::set<char32_t> alphabet_;
  std::map<Place, std::size_t> numbers_;
  std::vector<const Place*> places_;
  std::vector<State> states_;
};

/// These characters; kOther is all that the alphabet does not have.
std::vector<grammar::CharacterRange> rangesOf(const std::vector<char32_t>& characters,
                                              const std::set<char32_t>& alphabet) {
  std::vector<grammar::CharacterRange> ranges;
  for (const char32_t c : characters) {
    if (c != kOther) ranges.push_back({c, c});
  }
  if (std::find(characters.begin(), characters.end(), kOther) == characters.end()) return ranges;
  char32_t next = 0;
  for (const char32_t c : alphabet) {
    if (c > next) ranges.push_back({next, c - 1});
    next = c + 1;
  }
  return ranges;
}

}  // namespace

std::vector<MarkStep> markOf(std::string_view text) {
  std::vector<MarkStep> steps;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(1, base::utf8CharacterBytes(text));
    char32_t code = static_cast<unsigned char>(text[0]);
    if (length > 1) code &= 0xFFU >> (length + 1);
    for (std::size_t i = 1; i < length; ++i) code = code << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    steps.push_back({code});
    text.remove_prefix(length);
  }
  return steps;
}

ExprId textUntil(grammar::GrammarBuilder& builder, const MarkedText& text) {
  const MarkAutomaton automaton(text.marks);
  grammar::CharacterStates states;
  states.hasControls = text.hasControls;
  std::vector<ExprId> behind;
  std::vector<std::uint32_t> exits;
  for (const Mark& mark : text.marks) {
    exits.push_back(static_cast<std::uint32_t>(behind.size()));
    if (mark.follow) behind.push_back(*mark.follow);
  }
  for (const MarkAutomaton::State& from : automaton.states()) {
    grammar::CharacterStates::State& state = states.states.emplace_back();
    state.mayEnd = text.mayEnd;
    for (const auto& [next, characters] : from.next) {
      state.edges.push_back({rangesOf(characters, automaton.alphabet()), static_cast<std::uint32_t>(next)});
    }
    for (const auto& [mark, characters] : from.marks) {
      if (!text.marks[mark].follow) continue;
      state.exits.push_back({rangesOf(characters, automaton.alphabet()), exits[mark]});
    }
  }
  return builder.states(std::move(states), std::move(behind));
}

ExprId textWithout(grammar::GrammarBuilder& builder, std::string_view marker) {
  const std::vector<MarkStep> all = markOf(marker);
  const char32_t first = all[0].code;
  QUERN_CHECK(
      std::count_if(all.begin(), all.end(), [&](const MarkStep& step) { return step.code == first; }) == 1,
      "a marker's first character occurs in it once");
  const grammar::CharacterRange firstOnly{first, first};
  // Any other character; or beginnings of the marker, each of which goes astray or begins anew.
  std::vector<ExprId> beginnings, astray;
  ExprId prefix = builder.empty();
  for (std::size_t i = 0; i + 1 < all.size(); ++i) {
    const grammar::CharacterRange here{all[i].code, all[i].code};
    const grammar::CharacterRange notThese[] = {firstOnly, {all[i + 1].code, all[i + 1].code}};
    prefix = builder.sequence({prefix, builder.characters({&here, 1})});
    beginnings.push_back(prefix);
    astray.push_back(builder.sequence({prefix, builder.characters(notThese, true)}));
  }
  std::vector<ExprId> step = {builder.characters({&firstOnly, 1}, true)};
  if (!astray.empty()) {
    const ExprId begun = builder.repeat(builder.choice(std::move(beginnings)), 0);
    step.push_back(builder.sequence({begun, builder.choice(std::move(astray))}));
  }
  return builder.repeat(builder.choice(std::move(step)), 0);
}

}  // namespace quern::engine::answer
