// Answers that outlive the server.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "app/serve/api/answer_file.h"
#include "tests/serve/api_fakes.h"

namespace quern::app::serve {
namespace {

namespace fs = std::filesystem;
using engine::scheduler::Event;

class ApiAnswerFile : public ::testing::Test {
 protected:
  ApiAnswerFile() { fs::remove_all(folder); }
  ~ApiAnswerFile() override { fs::remove_all(folder); }

  KeptAnswers answer(const std::string& text) const {
    KeptAnswer kept;
    Event event;
    event.kind = Event::Kind::kTokens;
    event.text = text;
    event.tokens = {1, 2, 3};
    event.logprobs = {{{7, -0.5F}, {8, -1.5F}}, {}, {{9, -2.0F}}};
    kept.events.push_back(event);
    event = {};
    event.kind = Event::Kind::kFinished;
    event.usage.completionTokens = 3;
    event.timings.queueMs = 1.5;
    kept.events.push_back(event);
    return {kept};
  }
  std::uintmax_t sizeOnDisk() const { return fs::file_size(file); }

  const fs::path folder = fs::temp_directory_path() / ("quern-answers-" + std::to_string(::getpid()));
  const fs::path file = folder / "answers.db";
  std::vector<std::string> notices;
  const std::function<void(const std::string&)> note = [this](const std::string& one) {
    notices.push_back(one);
  };
};

TEST_F(ApiAnswerFile, PacksAllThatIsReplayed) {
  const KeptAnswers kept = answer(std::string("a\0\xff", 3));
  const std::string bytes = packAnswers(kept);
  const auto again = unpackAnswers(bytes);
  ASSERT_TRUE(again);
  EXPECT_EQ(packAnswers(*again), bytes);
  EXPECT_EQ((*again)[0].events[0].text, kept[0].events[0].text);
  EXPECT_EQ((*again)[0].events[0].logprobs[2][0].token, 9);
  EXPECT_EQ((*again)[0].events[1].usage.completionTokens, 3);
  for (std::size_t size = 1; size < bytes.size(); ++size) {
    EXPECT_FALSE(unpackAnswers(std::string_view(bytes).substr(0, size))) << size;
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = '\xff';
    unpackAnswers(changed);  // whatever it says, it ends
  }
}

TEST_F(ApiAnswerFile, SurvivesARestartForItsOwnerAlone) {
  {
    AnswerCache cache(1 << 20, file, note);
    cache.keep("question", answer("yes"));
  }
  struct stat state {};
  ASSERT_EQ(::stat(file.c_str(), &state), 0);
  EXPECT_EQ(state.st_mode & 0777, 0600U);
  AnswerCache cache(1 << 20, file, note);
  const auto found = cache.find("question");
  ASSERT_TRUE(found);
  EXPECT_EQ((*found)[0].events[0].text, "yes");
  EXPECT_EQ(cache.find("another"), nullptr);
  EXPECT_TRUE(notices.empty()) << notices.front();
}

TEST_F(ApiAnswerFile, StaysBelowItsLimitAndDropsTheLongestUnused) {
  constexpr std::size_t kLimit = 256 * 1024;
  {
    AnswerCache cache(kLimit, file, note);
    cache.keep("first", answer("first"));
    for (int i = 0; i < 300; ++i) {
      cache.keep("key " + std::to_string(i), answer(std::string(3000, 'x')));
      EXPECT_NE(cache.find("first"), nullptr);
      if (i % 20 == 0) cache.flush();
    }
    cache.flush();
    EXPECT_LE(sizeOnDisk(), kLimit);
    EXPECT_GT(sizeOnDisk(), kLimit / 4);
  }
  {
    AnswerCache cache(kLimit, file, note);
    EXPECT_NE(cache.find("first"), nullptr);
    EXPECT_NE(cache.find("key 299"), nullptr);
    EXPECT_EQ(cache.find("key 0"), nullptr);
    EXPECT_LE(cache.bytes(), kLimit);
  }
  AnswerCache smaller(kLimit / 4, file, note);
  smaller.flush();
  EXPECT_LE(sizeOnDisk(), kLimit / 4);
  EXPECT_NE(smaller.find("first"), nullptr) << "that it was used was not written";
  EXPECT_NE(smaller.find("key 299"), nullptr);
}

TEST_F(ApiAnswerFile, SetsADamagedFileAside) {
  fs::create_directories(folder);
  std::ofstream(file) << std::string(5000, 'Q');
  {
    AnswerCache cache(1 << 20, file, note);
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_NE(notices[0].find("answers.db.broken"), std::string::npos) << notices[0];
    cache.keep("question", answer("yes"));
  }
  EXPECT_TRUE(fs::exists(file.string() + ".broken"));
  AnswerCache cache(1 << 20, file, note);
  EXPECT_NE(cache.find("question"), nullptr);
}

TEST_F(ApiAnswerFile, LeavesAnotherServersFileAlone) {
  AnswerCache first(1 << 20, file, note);
  first.keep("question", answer("yes"));
  AnswerCache second(1 << 20, file, note);
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_NE(notices[0].find("Another server"), std::string::npos) << notices[0];
  second.keep("question", answer("no"));
  EXPECT_NE(second.find("question"), nullptr);
}

TEST_F(ApiAnswerFile, AnswersAfterARestartWithoutTheModel) {
  ServiceOptions options;
  options.answerCacheBytes = 1 << 20;
  options.answerFile = file;
  const Json body = {{"model", "fake"}, {"temperature", 0}, {"messages", userSays("Hi")}};
  {
    Kitchen kitchen("Hello", options);
    const Json first = parsed(kitchen.ask("/v1/chat/completions", body));
    EXPECT_FALSE(first["usage"]["quern"]["response_cache"].get<bool>());
  }
  {
    Kitchen kitchen("Something else", options);
    const Json second = parsed(kitchen.ask("/v1/chat/completions", body));
    EXPECT_TRUE(second["usage"]["quern"]["response_cache"].get<bool>());
    EXPECT_EQ(second["choices"][0]["message"]["content"], "Hello");
  }
  options.answerSetting = "another cache type";
  Kitchen other("Something else", options);
  const Json third = parsed(other.ask("/v1/chat/completions", body));
  EXPECT_EQ(third["choices"][0]["message"]["content"], "Something else");
}

TEST(ApiReuse, SaysInWordsWhatItSaysInNumbers) {
  Kitchen kitchen("Hello");
  const auto ask = [&](const std::string& text) {
    const Json body = {{"model", "fake"}, {"max_tokens", 4}, {"messages", userSays(text)}};
    const Json usage = parsed(kitchen.ask("/v1/chat/completions", body))["usage"];
    return std::pair(usage["prompt_tokens_details"]["cached_tokens"].get<int>(),
                     usage["quern"]["reuse"].get<std::string>());
  };
  EXPECT_EQ(ask("Hi"), std::pair(0, std::string("too short to be found again")));
  const std::string question(300, 'q');
  EXPECT_EQ(ask(question).first, 0);
  const auto [cached, why] = ask(question);
  EXPECT_GT(cached, 0);
  EXPECT_EQ(why, "all of it");
  const auto [begun, whyNoMore] = ask(question + std::string(300, 'z'));
  EXPECT_GT(begun, 0);
  EXPECT_NE(whyNoMore, "nothing like it is known");
  EXPECT_NE(whyNoMore, "all of it");
}

}  // namespace
}  // namespace quern::app::serve
