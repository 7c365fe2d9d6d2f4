#include "engine/base/places.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"

namespace quern::engine::base {
namespace {

using test::Environment;

TEST(Places, QuernHomeMovesAllOfThem) {
  const Environment home("QUERN_HOME", "/q");
  const Environment data("XDG_DATA_HOME", "/elsewhere");
  EXPECT_EQ(configFolder(), "/q/config");
  EXPECT_EQ(dataFolder(), "/q/data");
  EXPECT_EQ(cacheFolder(), "/q/cache");
  EXPECT_EQ(modelsFolder(), "/q/data/models");
}

TEST(Places, FollowXdg) {
  const Environment none("QUERN_HOME", nullptr);
  const Environment config("XDG_CONFIG_HOME", "/c");
  const Environment data("XDG_DATA_HOME", "/d");
  const Environment cache("XDG_CACHE_HOME", "/k");
  EXPECT_EQ(configFolder(), "/c/quern");
  EXPECT_EQ(dataFolder(), "/d/quern");
  EXPECT_EQ(cacheFolder(), "/k/quern");
}

TEST(Places, FallBackToTheHomeFolder) {
  const Environment none("QUERN_HOME", "");
  const Environment home("HOME", "/home/ada");
  const Environment config("XDG_CONFIG_HOME", nullptr);
  const Environment data("XDG_DATA_HOME", "relative/is/ignored");
  const Environment cache("XDG_CACHE_HOME", "");
  EXPECT_EQ(configFolder(), "/home/ada/.config/quern");
  EXPECT_EQ(dataFolder(), "/home/ada/.local/share/quern");
  EXPECT_EQ(cacheFolder(), "/home/ada/.cache/quern");
}

}  // namespace
}  // namespace quern::engine::base
