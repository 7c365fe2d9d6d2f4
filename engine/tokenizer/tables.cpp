#include "engine/tokenizer/tables.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <random>

#include "engine/base/check.h"

namespace quern::engine::tokenizer {
namespace {

/// So many entries go on their way while the cache lines of earlier ones arrive.
constexpr std::size_t kAhead = 16;

std::uint64_t drawSeed() {
  std::uint64_t seed =
      static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  try {
    std::random_device device;
    seed ^= (static_cast<std::uint64_t>(device()) << 32) | device();
  } catch (const std::exception&) {  // a system without a source of randomness still has a clock
  }
  return seed;
}

std::uint64_t seed() {
  static const std::uint64_t drawn = drawSeed();
  return drawn;
}

/// Both halves of a product: every bit of either factor reaches the result.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, count);
  return value;
}

}  // namespace

std::uint32_t TextTable::hash(std::string_view text) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ULL;  // 2^64 divided by the golden ratio
  std::uint64_t mixed = seed() ^ (text.size() * kOdd);
  const char* at = text.data();
  std::size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) mixed = fold(mixed ^ word(at, 8), seed() | 1);
  if (left > 0) mixed = fold(mixed ^ word(at, left), seed() | 1);
  return static_cast<std::uint32_t>(fold(mixed, kOdd));
}

void TextTable::resize(std::size_t texts) {
  slots_.assign(std::bit_ceil(std::max<std::size_t>(8, 2 * texts)), Slot{0, -1});
}

void TextTable::build(std::span<const std::string_view> texts) {
  QUERN_CHECK(texts.size() <= (1U << 30), "more texts than a table can number");
  resize(texts.size());
  entries_ = 0;
  texts_ = texts.size();
  std::array<std::uint32_t, kAhead> hashes;
  for (std::size_t i = 0; i < texts.size() + kAhead; ++i) {
    if (i >= kAhead) insert(hashes[i % kAhead], static_cast<std::int32_t>(i - kAhead), texts);
    if (i >= texts.size()) continue;
    hashes[i % kAhead] = hash(texts[i]);
    __builtin_prefetch(&slots_[hashes[i % kAhead] & (slots_.size() - 1)], 1);
  }
}

void TextTable::append(std::span<const std::string_view> texts) {
  if (slots_.size() < 2 * texts.size()) {
    build(texts);
    return;
  }
  texts_ = texts.size();
  insert(hash(texts.back()), static_cast<std::int32_t>(texts.size() - 1), texts);
}

void TextTable::insert(std::uint32_t hashed, std::int32_t id, std::span<const std::string_view> texts) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hashed & mask;
  for (; slots_[at].id >= 0; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.hash == hashed &&
        texts[static_cast<std::size_t>(slot.id)] == texts[static_cast<std::size_t>(id)])
      return;
  }
  slots_[at] = {hashed, id};
  ++entries_;
}

std::int32_t TextTable::find(std::string_view text, std::uint32_t hashed,
                             std::span<const std::string_view> texts) const {
  if (slots_.empty()) return -1;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hashed & mask; slots_[at].id >= 0; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.hash == hashed && texts[static_cast<std::size_t>(slot.id)] == text) return slot.id;
  }
  return -1;
}

void MergeTable::reserve(std::size_t merges) {
  const std::size_t slots = std::bit_ceil(std::max<std::size_t>(8, merges + merges / 2));
  slots_.assign(slots, Slot{0, 0, {kFree, 0}});
  shift_ = 64 - std::countr_zero(slots);
}

std::size_t MergeTable::home(std::uint32_t left, std::uint32_t right) const {
  const std::uint64_t pair = (std::uint64_t{left} << 32) | right;
  return static_cast<std::size_t>(fold(pair ^ seed(), seed() | 1) >> shift_);
}

void MergeTable::add(std::uint32_t left, std::uint32_t right, Merge merge) {
  std::size_t at = home(left, right);
  for (; slots_[at].merge.rank != kFree; at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].left == left && slots_[at].right == right) return;
  }
  slots_[at] = {left, right, merge};
}

const MergeTable::Merge* MergeTable::find(std::uint32_t left, std::uint32_t right) const {
  if (slots_.empty()) return nullptr;
  for (std::size_t at = home(left, right); slots_[at].merge.rank != kFree;
       at = (at + 1) & (slots_.size() - 1)) {
    if (slots_[at].left == left && slots_[at].right == right) return &slots_[at].merge;
  }
  return nullptr;
}

}  // namespace quern::engine::tokenizer
