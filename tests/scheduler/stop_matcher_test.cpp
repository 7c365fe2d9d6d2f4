#include "engine/scheduler/stop_matcher.h"

#include <gtest/gtest.h>

namespace quern::engine::scheduler {
namespace {

struct Shown {
  std::string text;
  bool matched;
  bool operator==(const Shown&) const = default;
};

Shown feed(const std::vector<std::string>& stops, const std::vector<std::string_view>& pieces) {
  StopMatcher matcher(stops);
  std::string text;
  for (const auto piece : pieces) text += matcher.push(piece);
  const bool matched = matcher.matched();
  text += matcher.finish();
  return {text, matched};
}

struct StopCase {
  std::vector<std::string> stops;
  std::string text;
  Shown expected;
};

const std::vector<StopCase> kCases = {
    {{"STOP"}, "hello STOP world", {"hello ", true}},
    {{"STOP"}, "hello STO", {"hello STO", false}},
    {{"STOP"}, "SSTSTOSTOP!", {"SSTSTO", true}},
    {{"aab"}, "aaaab", {"aa", true}},
    {{"abab"}, "abaababx", {"aba", true}},
    {{"\n\nUser:", "\n\n"}, "one\n\nUser: two", {"one", true}},
    {{"abc", "b"}, "xabc", {"xa", true}},
    {{"bc", "abc"}, "xabc", {"x", true}},
    {{"€uro"}, "ten €uro", {"ten ", true}},
    {{"€"}, "a\xE2\x82 b€c", {"a\xE2\x82 b", true}},
    {{"日本"}, "これは日本です", {"これは", true}},
    {{"x"}, "x", {"", true}},
    {{""}, "nothing stops", {"nothing stops", false}},
    {{}, "nothing stops", {"nothing stops", false}},
};

TEST(Scheduler, StopTextNeverLeaksWhereverTheTextIsCut) {
  for (const auto& [stops, text, expected] : kCases) {
    const std::string_view all = text;
    for (std::size_t a = 0; a <= all.size(); ++a) {
      for (std::size_t b = a; b <= all.size(); ++b) {
        EXPECT_EQ(feed(stops, {all.substr(0, a), all.substr(a, b - a), all.substr(b)}), expected)
            << text << " cut at " << a << " and " << b;
      }
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < all.size(); ++i) bytes.push_back(all.substr(i, 1));
    EXPECT_EQ(feed(stops, bytes), expected) << text << " byte by byte";
  }
}

TEST(Scheduler, TextThatCannotBecomeAStopIsShownAtOnce) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.push("hello S"), "hello ");
  EXPECT_EQ(matcher.push("T"), "");
  EXPECT_EQ(matcher.push("AY"), "STAY");
}

}  // namespace
}  // namespace quern::engine::scheduler
