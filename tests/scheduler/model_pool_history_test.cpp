// Random histories by several threads: whatever they do, the budget holds, no model ends while it is in use,
// and everybody is answered.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "engine/scheduler/model_pool.h"
#include "tests/scheduler/pool_fakes.h"

namespace quern::engine::scheduler {
namespace {

using namespace std::chrono_literals;

constexpr int kThreads = 6;
constexpr int kSteps = 250;
constexpr std::uint64_t kBudget = 1000;

class Client {
 public:
  Client(ModelPool& pool, World& world, unsigned seed) : pool_(pool), world_(world), random_(seed) {}

  void step() {
    switch (below(12)) {
      case 0:
        pool_.pin(name(), below(8) == 0);
        break;
      case 1:
        (void)pool_.unload(name(), below(2) == 0 ? 0ms : 2ms);
        break;
      case 2:
        check(pool_.list());
        break;
      case 3:
        world_.failsNow = below(8) == 0;
        break;
      case 4:
      case 5: {
        Pending pending;
        const auto ticket = pool_.acquireLater(name(), options(), pending.done());
        if (below(2) == 0) std::this_thread::yield();
        pool_.abandon(ticket);
        use(pending.await());
        break;
      }
      case 6: {  // Two at once: the second waits for a bounded time, since others may hold it and want the
                 // first.
        auto first = pool_.acquire(name(), options());
        if (first) use(pool_.acquire(name(), options()));
        use(std::move(first));
        break;
      }
      default:
        use(pool_.acquire(name(), options()));
    }
  }
  int served() const { return served_; }
  int refused() const { return refused_; }

 private:
  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  std::string name() { return std::string(1, static_cast<char>('a' + below(8))); }

  AcquireOptions options() {
    AcquireOptions made;
    made.roomWait = std::chrono::milliseconds(below(3) * 5);
    if (below(4) == 0) made.keepAlive = std::chrono::milliseconds(below(4) - 1);
    if (below(3) == 0) {
      made.load.emplace();
      made.load->contextTokens = 1024 * (1 + below(2));
    }
    return made;
  }

  void use(base::Result<Lease> lease) {
    if (!lease) {
      ++refused_;
      EXPECT_TRUE(lease.error().code() != base::ErrorCode::kInternal) << lease.error().describe();
      return;
    }
    ++served_;
    const Lease copy = *lease;
    const World::Use inUse(copy);
    if (below(3) == 0) std::this_thread::sleep_for(std::chrono::microseconds(below(500)));
    *lease = nullptr;
    EXPECT_GT(copy->stats().running, 0);
  }

  static void check(const PoolStatus& status) {
    EXPECT_LE(status.usedBytes, status.budgetBytes);
    std::uint64_t sum = 0;
    for (const PooledModel& model : status.models) {
      sum += model.bytes;
      EXPECT_GE(model.leases, 0);
    }
    EXPECT_EQ(sum, status.usedBytes);
  }

  ModelPool& pool_;
  World& world_;
  std::mt19937 random_;
  int served_ = 0;
  int refused_ = 0;
};

TEST(ModelPoolHistory, BudgetHoldsNobodyLosesAModelAndAllAreAnswered) {
  int served = 0;
  int refused = 0;
  int ends = 0;
  for (unsigned round = 0; round < 4; ++round) {
    World world;
    for (int i = 0; i < 8; ++i) {
      world.models[std::string(1, static_cast<char>('a' + i))].bytes =
          100 * static_cast<std::uint64_t>(1 + i) + 250;
    }
    {
      auto options = world.options(kBudget);
      options.idleTimeToLive = 3ms;
      options.patience = 2ms;
      ModelPool pool(std::move(options));
      std::vector<Client> clients;
      for (unsigned i = 0; i < kThreads; ++i) clients.emplace_back(pool, world, 100 * round + i);
      std::vector<std::thread> threads;
      for (Client& client : clients) {
        threads.emplace_back([&client] {
          for (int i = 0; i < kSteps; ++i) client.step();
        });
      }
      for (std::thread& thread : threads) thread.join();
      for (const Client& client : clients) {
        served += client.served();
        refused += client.refused();
      }
    }
    EXPECT_LE(world.mostBytes(), kBudget);
    EXPECT_EQ(world.endedInUse, 0);
    EXPECT_TRUE(world.loaded().empty());
    ends += world.ends;
  }
  // The histories did meet what they are for.
  EXPECT_GT(served, 300);
  EXPECT_GT(refused, 100);
  EXPECT_GT(ends, 100);
  std::printf("%d served, %d refused, %d models taken down\n", served, refused, ends);
}

}  // namespace
}  // namespace quern::engine::scheduler
