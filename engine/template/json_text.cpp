// tojson as transformers has it: Python's json.dumps, by default without escaping what is not ASCII.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "engine/template/machine.h"
#include "engine/template/text.h"

namespace quern::engine::chat::jinja {

namespace {

class JsonWriter {
 public:
  JsonWriter(Machine& machine, Args& args)
      : m_(machine), bound_(machine, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}) {
    ascii_ = bound_.flag(0);
    sort_ = bound_.flag(3);
    if (bound_[1] != nullptr && !bound_[1]->isNone()) {
      pretty_ = true;
      margin_ = bound_[1]->isString() ? bound_[1]->string().text
                                      : m_.repeat(" ", m_.integerOf(*bound_[1], "indent"));
      between_ = ",";
    }
    if (bound_[2] != nullptr && !bound_[2]->isNone()) {
      const std::vector<Value> pair = m_.iterate(*bound_[2]);
      if (pair.size() != 2) m_.fail("separators must be a pair");
      between_ = m_.textOf(pair[0], "item separator");
      colon_ = m_.textOf(pair[1], "key separator");
    }
  }

  std::string run(const Value& value) {
    write(value, 0);
    return std::move(out_);
  }

 private:
  void write(const Value& value, std::size_t level) {
    m_.step();
    m_.checkStack();
    m_.checkText(out_.size());
    switch (value.type) {
      case Type::kNone:
        out_ += "null";
        return;
      case Type::kBool:
        out_ += value.boolean ? "true" : "false";
        return;
      case Type::kInt:
        out_ += std::to_string(value.integer);
        return;
      case Type::kFloat:
        out_ += number(value.real);
        return;
      case Type::kString:
        writeText(value.text());
        return;
      case Type::kSequence:
        if (value.sequence().kind == SequenceKind::kList || value.sequence().isTuple()) {
          return writeList(value.sequence().items, level);
        }
        break;
      case Type::kDict:
        return writeDict(value.dict(), level);
      default:
        break;
    }
    m_.fail("Object of type " + std::string(m_.typeName(value)) + " is not JSON serializable");
  }

  static std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return floatText(value);
  }

  void newline(std::size_t level) {
    if (!pretty_) return;
    out_ += '\n';
    m_.work(level * margin_.size());
    for (std::size_t i = 0; i < level; ++i) out_ += margin_;
    m_.checkText(out_.size());
  }

  void writeList(const std::vector<Value>& items, std::size_t level) {
    if (items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += between_;
      newline(level + 1);
      write(items[i], level + 1);
    }
    newline(level);
    out_ += ']';
  }

  void writeDict(const Dict& dict, std::size_t level) {
    if (dict.entries.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<std::pair<Value, Value>> entries = dict.entries;
    m_.workItems(entries.size());
    if (sort_) sortEntries(entries);
    out_ += '{';
    bool first = true;
    for (const auto& [key, value] : entries) {
      if (!first) out_ += between_;
      first = false;
      newline(level + 1);
      writeKey(key);
      out_ += colon_;
      write(value, level + 1);
    }
    newline(level);
    out_ += '}';
  }

  void sortEntries(std::vector<std::pair<Value, Value>>& entries) {
    for (std::size_t i = 1; i < entries.size(); ++i) m_.order(entries[i].first, entries[0].first);
    const bool comparable = std::all_of(entries.begin(), entries.end(), [&](const auto& entry) {
      return entry.first.isString() || entry.first.isNumber();
    });
    // NaN has no place in an order, and std::stable_sort must not be asked about it.
    for (const auto& entry : entries) {
      if (entry.first.is(Type::kFloat) && std::isnan(entry.first.real)) return;
    }
    if (!comparable) m_.fail("'<' not supported between keys of this type");
    std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
      if (a.first.isString()) return a.first.text() < b.first.text();
      return a.first.asReal() < b.first.asReal();
    });
  }

  void writeKey(const Value& key) {
    switch (key.type) {
      case Type::kString:
        return writeText(key.text());
      case Type::kNone:
        return writeText("null");
      case Type::kBool:
        return writeText(key.boolean ? "true" : "false");
      case Type::kInt:
        return writeText(std::to_string(key.integer));
      case Type::kFloat:
        return writeText(number(key.real));
      default:
        m_.fail("keys must be str, int, float, bool or None, not " + std::string(m_.typeName(key)));
    }
  }

  void escapeCode(unsigned code) {
    std::array<char, 8> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "\\u%04x", code & 0xFFFF);
    out_ += buffer.data();
  }

  void writeText(std::string_view text) {
    m_.work(text.size());
    out_ += '"';
    for (std::size_t at = 0; at < text.size();) {
      const Character character = characterAt(text, at);
      const char32_t code = character.code;
      static constexpr std::string_view kShort = "\b\f\n\r\t\"\\";
      static constexpr std::string_view kLetters = "bfnrt\"\\";
      const std::size_t brief = code < 0x80 ? kShort.find(static_cast<char>(code)) : std::string_view::npos;
      if (brief != std::string_view::npos) {
        out_ += '\\';
        out_ += kLetters[brief];
      } else if (code < 0x20 || (ascii_ && code >= 0x7F && code < 0x10000)) {
        escapeCode(code);
      } else if (ascii_ && code >= 0x10000) {
        escapeCode(0xD800 + ((code - 0x10000) >> 10));
        escapeCode(0xDC00 + ((code - 0x10000) & 0x3FF));
      } else {
        out_ += text.substr(at, character.bytes);
      }
      at += character.bytes;
    }
    out_ += '"';
  }

  Machine& m_;
  Bound bound_;
  std::string out_;
  bool ascii_ = false;
  bool sort_ = false;
  bool pretty_ = false;
  std::string margin_;
  std::string between_ = ", ";
  std::string colon_ = ": ";
};

}  // namespace

std::string Machine::json(const Value& value, Args& args) { return JsonWriter(*this, args).run(value); }

}  // namespace quern::engine::chat::jinja
