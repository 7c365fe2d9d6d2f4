#include "ui/bridge/answer_text.h"

#include <gtest/gtest.h>

#include <QLocale>
#include <limits>

#include "ui/bridge/sampling_json.h"

namespace quern::ui {
namespace {

std::string shape(const char* answer) {
  std::string text;
  for (const AnswerPart& part : splitThoughts(QString::fromUtf8(answer))) {
    text += (part.thought ? (part.open ? "[?" : "[") : "(") + part.text.toStdString() +
            (part.thought ? "]" : ")");
  }
  return text;
}

TEST(AnswerText, SplitsThoughtsFromText) {
  EXPECT_EQ(shape("plain"), "(plain)");
  EXPECT_EQ(shape("<think>\nhm\n</think>\n\nFour."), "[hm](Four.)");
  EXPECT_EQ(shape("A<think>b</think>C<think>d</think>E"), "(A)[b](C)[d](E)");
  EXPECT_EQ(shape("<think>still going"), "[?still going]");
  EXPECT_EQ(shape("<think>"), "[?]");
  EXPECT_EQ(shape("hm, so\n</think>Four."), "[hm, so](Four.)");
  EXPECT_EQ(shape("<think></think>Four."), "(Four.)");
  EXPECT_EQ(shape("1 < 2 and <thinking>"), "(1 < 2 and <thinking>)");
  EXPECT_EQ(shape(""), "");
}

TEST(AnswerText, TagsInFencedCodeAreText) {
  EXPECT_EQ(shape("```\n<think>x</think>\n```"), "(```\n<think>x</think>\n```)");
  EXPECT_EQ(shape("~~~\n<think>\n```\n~~~\n<think>y</think>z"), "(~~~\n<think>\n```\n~~~)[y](z)");
}

TEST(AnswerText, ThoughtsDoNotGoBackIntoThePrompt) {
  EXPECT_EQ(withoutThoughts("<think>hm</think>\n\nFour."), "Four.");
  EXPECT_EQ(withoutThoughts("  as it is "), "  as it is ");
  EXPECT_EQ(withoutThoughts("<think>never ends"), "");
}

TEST(AnswerText, LongAnswersAreSplitInLinearTime) {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += "a < b\n";
  const auto parts = splitThoughts(QString::fromStdString(text));
  ASSERT_EQ(parts.size(), 1U);
}

TEST(AnswerText, TitlesComeFromTheFirstLineThatSaysSomething) {
  EXPECT_EQ(titleFromQuestion(QStringLiteral("  What is a quern?  \nMore")),
            QStringLiteral("What is a quern?"));
  EXPECT_EQ(titleFromQuestion(QStringLiteral("\n---\n## 1. **Plan** the `thing`")),
            QStringLiteral("Plan the thing"));
  EXPECT_EQ(titleFromQuestion(QString()), QStringLiteral("New chat"));
  const QString cut = titleFromQuestion(QStringLiteral("word ").repeated(40));
  EXPECT_TRUE(cut.endsWith(QStringLiteral("word…")));
  EXPECT_LE(cut.size(), 61);
  const QString emoji = titleFromQuestion(QString::fromUtf8("😀").repeated(61));
  EXPECT_FALSE(emoji.chopped(1).back().isHighSurrogate());
}

TEST(AnswerText, FooterLeavesOutWhatIsNotKnown) {
  AnswerStats stats;
  EXPECT_EQ(footerText(stats), QString());
  stats.usage.completionTokens = 318;
  stats.timings.tokensPerSecond = 42.14;
  stats.timings.firstTokenMs = 412;
  stats.timings.bandwidthShare = 0.708;
  stats.reason = QStringLiteral("end of turn");
  EXPECT_EQ(footerText(stats),
            QStringLiteral("42.1 tok/s · 318 tokens · 0.41 s to first token · 71 % of bandwidth "
                           "limit · stopped: end of turn"));
  EXPECT_EQ(footerText(statsFromJson(statsToJson(stats))), footerText(stats));
}

TEST(AnswerText, DetailsSayWhatWasKnownAndWhyNoMore) {
  using Why = engine::scheduler::ReuseReport::Why;
  const auto number = [](int value) { return QLocale().toString(value); };
  AnswerStats stats;
  EXPECT_EQ(footerDetails(stats), QString());
  stats.usage.promptTokens = 1240;
  stats.usage.cachedTokens = 1184;
  stats.usage.reuse = {Why::kDiffers, 1184, 7, 8};
  stats.usage.draftedTokens = 60;
  stats.usage.acceptedTokens = 41;
  stats.timings.promptMs = 410;
  const QString read =
      QStringLiteral("Question and history: %1 tokens, %2 of them known from before, read in 0.41 s\n")
          .arg(number(1240), number(1184));
  EXPECT_EQ(footerDetails(stats),
            read + QStringLiteral("Nothing more was known: what was read before differs from token %1 on\n"
                                  "Guessed ahead: 60 tokens, 41 of them right")
                       .arg(number(1185)));
  EXPECT_EQ(footerDetails(statsFromJson(statsToJson(stats))), footerDetails(stats));
  stats.usage.reuse.why = Why::kWhole;
  stats.usage.draftedTokens = 0;
  stats.timings.queueMs = 1500;
  EXPECT_EQ(footerDetails(stats), read + QStringLiteral("Waited for others: 1.50 s"));
  // Kept before reasons were, or by a later program.
  const AnswerStats old = statsFromJson(R"({"promptTokens": 9, "promptMs": 5})");
  EXPECT_FALSE(footerDetails(old).contains(QStringLiteral("Nothing more")))
      << footerDetails(old).toStdString();
  EXPECT_FALSE(footerDetails(statsFromJson(R"({"promptTokens": 9, "promptMs": 5, "reuse": 77})"))
                   .contains(QStringLiteral("Nothing more")));
}

TEST(AnswerText, BrokenStatsAreEmpty) {
  for (const char* text : {"", "{", "[]", "null", "{\"completionTokens\": \"x\", \"reason\": 7}",
                           "{\"completionTokens\": 1e300, \"tokensPerSecond\": -1e999}"}) {
    EXPECT_EQ(footerText(statsFromJson(text)), QString()) << text;
  }
}

TEST(AnswerText, AFenceIsLongerThanAnyFenceWithin) {
  const std::string json = attachmentsToJson({{QStringLiteral("a\nb.txt"), QStringLiteral("`````")}});
  EXPECT_EQ(promptText("Q", json), "File \"a b.txt\":\n``````\n`````\n``````\n\nQ");
  EXPECT_EQ(promptText("Q", "[{\"name\": 3}, 7]"), "File \"\":\n```\n\n```\n\nQ");
  EXPECT_EQ(promptText("Q", "{broken"), "Q");
}

TEST(SamplingJson, KeepsEveryField) {
  engine::sampling::Parameters parameters;
  parameters.temperature = 0;
  parameters.topK = 7;
  parameters.randomSeed = false;
  parameters.seed = std::numeric_limits<std::uint64_t>::max();
  parameters.dryBreakers = {"x"};
  parameters.logitBias = {{5, 1.5F}, {9, -std::numeric_limits<float>::infinity()}};
  parameters.order = {engine::sampling::Stage::kTemperature};
  const auto back = samplingFromJson(nlohmann::json::parse(samplingToJson(parameters).dump()));
  EXPECT_EQ(back.temperature, 0);
  EXPECT_EQ(back.topK, 7);
  EXPECT_FALSE(back.randomSeed);
  EXPECT_EQ(back.seed, parameters.seed);
  EXPECT_EQ(back.dryBreakers, parameters.dryBreakers);
  EXPECT_EQ(back.logitBias, parameters.logitBias);
  EXPECT_EQ(back.order, parameters.order);
  EXPECT_EQ(samplingToJson({}).dump(), "{}");
}

TEST(SamplingJson, HostileValuesKeepTheDefault) {
  const auto json = nlohmann::json::parse(
      R"({"temperature": "hot", "topK": 1e40, "seed": -1, "order": [0, 99], "dryBreakers": 5,
          "logitBias": [[1], "x", [99999999999, 1], {}]})");
  const auto parameters = samplingFromJson(json);
  EXPECT_FLOAT_EQ(parameters.temperature, 0.8F);
  EXPECT_EQ(parameters.topK, 40);
  EXPECT_TRUE(parameters.randomSeed);
  EXPECT_TRUE(parameters.logitBias.empty());
  EXPECT_EQ(parameters.order, engine::sampling::defaultOrder());
}

}  // namespace
}  // namespace quern::ui
