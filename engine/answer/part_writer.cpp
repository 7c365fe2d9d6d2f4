#include "engine/answer/part_writer.h"

#include "engine/answer/json_text.h"

namespace quern::engine::answer {
namespace {

/// More white space than this is not held back: it is text.
constexpr std::size_t kMostSpace = 256;
constexpr std::size_t kMostCalls = 1024;

/// Spreads a counter over 64 bits. Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
/// 2014.
std::uint64_t mixed(std::uint64_t& state) {
  std::uint64_t z = state += 0x9E3779B97F4A7C15;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
  z = (z ^ z >> 27) * 0x94D049BB133111EB;
  return z ^ z >> 31;
}

}  // namespace

PartWriter::PartWriter(const ParserOptions& options) : options_(options) {}

std::string PartWriter::makeId(std::size_t index) const {
  constexpr std::string_view kLetters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::uint64_t state = options_.seed ^ (index + 1) * 0xD1B54A32D192ED03;
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kLetters[mixed(state) % kLetters.size()];
  return id;
}

Part& PartWriter::add(Part::Kind kind) {
  parts_.emplace_back();
  parts_.back().kind = kind;
  return parts_.back();
}

void PartWriter::append(std::string_view bytes, Part::Kind kind) {
  if (bytes.empty()) return;
  if (parts_.empty() || parts_.back().kind != kind) add(kind);
  parts_.back().text += bytes;
  (kind == Part::Kind::kReasoning ? message_.reasoning : message_.content) += bytes;
}

void PartWriter::text(char c, Part::Kind kind) {
  if (isSpace(c)) {
    if (dropsSpace_) return;
    spaceKind_ = kind;
    space_ += c;
    if (space_.size() >= kMostSpace) append(takeSpace(), kind);
    return;
  }
  append(takeSpace(), kind);
  append({&c, 1}, kind);
  dropsSpace_ = false;
  atEdge_ = false;
}

void PartWriter::dropSpace() {
  space_.clear();
  dropsSpace_ = true;
  atEdge_ = true;
}

bool PartWriter::mayCall() const {
  return !options_.tools.empty() && message_.calls.size() < (options_.parallel ? kMostCalls : 1);
}

bool PartWriter::takes(std::string_view name, bool knownOnly) const {
  return mayCall() && !name.empty() && (!knownOnly || findTool(options_.tools, name) != nullptr);
}

void PartWriter::begin(std::string_view name, std::string_view id) {
  dropSpace();
  tool_ = findTool(options_.tools, name);
  isOpen_ = true;
  Part& part = add(Part::Kind::kCallBegin);
  part.call = static_cast<std::int32_t>(message_.calls.size());
  part.id = id.empty() ? makeId(message_.calls.size()) : id;
  part.name = name;
  part.isKnown = tool_ != nullptr;
  message_.calls.push_back({part.id, part.name, "", part.isKnown, false});
}

void PartWriter::arguments(std::string_view json) {
  if (json.empty()) return;
  if (parts_.empty() || parts_.back().kind != Part::Kind::kArguments) {
    add(Part::Kind::kArguments).call = static_cast<std::int32_t>(message_.calls.size()) - 1;
  }
  parts_.back().text += json;
  message_.calls.back().arguments += json;
}

void PartWriter::end(bool isComplete) {
  Part& part = add(Part::Kind::kCallEnd);
  part.call = static_cast<std::int32_t>(message_.calls.size()) - 1;
  part.isComplete = isComplete;
  message_.calls.back().isComplete = isComplete;
  isOpen_ = false;
  tool_ = nullptr;
}

void PartWriter::finish() {
  if (isOpen_) end(false);
  if (spaceKind_ == Part::Kind::kContent && message_.calls.empty()) append(space_, spaceKind_);
  space_.clear();
}

}  // namespace quern::engine::answer
