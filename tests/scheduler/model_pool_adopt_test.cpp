// Engines that somebody else has loaded, lent out by a pool beside its own.
#include <gtest/gtest.h>

#include "tests/scheduler/pool_fakes.h"

namespace quern::engine::scheduler {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<Engine> loadedElsewhere(World& world, const std::string& name) {
  auto made = world.options(0).load(name, {}, [](double) { return true; });
  EXPECT_TRUE(made);
  return made ? std::move(*made) : nullptr;
}

TEST(AdoptedEngine, IsLentWithoutALoadWhateverIsAskedFor) {
  World world;
  const auto engine = loadedElsewhere(world, "a");
  ModelPool pool(world.options(50));  // less than it holds: that is its owner's affair
  ASSERT_TRUE(pool.adopt("a", engine));
  AcquireOptions large;
  large.load.emplace();
  large.load->contextTokens = 1 << 20;
  large.load->parallel = 64;
  for (const AcquireOptions& options : {AcquireOptions(), large}) {
    const auto lease = pool.acquire("./x/../a", options);
    ASSERT_TRUE(lease) << lease.error().describe();
    EXPECT_EQ(lease->get(), engine.get());
  }
  EXPECT_EQ(world.loads(), 1);
  const PoolStatus status = pool.list();
  ASSERT_EQ(status.models.size(), 1U);
  EXPECT_TRUE(status.models[0].adopted);
  EXPECT_EQ(status.usedBytes, 0U);
  const auto twice = pool.adopt("a", engine);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), base::ErrorCode::kBusy);
}

TEST(AdoptedEngine, NeitherExpiresNorMakesRoom) {
  World world;
  const auto engine = loadedElsewhere(world, "a");
  ModelPool pool(world.stillOptions(100));
  ASSERT_TRUE(pool.adopt("a", engine));
  ASSERT_TRUE(pool.acquire("a"));
  world.advance(pool, std::chrono::hours(100));
  ASSERT_TRUE(pool.acquire("b"));  // takes all of the budget
  world.advance(pool, 1s);
  ASSERT_TRUE(pool.acquire("c"));  // for which "b" goes, though "a" was unused for longer
  EXPECT_EQ(world.loaded(), (std::vector<std::string>{"a", "c"}));
  ASSERT_EQ(pool.list().models.size(), 2U);
  EXPECT_EQ(pool.acquire("a")->get(), engine.get());
  EXPECT_EQ(world.loads(), 3);
}

TEST(AdoptedEngine, GoesBackToItsOwnerAndIsNotLoadedInstead) {
  World world;
  std::shared_ptr<Engine> engine = loadedElsewhere(world, "a");
  const std::weak_ptr<Engine> watched = engine;
  ModelPool pool(world.options(1000));
  ASSERT_TRUE(pool.adopt("a", std::move(engine)));
  auto lease = pool.acquire("a");
  ASSERT_TRUE(lease);
  const auto inUse = pool.unload("a");
  ASSERT_FALSE(inUse);
  EXPECT_EQ(inUse.error().code(), base::ErrorCode::kBusy);
  Pending late;
  pool.acquireLater("a", {}, late.done());
  EXPECT_FALSE(watched.expired());
  lease = base::Error(base::ErrorCode::kCancelled, "given back");
  const auto refused = late.await();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), base::ErrorCode::kNotFound);
  EXPECT_TRUE(watched.expired());
  EXPECT_EQ(world.loads(), 1);
  // The place is free for the next.
  const auto next = loadedElsewhere(world, "a");
  ASSERT_TRUE(pool.adopt("a", next));
  EXPECT_EQ(pool.acquire("a")->get(), next.get());
}

}  // namespace
}  // namespace quern::engine::scheduler
