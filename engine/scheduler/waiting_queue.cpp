#include "engine/scheduler/waiting_queue.h"

#include <tuple>

namespace quern::engine::scheduler {
namespace {

/// Clients from which on those are forgotten that need not be remembered.
constexpr std::size_t kMostClients = 4096;

}  // namespace

int urgency(const Job& job, Clock::time_point now) {
  return static_cast<int>(job.request.priority) - static_cast<int>((now - job.submitted) / kAgeing);
}

std::shared_ptr<Sequence> WaitingQueue::next(Clock::time_point now) const {
  const auto rank = [&](const std::shared_ptr<Sequence>& sequence) {
    const Job& job = sequence->job();
    const auto known = served_.find(job.request.client);
    return std::tuple(urgency(job, now), known == served_.end() ? now_ : known->second, job.id,
                      sequence->answer());
  };
  const auto best = std::min_element(waiting_.begin(), waiting_.end(),
                                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  return best == waiting_.end() ? nullptr : *best;
}

void WaitingQueue::add(std::shared_ptr<Sequence> sequence) {
  std::int64_t& served = served_[sequence->job().request.client];
  served = std::max(served, now_);
  waiting_.push_back(std::move(sequence));
}

void WaitingQueue::remove(const std::shared_ptr<Sequence>& sequence) {
  std::erase(waiting_, sequence);
  now_ = std::max(now_, served_[sequence->job().request.client]);
}

void WaitingQueue::served(const std::string& client, std::int64_t tokens) {
  served_.try_emplace(client, now_).first->second += tokens;
  if (served_.size() <= kMostClients) return;
  // Those who have no more than whoever comes back is given need not be remembered.
  std::erase_if(served_, [&](const auto& known) { return known.second <= now_; });
  if (served_.size() <= kMostClients / 2) return;
  // So many names are made up for every request: all begin anew where the one who was served most stands.
  for (const auto& [name, count] : served_) now_ = std::max(now_, count);
  served_.clear();
}

}  // namespace quern::engine::scheduler
