#include "engine/scheduler/ngram_index.h"

#include <algorithm>

namespace quern::engine::scheduler {
namespace {

constexpr std::size_t kFewestSlots = 1024;
constexpr std::size_t kMostSlots = std::size_t{1} << 16;

std::size_t hashOf(std::span<const std::int32_t> ngram) {
  std::uint64_t hash = 0x9E3779B97F4A7C15ULL;
  for (const std::int32_t token : ngram) {
    hash = (hash ^ static_cast<std::uint32_t>(token)) * 0xBF58476D1CE4E5B9ULL;
    hash ^= hash >> 29;
  }
  return static_cast<std::size_t>(hash);
}

}  // namespace

std::uint32_t& NgramIndex::slot(std::size_t level, std::span<const std::int32_t> ngram) {
  auto& table = tables_[level];
  return table[hashOf(ngram) & (table.size() - 1)];
}

void NgramIndex::insert(std::span<const std::int32_t> text, std::size_t size) {
  for (std::size_t level = 0; level < kLengths.size() && kLengths[level] <= size; ++level) {
    slot(level, text.subspan(size - kLengths[level], kLengths[level])) = static_cast<std::uint32_t>(size);
  }
}

/// Twice as many slots as tokens, so that few collide.
void NgramIndex::grow(std::span<const std::int32_t> text, std::size_t size) {
  std::size_t slots = std::max(kFewestSlots, tables_.front().size());
  while (slots < kMostSlots && slots < 2 * size) slots *= 2;
  if (slots == tables_.front().size()) return;
  for (auto& table : tables_) table.assign(slots, 0);
  for (std::size_t end = 1; end <= added_; ++end) insert(text, end);
}

void NgramIndex::add(std::span<const std::int32_t> text, std::size_t size) {
  grow(text, size);
  while (added_ < size) insert(text, ++added_);
}

std::optional<NgramIndex::Match> NgramIndex::find(std::span<const std::int32_t> text, std::size_t size,
                                                  std::size_t atLeast) const {
  if (tables_.front().empty()) return std::nullopt;
  for (std::size_t level = kLengths.size(); level-- > 0 && kLengths[level] >= atLeast;) {
    const std::size_t n = kLengths[level];
    if (n >= size) continue;
    const auto& table = tables_[level];
    const std::size_t end = table[hashOf(text.subspan(size - n, n)) & (table.size() - 1)];
    if (end == 0) continue;
    std::size_t length = 0;
    while (length < std::min(end, kLongestMatch) && text[end - 1 - length] == text[size - 1 - length])
      ++length;
    if (length >= n) return Match{end, length};
  }
  return std::nullopt;
}

void NgramIndex::clear() {
  for (auto& table : tables_) table.clear();
  added_ = 0;
}

}  // namespace quern::engine::scheduler
