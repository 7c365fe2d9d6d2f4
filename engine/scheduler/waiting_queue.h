// Requests that wait for their turn: who is next.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/sequence.h"

namespace quern::engine::scheduler {

/// A request that has waited so long counts as one class more urgent, after twice as long as two.
inline constexpr std::chrono::seconds kAgeing{10};

/// The class that a request counts as, 0 the most urgent; negative ones are older still.
int urgency(const Job& job, Clock::time_point now);

/// Engine thread only. Order: urgency; within one, the client that has been served least; of one client, the
/// oldest. Whoever was preempted keeps its age and so comes before those who came after it.
class WaitingQueue {
 public:
  void add(std::shared_ptr<Sequence> sequence);
  bool empty() const { return waiting_.empty(); }
  std::size_t size() const { return waiting_.size(); }

  /// Who is next; null when nobody waits.
  std::shared_ptr<Sequence> next(Clock::time_point now) const;
  /// Its turn has come.
  void remove(const std::shared_ptr<Sequence>& sequence);
  /// Takes out those for whom `leaves` is true.
  template <class Leaves>
  std::vector<std::shared_ptr<Sequence>> removeIf(Leaves&& leaves) {
    std::vector<std::shared_ptr<Sequence>> gone;
    std::erase_if(waiting_, [&](const auto& sequence) {
      if (!leaves(*sequence)) return false;
      gone.push_back(sequence);
      return true;
    });
    return gone;
  }

  /// Counts tokens that were computed for a client.
  void served(const std::string& client, std::int64_t tokens);

 private:
  /// Start-time fair queueing (Goyal, Vin and Cheng, 1996): each client's tokens computed so far; whoever
  /// comes back after a pause starts where the one whose turn it was last stood. Having been away is no
  /// credit.
  std::unordered_map<std::string, std::int64_t> served_;
  std::int64_t now_ = 0;  ///< what that one had been served
  std::vector<std::shared_ptr<Sequence>> waiting_;
};

}  // namespace quern::engine::scheduler
