#include "engine/sampling/candidates.h"

#include <algorithm>
#include <array>
#include <cfloat>
#include <cmath>
#include <limits>

#include "engine/sampling/exact_math.h"

namespace quern::engine::sampling {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

bool before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

/// Puts items in order from the front, as far as needed: `take` sees them one by one and says when it has
/// enough; what follows is dropped. Few tokens hold nearly all of the weight, so 256 are sorted first, then
/// four times as many, and so on, instead of a whole vocabulary.
template <class Less, class Take>
void keepOrdered(std::vector<Candidate>& items, std::size_t ordered, Less less, Take take) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i == ordered) {
      ordered = std::min(items.size(), std::max<std::size_t>(256, ordered * 4));
      const auto begin = items.begin() + static_cast<std::ptrdiff_t>(i);
      const auto end = items.begin() + static_cast<std::ptrdiff_t>(ordered);
      if (end != items.end()) std::nth_element(begin, end, items.end(), less);
      std::sort(begin, end, less);
    }
    if (take(items[i])) {
      items.resize(i + 1);
      return;
    }
  }
}

/// NaNs are passed over; 16 lanes, so that compilers use the widest maximum they have.
float largestOf(std::span<const float> values) {
  constexpr std::size_t kLanes = 16;
  std::array<float, kLanes> lanes;
  lanes.fill(kNothing);
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  for (; i < values.size(); ++i) lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace

std::int32_t largestLogit(std::span<const float> logits) {
  // Blocks small enough to be still in the first-level cache when a new best sends us back for its place.
  constexpr std::size_t kBlock = 1024;
  float best = kNothing;
  std::size_t at = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const auto block = logits.subspan(begin, std::min(kBlock, logits.size() - begin));
    const float most = largestOf(block);
    if (!(most > best)) continue;
    best = most;
    at = begin + static_cast<std::size_t>(std::find(block.begin(), block.end(), most) - block.begin());
  }
  return static_cast<std::int32_t>(at);
}

void Candidates::takeAll(std::span<const float> logits) {
  items_.clear();
  sorted_ = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (!(logits[i] > kNothing)) continue;
    items_.push_back({static_cast<std::int32_t>(i), std::min(logits[i], FLT_MAX), 0.0});
  }
}

void Candidates::takeTop(std::span<const float> logits, std::int32_t k) {
  const auto count = static_cast<std::size_t>(k);
  if (count >= logits.size() / 2) {
    takeAll(logits);
    topK(k);
    return;
  }
  items_.clear();
  sorted_ = false;
  // Enough room that selecting among them is paid by the many that were let in since the last time.
  const std::size_t room = std::min(logits.size(), std::max<std::size_t>(2 * count, 64));
  // Once the bar is up, few blocks have anything above it, and those without are passed by at vector speed.
  constexpr std::size_t kBlock = 64;
  float bar = kNothing;
  for (std::size_t begin = 0; begin < logits.size(); begin += kBlock) {
    const std::size_t end = std::min(logits.size(), begin + kBlock);
    if (!(largestOf(logits.subspan(begin, end - begin)) > bar)) continue;
    for (std::size_t i = begin; i < end; ++i) {
      // An equal one comes later, so its id is higher: it loses.
      if (!(logits[i] > bar)) continue;
      items_.push_back({static_cast<std::int32_t>(i), std::min(logits[i], FLT_MAX), 0.0});
      if (items_.size() < room) continue;
      std::nth_element(items_.begin(), items_.begin() + (k - 1), items_.end(), before);
      items_.resize(count);
      bar = items_[count - 1].logit;
    }
  }
  topK(k);
}

/// Selects and sorts the `count` best, and drops the others.
void Candidates::keepBest(std::size_t count) {
  if (!sorted_) {
    const auto end = items_.begin() + static_cast<std::ptrdiff_t>(std::min(count, items_.size()));
    if (end != items_.end()) std::nth_element(items_.begin(), end, items_.end(), before);
    std::sort(items_.begin(), end, before);
    sorted_ = true;
  }
  if (count < items_.size()) items_.resize(count);
}

void Candidates::topK(std::int32_t k) { keepBest(static_cast<std::size_t>(std::max(k, 1))); }

float Candidates::largest() const {
  if (sorted_) return items_.front().logit;
  float most = kNothing;
  for (const Candidate& item : items_) most = item.logit > most ? item.logit : most;
  return most;
}

double Candidates::weigh() {
  if (items_.empty()) return 1.0;
  const double most = largest();
  double sum = 0;
  for (Candidate& item : items_) {
    item.weight = exactExp(item.logit - most);
    sum += item.weight;
  }
  return sum;
}

void Candidates::topP(double p) {
  if (items_.size() <= 1) return;
  const double wanted = p * weigh();
  double sum = 0;
  keepOrdered(items_, sorted_ ? items_.size() : 0, before, [&](const Candidate& item) {
    sum += item.weight;
    return sum >= wanted;
  });
  sorted_ = true;
}

void Candidates::minP(double p) {
  if (items_.size() <= 1 || p <= 0) return;
  // weight >= p, compared as logarithms: no exponential for tokens that go away.
  const double bar = largest() + exactLog(p);
  std::erase_if(items_, [&](const Candidate& item) { return item.logit < bar; });
}

void Candidates::typical(double p) {
  if (items_.size() <= 1) return;
  const double sum = weigh();
  const double most = largest();
  // The normalizing constant falls out of |−log pᵢ − H|: what is left is the distance of a logit from the
  // mean logit.
  double mean = 0;
  for (const Candidate& item : items_) {
    if (item.weight > 0) mean += item.weight / sum * (item.logit - most);
  }
  const auto distance = [&](const Candidate& item) { return std::abs(item.logit - most - mean); };
  const auto nearer = [&](const Candidate& a, const Candidate& b) {
    const double left = distance(a);
    const double right = distance(b);
    return left != right ? left < right : before(a, b);
  };
  double held = 0;
  keepOrdered(items_, 0, nearer, [&](const Candidate& item) {
    held += item.weight;
    return held >= p * sum;
  });
  sorted_ = true;
  restoreOrder();
}

void Candidates::temperature(double t) {
  for (Candidate& item : items_) {
    item.logit = static_cast<float>(std::clamp<double>(item.logit / t, -FLT_MAX, FLT_MAX));
  }
}

void Candidates::xtc(double threshold) {
  if (items_.size() <= 1) return;
  const double bar = threshold * weigh();
  const Candidate* least = nullptr;
  std::size_t above = 0;
  for (const Candidate& item : items_) {
    if (item.weight < bar) continue;
    ++above;
    if (!least || before(*least, item)) least = &item;
  }
  if (above < 2) return;
  const std::int32_t stays = least->id;
  std::erase_if(items_, [&](const Candidate& item) { return item.weight >= bar && item.id != stays; });
}

void Candidates::mirostat(double mu) {
  if (items_.size() <= 1) return;
  const double sum = weigh();
  // −log2(w / sum) <= mu; the likeliest token stays whatever mu is.
  const float most = largest();
  const double bar = (mu <= 0 ? 1.0 : exactExp(-mu * kLn2)) * sum;
  std::erase_if(items_, [&](const Candidate& item) { return item.weight < bar && item.logit < most; });
}

void Candidates::restoreOrder() {
  for (Candidate& item : items_) item.logit = std::clamp(item.logit, -FLT_MAX, FLT_MAX);
  if (sorted_) std::sort(items_.begin(), items_.end(), before);
}

}  // namespace quern::engine::sampling
