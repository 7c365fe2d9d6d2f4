// Expressions written out as automata with silent steps (K. Thompson's construction).

#include <string>
#include <unordered_map>

#include "engine/grammar/automaton_parts.h"
#include "engine/grammar/control_text.h"
#include "engine/grammar/utf8_ranges.h"

namespace quern::engine::grammar {
namespace {

class Writer {
 public:
  Writer(const Grammar& grammar, const Layout& layout, std::size_t limit)
      : grammar_(grammar), layout_(layout), limit_(limit) {}

  base::Result<Nondeterministic> write(ExprId body) {
    between(body, 0, 1);
    if (isFull_) {
      return base::Error(base::ErrorCode::kLimit,
                         "The grammar is too large: written out it has more than " + std::to_string(limit_) +
                             " states. Repetitions with large bounds are the usual cause: lower them, or "
                             "leave the upper one out.");
    }
    return std::move(out_);
  }

 private:
  std::uint32_t state() {
    if (out_.states >= limit_) isFull_ = true;
    return isFull_ ? 1 : out_.states++;
  }
  /// Silent steps and edges make no states, but they must not grow without end either.
  bool mayAdd() {
    if (out_.edges.size() + out_.silents.size() + out_.calls.size() > 4 * limit_) isFull_ = true;
    return !isFull_;
  }
  void silent(std::uint32_t from, std::uint32_t to) {
    if (mayAdd()) out_.silents.push_back({from, to});
  }
  void edge(std::uint32_t from, std::uint32_t to, ByteRange bytes) {
    if (mayAdd()) out_.edges.push_back({from, to, bytes.first, bytes.last});
  }

  /// Every text of the expression leads from `from` to `to`. Nothing that is added leads back to `from`.
  void between(ExprId id, std::uint32_t from, std::uint32_t to) {
    if (isFull_) return;
    const Expr& expr = grammar_.expressions[static_cast<std::size_t>(id)];
    switch (expr.kind) {
      case ExprKind::kLiteral:
        return literal(expr.literal, from, to);
      case ExprKind::kCharacters: {
        Tails tails;
        return characters(expr.characters, from, to, tails);
      }
      case ExprKind::kSequence:
        for (std::size_t i = 0; i < expr.children.size() && !isFull_; ++i) {
          const std::uint32_t end = i + 1 == expr.children.size() ? to : state();
          between(expr.children[i], from, end);
          from = end;
        }
        return;
      case ExprKind::kChoice:
        for (const ExprId option : expr.children) between(option, from, to);
        return;
      case ExprKind::kRepeat:
        return repeat(expr, from, to);
      case ExprKind::kRule: {
        const std::uint32_t automaton = layout_.automatonOf[static_cast<std::size_t>(expr.rule)];
        if (automaton == Layout::kInlined) {
          between(grammar_.rules[static_cast<std::size_t>(expr.rule)].body, from, to);
        } else if (mayAdd()) {
          out_.calls.push_back({from, to, automaton});
        }
        return;
      }
      case ExprKind::kStates:
        return automaton(expr, from, to);
    }
  }

  void automaton(const Expr& expr, std::uint32_t from, std::uint32_t to) {
    const CharacterStates& given = *expr.states;
    std::vector<std::uint32_t> numbers;
    for (std::size_t i = 0; i < given.states.size() && !isFull_; ++i) numbers.push_back(state());
    std::vector<std::uint32_t> exits;
    for (const ExprId child : expr.children) {
      exits.push_back(state());
      std::uint32_t behind = exits.back();
      if (given.hasControls) {
        // The character may have been the last one of a token.
        behind = state();
        silent(exits.back(), behind);
        edge(exits.back(), behind, controlByte(kControlEnd));
      }
      between(child, behind, to);
    }
    if (isFull_) return;
    silent(from, numbers[0]);
    Tails tails;
    for (std::size_t i = 0; i < given.states.size() && !isFull_; ++i) {
      const CharacterStates::State& at = given.states[i];
      for (const auto& one : at.edges) characters(one.characters, numbers[i], numbers[one.target], tails);
      for (const auto& one : at.exits) characters(one.characters, numbers[i], exits[one.target], tails);
      if (at.mayEnd) silent(numbers[i], to);
      if (!given.hasControls) continue;
      for (const char c : {kControlBegin, kControlEnd}) edge(numbers[i], numbers[i], controlByte(c));
    }
  }

  static ByteRange controlByte(char c) {
    const auto byte = static_cast<std::uint8_t>(c);
    return {byte, byte};
  }

  void literal(const std::string& bytes, std::uint32_t from, std::uint32_t to) {
    if (bytes.empty()) return silent(from, to);
    for (std::size_t i = 0; i < bytes.size() && !isFull_; ++i) {
      const std::uint32_t end = i + 1 == bytes.size() ? to : state();
      const auto byte = static_cast<std::uint8_t>(bytes[i]);
      edge(from, end, {byte, byte});
      from = end;
    }
  }

  /// States before the last bytes of characters, by what follows and the byte.
  using Tails = std::unordered_map<std::uint64_t, std::uint32_t>;

  /// From the last byte to the first, so that characters with the same ends share them.
  void characters(const std::vector<CharacterRange>& ranges, std::uint32_t from, std::uint32_t to,
                  Tails& tails) {
    for (const ByteRanges& sequence : byteRanges(ranges)) {
      std::uint32_t end = to;
      for (int i = sequence.length - 1; i > 0 && !isFull_; --i) {
        const ByteRange bytes = sequence.bytes[static_cast<std::size_t>(i)];
        const std::uint64_t key = (std::uint64_t{end} << 16) | (std::uint64_t{bytes.first} << 8) | bytes.last;
        const auto [tail, isNew] = tails.try_emplace(key, 0);
        if (isNew) {
          tail->second = state();
          edge(tail->second, end, bytes);
        }
        end = tail->second;
      }
      edge(from, end, sequence.bytes[0]);
    }
  }

  void repeat(const Expr& expr, std::uint32_t from, std::uint32_t to) {
    const ExprId part = expr.children.front();
    for (std::int64_t i = 0; i < expr.least && !isFull_; ++i) {
      const bool isLast = i + 1 == expr.least && expr.most == expr.least;
      const std::uint32_t end = isLast ? to : state();
      between(part, from, end);
      from = end;
    }
    if (expr.most == expr.least) {
      if (expr.most == 0) silent(from, to);
      return;
    }
    if (expr.most == kUnbounded) {
      // A state of its own: what else begins at `from` must not be reached again from within.
      const std::uint32_t loop = state();
      silent(from, loop);
      between(part, loop, loop);
      return silent(loop, to);
    }
    for (std::int64_t i = expr.least; i < expr.most && !isFull_; ++i) {
      silent(from, to);
      const std::uint32_t end = i + 1 == expr.most ? to : state();
      between(part, from, end);
      from = end;
    }
  }

  const Grammar& grammar_;
  const Layout& layout_;
  std::size_t limit_;
  bool isFull_ = false;
  Nondeterministic out_;
};

}  // namespace

base::Result<Nondeterministic> writeOut(const Grammar& grammar, const Layout& layout, ExprId body,
                                        std::size_t limit) {
  return Writer(grammar, layout, limit).write(body);
}

}  // namespace quern::engine::grammar
