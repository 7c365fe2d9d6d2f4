// Automata without silent steps: deterministic and minimal where that stays small.

#include <algorithm>
#include <bitset>
#include <optional>
#include <unordered_map>
#include <utility>

#include "engine/grammar/automaton_parts.h"

namespace quern::engine::grammar {
namespace {

using Finite = Automaton::RuleAutomaton;
using Set = std::vector<std::uint32_t>;

struct SetHash {
  std::size_t operator()(const Set& set) const {
    std::uint64_t hash = 0xCBF29CE484222325ULL;
    for (const std::uint32_t value : set) hash = (hash ^ value) * 0x100000001B3ULL + (hash >> 47);
    return hash;
  }
};

/// A nondeterministic automaton that can be asked per state.
class Source {
 public:
  explicit Source(const Nondeterministic& a)
      : edges_(group(a.edges, a.states)),
        calls_(group(a.calls, a.states)),
        silents_(group(a.silents, a.states)),
        stamps_(a.states, 0) {}

  std::span<const Nondeterministic::Edge> edges(std::uint32_t state) const { return edges_.of(state); }
  std::span<const Nondeterministic::Call> calls(std::uint32_t state) const { return calls_.of(state); }

  /// Puts what can be reached from `set` in silence in its place: sorted, only states that do something.
  void close(Set& set) {
    ++stamp_;
    open_.clear();
    const auto reach = [&](std::uint32_t state) {
      if (std::exchange(stamps_[state], stamp_) != stamp_) open_.push_back(state);
    };
    for (const std::uint32_t state : set) reach(state);
    set.clear();
    while (!open_.empty()) {
      const std::uint32_t state = open_.back();
      open_.pop_back();
      if (state == 1 || !edges(state).empty() || !calls(state).empty()) set.push_back(state);
      for (const auto& step : silents_.of(state)) reach(step.to);
      work_ += 1 + silents_.of(state).size() + edges(state).size();
    }
    std::sort(set.begin(), set.end());
  }
  /// Steps taken so far.
  std::size_t work() const { return work_; }

 private:
  template <class T>
  struct Grouped {
    std::vector<std::uint32_t> first;
    std::vector<T> items;
    std::span<const T> of(std::uint32_t state) const {
      return std::span(items).subspan(first[state], first[state + 1] - first[state]);
    }
  };
  template <class T>
  static Grouped<T> group(const std::vector<T>& items, std::uint32_t states) {
    Grouped<T> out{std::vector<std::uint32_t>(states + 1, 0), std::vector<T>(items.size())};
    for (const T& item : items) ++out.first[item.from + 1];
    for (std::uint32_t i = 0; i < states; ++i) out.first[i + 1] += out.first[i];
    std::vector<std::uint32_t> next(out.first.begin(), out.first.end() - 1);
    for (const T& item : items) out.items[next[item.from]++] = item;
    return out;
  }

  Grouped<Nondeterministic::Edge> edges_;
  Grouped<Nondeterministic::Call> calls_;
  Grouped<Nondeterministic::Silent> silents_;
  std::vector<std::uint32_t> stamps_;
  std::uint32_t stamp_ = 0;
  std::size_t work_ = 0;
  Set open_;
};

/// The subset construction. A call is a symbol like a byte.
class Determinizer {
 public:
  Determinizer(Source& source, std::size_t states, std::size_t work)
      : source_(source), mostStates_(states), mostWork_(work) {}

  /// nullopt: it would be too large.
  std::optional<Finite> run() {
    Set first = {0};
    source_.close(first);
    (void)numberOf(std::move(first));
    for (std::size_t state = 0; state < out_.states.size(); ++state) {
      // By value: the list grows.
      const Set set = *sets_[state];
      bytes(state, set);
      calls(state, set);
      if (out_.states.size() > mostStates_ || work_ + source_.work() > mostWork_) return std::nullopt;
    }
    return std::move(out_);
  }

 private:
  std::uint32_t numberOf(Set set) {
    work_ += set.size() + 1;
    const auto [at, isNew] = numbers_.try_emplace(std::move(set), static_cast<std::uint32_t>(sets_.size()));
    if (isNew) {
      sets_.push_back(&at->first);
      out_.states.emplace_back();
      out_.states.back().isFinal = std::binary_search(at->first.begin(), at->first.end(), 1U);
    }
    return at->second;
  }

  void bytes(std::size_t state, const Set& set) {
    edges_.clear();
    std::bitset<257> cuts;
    for (const std::uint32_t s : set) {
      for (const auto& edge : source_.edges(s)) {
        edges_.push_back(edge);
        cuts.set(edge.first);
        cuts.set(edge.last + 1U);
      }
    }
    if (edges_.empty()) return;
    std::sort(edges_.begin(), edges_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (std::size_t begin = 0; begin < 256;) {
      std::size_t end = begin + 1;
      while (end < 256 && !cuts.test(end)) ++end;
      Set target;
      for (const auto& edge : edges_) {
        if (edge.first > begin) break;
        if (edge.last >= begin) target.push_back(edge.to);
      }
      work_ += edges_.size();
      if (!target.empty()) {
        source_.close(target);
        const std::uint32_t to = numberOf(std::move(target));
        auto& out = out_.states[state].edges;
        if (!out.empty() && out.back().target == to && out.back().last + 1U == begin) {
          out.back().last = static_cast<std::uint8_t>(end - 1);
        } else {
          out.push_back({static_cast<std::uint8_t>(begin), static_cast<std::uint8_t>(end - 1), to});
        }
      }
      begin = end;
    }
  }

  void calls(std::size_t state, const Set& set) {
    std::vector<std::pair<std::uint32_t, std::uint32_t>> all;  // rule, state behind it
    for (const std::uint32_t s : set) {
      for (const auto& call : source_.calls(s)) all.emplace_back(call.rule, call.to);
    }
    std::sort(all.begin(), all.end());
    for (std::size_t begin = 0; begin < all.size();) {
      Set target;
      const std::uint32_t rule = all[begin].first;
      for (; begin < all.size() && all[begin].first == rule; ++begin) target.push_back(all[begin].second);
      source_.close(target);
      const std::uint32_t back = numberOf(std::move(target));
      out_.states[state].calls.push_back({rule, back});
    }
  }

  Source& source_;
  std::size_t mostStates_, mostWork_, work_ = 0;
  std::unordered_map<Set, std::uint32_t, SetHash> numbers_;
  std::vector<const Set*> sets_;  ///< keys of numbers_, which stay where they are
  std::vector<Nondeterministic::Edge> edges_;
  Finite out_;
};

/// The states as they are, each with what it can do behind silent steps.
/// nullopt: together they can do more than `work` things.
std::optional<Finite> withoutSilence(Source& source, std::uint32_t states, std::size_t work) {
  Finite out;
  out.states.resize(states);
  const std::size_t before = source.work();
  for (std::uint32_t state = 0; state < states; ++state) {
    Set set = {state};
    source.close(set);
    if (source.work() - before > work) return std::nullopt;
    auto& own = out.states[state];
    for (const std::uint32_t s : set) {
      if (s == 1) own.isFinal = true;
      for (const auto& edge : source.edges(s)) own.edges.push_back({edge.first, edge.last, edge.to});
      for (const auto& call : source.calls(s)) own.calls.push_back({call.rule, call.to});
    }
    std::sort(own.edges.begin(), own.edges.end(), [](const auto& a, const auto& b) {
      return std::tuple(a.first, a.last, a.target) < std::tuple(b.first, b.last, b.target);
    });
  }
  return out;
}

/// Gives every state the number of its class, keeps one of each; the first state's class comes first.
Finite merged(const Finite& rule, const std::vector<std::uint32_t>& classOf) {
  std::vector<std::uint32_t> number;  // of a class, in the order of being met
  std::vector<std::uint32_t> keeper;
  constexpr auto kNone = std::numeric_limits<std::uint32_t>::max();
  number.resize(rule.states.size(), kNone);
  for (std::uint32_t s = 0; s < rule.states.size(); ++s) {
    if (number[classOf[s]] != kNone) continue;
    number[classOf[s]] = static_cast<std::uint32_t>(keeper.size());
    keeper.push_back(s);
  }
  Finite out;
  for (const std::uint32_t s : keeper) {
    out.states.push_back(rule.states[s]);
    for (auto& edge : out.states.back().edges) edge.target = number[classOf[edge.target]];
    for (auto& call : out.states.back().calls) call.back = number[classOf[call.back]];
  }
  return out;
}

/// Moore's refinement, given up (nothing is merged) where it takes too many rounds: long chains, which have
/// nothing to merge anyway.
Finite minimized(Finite rule, std::size_t work) {
  std::vector<std::uint32_t> classOf(rule.states.size(), 0);
  for (std::size_t s = 0; s < rule.states.size(); ++s) classOf[s] = rule.states[s].isFinal ? 1 : 0;
  std::size_t classes = 0;
  std::size_t spent = 0;
  std::unordered_map<Set, std::uint32_t, SetHash> found;
  while (true) {
    found.clear();
    std::vector<std::uint32_t> next(rule.states.size());
    for (std::size_t s = 0; s < rule.states.size(); ++s) {
      Set signature = {classOf[s]};
      for (const auto& edge : rule.states[s].edges) {
        const auto bytes = (std::uint32_t{edge.first} << 8) | edge.last;
        // Neighbours that lead into one class are one edge.
        const std::size_t n = signature.size();
        if (n >= 3 && signature[n - 1] == classOf[edge.target] &&
            (signature[n - 2] & 0xFF) + 1 == edge.first) {
          signature[n - 2] = (signature[n - 2] & 0xFF00) | edge.last;
          continue;
        }
        signature.push_back(bytes);
        signature.push_back(classOf[edge.target]);
      }
      signature.push_back(0xFFFF'FFFF);
      for (const auto& call : rule.states[s].calls) {
        signature.push_back(call.rule);
        signature.push_back(classOf[call.back]);
      }
      spent += signature.size();
      next[s] =
          found.try_emplace(std::move(signature), static_cast<std::uint32_t>(found.size())).first->second;
    }
    classOf = std::move(next);
    if (found.size() == classes) break;
    classes = found.size();
    if (classes == rule.states.size() || spent > work) return rule;
  }
  return merged(rule, classOf);
}

/// Takes away what leads nowhere, or is never reached.
Finite trimmed(const Finite& rule) {
  const std::size_t count = rule.states.size();
  std::vector<Set> before(count);
  for (std::uint32_t s = 0; s < count; ++s) {
    for (const auto& edge : rule.states[s].edges) before[edge.target].push_back(s);
    for (const auto& call : rule.states[s].calls) before[call.back].push_back(s);
  }
  std::vector<bool> isAlive(count, false);
  Set open;
  for (std::uint32_t s = 0; s < count; ++s) {
    if (rule.states[s].isFinal) open.push_back(s);
  }
  while (!open.empty()) {
    const std::uint32_t s = open.back();
    open.pop_back();
    if (isAlive[s]) continue;
    isAlive[s] = true;
    open.insert(open.end(), before[s].begin(), before[s].end());
  }
  constexpr auto kNone = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> number(count, kNone);
  Set kept;
  const auto reach = [&](std::uint32_t s) {
    if (!isAlive[s] || number[s] != kNone) return;
    number[s] = static_cast<std::uint32_t>(kept.size());
    kept.push_back(s);
  };
  number[0] = 0;
  kept.push_back(0);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (const auto& edge : rule.states[kept[i]].edges) reach(edge.target);
    for (const auto& call : rule.states[kept[i]].calls) reach(call.back);
  }
  Finite out;
  for (const std::uint32_t s : kept) {
    auto& own = out.states.emplace_back(rule.states[s]);
    std::erase_if(own.edges, [&](const auto& edge) { return !isAlive[edge.target]; });
    std::erase_if(own.calls, [&](const auto& call) { return !isAlive[call.back]; });
    for (auto& edge : own.edges) edge.target = number[edge.target];
    for (auto& call : own.calls) call.back = number[call.back];
  }
  return out;
}

}  // namespace

std::optional<Finite> simplify(const Nondeterministic& automaton) {
  Source source(automaton);
  const std::size_t size = automaton.states + automaton.edges.size() + automaton.silents.size();
  const std::size_t states = 4 * std::size_t{automaton.states} + 1000;
  // Some tenth of a second at most.
  const std::size_t work = std::min<std::size_t>(200 * size + 100'000, 4'000'000);
  if (auto deterministic = Determinizer(source, states, work).run()) {
    // Counted in larger steps.
    return minimized(trimmed(*deterministic), work / 5);
  }
  const auto plain = withoutSilence(source, automaton.states, work);
  if (!plain) return std::nullopt;
  return trimmed(*plain);
}

}  // namespace quern::engine::grammar
