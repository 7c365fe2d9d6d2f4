// Answers that are held to the grammar of calls, token by token, over vocabularies whose markers are control
// tokens or letters: whatever the masks let through, the parser reads as complete calls, or as none.

#include <algorithm>
#include <memory>
#include <random>

#include "engine/answer/call_grammar.h"
#include "engine/grammar/constraint.h"
#include "engine/grammar/control_text.h"
#include "engine/grammar/json_schema.h"
#include "tests/answer/cases.h"

namespace quern::engine::answer {
namespace {

using grammar::Matcher;
using tokenizer::TokenId;
using tokenizer::TokenKind;

/// Every byte; then whole texts, of which the first are control tokens; the last token ends an answer.
class WalkTokenizer final : public tokenizer::Tokenizer {
 public:
  WalkTokenizer(std::vector<std::string> controls, std::vector<std::string> words)
      : controls_(controls.size()), texts_(std::move(controls)) {
    texts_.insert(texts_.end(), words.begin(), words.end());
  }

  std::vector<TokenId> encode(std::string_view text, const tokenizer::EncodeOptions& options) const override {
    std::vector<TokenId> tokens;
    while (!text.empty()) {
      std::size_t found = options.parseSpecial ? 0 : controls_;
      while (found < controls_ && !text.starts_with(texts_[found])) ++found;
      const bool isControl = found < controls_;
      tokens.push_back(isControl ? 256 + static_cast<TokenId>(found) : static_cast<unsigned char>(text[0]));
      text.remove_prefix(isControl ? texts_[found].size() : 1);
    }
    return tokens;
  }
  std::string tokenBytes(TokenId token, bool special) const override {
    if (token < 256) return std::string(1, static_cast<char>(token));
    const auto at = static_cast<std::size_t>(token - 256);
    if (at >= texts_.size() || (at < controls_ && !special)) return "";
    return texts_[at];
  }
  std::size_t vocabularySize() const override { return 257 + texts_.size(); }
  TokenKind kind(TokenId token) const override {
    const bool isText =
        token < 256 || static_cast<std::size_t>(token - 256) - controls_ < texts_.size() - controls_;
    return isText ? TokenKind::kNormal : TokenKind::kControl;
  }
  std::string_view tokenText(TokenId) const override { return ""; }
  const tokenizer::SpecialTokens& special() const override { return special_; }
  bool endsGeneration(TokenId token) const override {
    return token + 1 == static_cast<TokenId>(vocabularySize());
  }
  bool stripsLeadingSpace() const override { return false; }
  std::string description() const override { return "walk"; }

 private:
  std::size_t controls_;
  std::vector<std::string> texts_;
  tokenizer::SpecialTokens special_;
};

AnswerForm answerFormOf(const ToolForm& form) {
  return {&form, findReasoningForm(form.syntax == CallSyntax::kChannels ? "harmony" : "think")};
}

/// The markers that a model of the family may have as tokens.
std::vector<std::string> markersOf(const AnswerForm& form) {
  std::vector<std::string> all = {std::string(form.reasoning->begin), std::string(form.reasoning->end)};
  const ToolForm& tools = *form.tools;
  if (tools.syntax == CallSyntax::kChannels) {
    return {"<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|constrain|>"};
  }
  for (const std::string_view one : tools.begin.texts) all.emplace_back(one);
  for (const std::string_view one : {tools.end, tools.callBegin, tools.callEnd, tools.valueEnd})
    all.emplace_back(one);
  if (tools.nameEnd.size() > 2) all.emplace_back(tools.nameEnd);
  std::erase_if(all, [](const std::string& one) { return one.empty(); });
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

struct Setting {
  const ToolForm* form;
  ToolChoice choice;
  bool parallel = true;
  bool areControls = true;  ///< the markers
};

struct Walked {
  std::string text;  ///< as a parser sees it
  bool isComplete = false;
};

class Walk {
 public:
  Walk(const Setting& setting, const CallGrammarOptions& options)
      : form_(answerFormOf(*setting.form)), markers_(markersOf(form_)) {
    const std::vector<std::string> words = {"{\"",   "\": \"", "\", \"", "\"}", "search_web",
                                            "now",   "name",   "get_",   "web", "\n",
                                            "Paris", "é",      "</",     "<",   "to=functions."};
    std::vector<std::string> texts = words;
    if (!setting.areControls) texts.insert(texts.end(), markers_.begin(), markers_.end());
    tokenizer_ = std::make_shared<const WalkTokenizer>(
        setting.areControls ? markers_ : std::vector<std::string>(), texts);
    CallGrammarOptions held = options;
    held.controls = controlTokensOf(form_, *tokenizer_);
    const auto grammar = callGrammar(form_, testTools(), setting.choice, held);
    EXPECT_TRUE(grammar) << grammar.error().describe();
    const auto constraint =
        grammar::Constraint::compile(*grammar, std::make_shared<grammar::VocabularyIndex>(tokenizer_));
    EXPECT_TRUE(constraint) << constraint.error().describe();
    constraint_ = *constraint;
  }

  const AnswerForm& form() const { return form_; }
  const std::vector<std::string>& markers() const { return markers_; }
  const std::shared_ptr<const WalkTokenizer>& tokenizer() const { return tokenizer_; }
  const std::shared_ptr<const grammar::Constraint>& constraint() const { return constraint_; }

  /// Some tokens at random, rather long ones than single bytes, then the way out.
  Walked walk(std::uint32_t seed) const {
    std::mt19937 random(seed);
    Matcher matcher(constraint_);
    Walked walked;
    std::vector<std::uint64_t> mask(grammar::maskWords(tokenizer_->vocabularySize()));
    const std::size_t free = random() % 60;
    for (std::size_t step = 0; step < 1'500; ++step) {
      matcher.allowed(mask);
      std::vector<TokenId> bytes, texts;
      for (std::size_t i = 0; i + 1 < tokenizer_->vocabularySize(); ++i) {
        if (((mask[i / 64] >> (i % 64)) & 1) != 0)
          (i < 256 ? bytes : texts).push_back(static_cast<TokenId>(i));
      }
      walked.isComplete = matcher.isComplete();
      if (bytes.empty() && texts.empty()) break;
      if (step >= free && walked.isComplete) break;
      const TokenId token = step < free ? pick(bytes, texts, random) : wayOut(bytes, texts, random);
      EXPECT_TRUE(matcher.accept(token));
      walked.text += tokenizer_->tokenBytes(token, true);
    }
    return walked;
  }

 private:
  static TokenId pick(const std::vector<TokenId>& bytes, const std::vector<TokenId>& texts,
                      std::mt19937& random) {
    const bool takesText = bytes.empty() || (!texts.empty() && random() % 3 != 0);
    const auto& from = takesText ? texts : bytes;
    return from[random() % from.size()];
  }
  /// What closes things, and now and then anything.
  TokenId wayOut(const std::vector<TokenId>& bytes, const std::vector<TokenId>& texts,
                 std::mt19937& random) const {
    if (random() % 8 == 0) return pick(bytes, texts, random);
    for (const char c : {'"', '}', ']', ')', '>', '/'}) {
      if (std::find(bytes.begin(), bytes.end(), static_cast<TokenId>(c)) != bytes.end()) return c;
    }
    return pick(bytes, texts, random);
  }

  AnswerForm form_;
  std::vector<std::string> markers_;
  std::shared_ptr<const WalkTokenizer> tokenizer_;
  std::shared_ptr<const grammar::Constraint> constraint_;
};

Message messageOf(const Walk& walk, const Setting& setting, const std::string& text, bool inCalls) {
  ParserOptions parser;
  parser.form = walk.form();
  parser.tools = testTools();
  parser.parallel = setting.parallel && setting.choice.kind != ToolChoice::Kind::kNamed;
  parser.inCalls = inCalls;
  return parsed(parser, {text}).message;
}

TEST(CallWalk, WhatTheMasksLetThroughIsCompleteCalls) {
  using Kind = ToolChoice::Kind;
  for (const ToolForm& form : toolForms()) {
    for (const Kind kind : {Kind::kAuto, Kind::kRequired, Kind::kNamed}) {
      for (const bool parallel : {false, true}) {
        for (const bool areControls : {false, true}) {
          const Setting setting{
              &form, {kind, kind == Kind::kNamed ? "search_web" : ""}, parallel, areControls};
          SCOPED_TRACE(std::string(form.family) + " " + std::to_string(static_cast<int>(kind)) +
                       (parallel ? " parallel" : " one") + (areControls ? " controls" : " letters"));
          CallGrammarOptions options;
          options.parallel = parallel;
          options.inCalls = form.fromPrompt;
          const Walk walk(setting, options);
          int complete = 0, called = 0;
          for (std::uint32_t seed = 0; seed < 25; ++seed) {
            const Walked walked = walk.walk(seed);
            const Message message = messageOf(walk, setting, walked.text, options.inCalls);
            if (!walked.isComplete) continue;
            ++complete;
            called += message.calls.empty() ? 0 : 1;
            for (const ToolCall& call : message.calls) {
              EXPECT_TRUE(call.isComplete && call.isKnown) << walked.text;
              EXPECT_TRUE(Json::accept(call.arguments)) << call.arguments << "\n" << walked.text;
            }
            EXPECT_TRUE(kind == Kind::kAuto || !message.calls.empty()) << walked.text;
            EXPECT_TRUE(parallel || message.calls.size() < 2) << walked.text;
            EXPECT_TRUE(kind != Kind::kNamed || message.calls.at(0).name == "search_web") << walked.text;
          }
          EXPECT_GT(complete, 4);
          EXPECT_GT(called, 0);
        }
      }
    }
  }
}

/// Where a call must come and reasoning may not, its marker is the token, and nothing else.
TEST(CallWalk, MarkersThatAreTokensAreForced) {
  for (const std::string_view family : {"hermes", "mistral", "mistral-args", "kimi-k2", "deepseek-v3.1"}) {
    SCOPED_TRACE(family);
    const Setting setting{findToolForm(family), {ToolChoice::Kind::kNamed, "now"}, true, true};
    CallGrammarOptions options;
    options.mayReason = false;
    const Walk walk(setting, options);
    const std::string marker(setting.form->begin.first());
    const std::string forced = Matcher(walk.constraint()).forced(1'000).bytes;
    EXPECT_TRUE(forced.starts_with(grammar::controlBytes(marker))) << forced;
    EXPECT_NE(forced.find("now"), std::string::npos);
    // No marker is spelled out.
    std::string spelled = forced;
    for (const std::string& one : walk.markers()) {
      for (std::size_t at = 0; (at = spelled.find(grammar::controlBytes(one))) != std::string::npos;)
        spelled.erase(at, grammar::controlBytes(one).size());
      EXPECT_EQ(spelled.find(one), std::string::npos) << spelled;
    }
  }
}

TEST(CallWalk, OtherGrammarsNeverAllowControlTokens) {
  const Setting setting{findToolForm("hermes"), {}, true, true};
  const Walk walk(setting, {});
  const auto vocabulary = std::make_shared<grammar::VocabularyIndex>(walk.tokenizer());
  const auto constraint = grammar::Constraint::compile(*grammar::grammarOfJsonValue(), vocabulary);
  ASSERT_TRUE(constraint);
  std::vector<std::uint64_t> mask(grammar::maskWords(vocabulary->size()));
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    Matcher matcher(*constraint);
    for (int step = 0; step < 40; ++step) {
      matcher.allowed(mask);
      std::vector<TokenId> allowed;
      for (std::size_t i = 0; i < vocabulary->size(); ++i) {
        if (((mask[i / 64] >> (i % 64)) & 1) != 0) allowed.push_back(static_cast<TokenId>(i));
      }
      for (const TokenId token : allowed) {
        const bool isEnd = walk.tokenizer()->endsGeneration(token);
        ASSERT_TRUE(isEnd || walk.tokenizer()->kind(token) != TokenKind::kControl);
        // Nor a byte by itself that looks like the edge of one.
        ASSERT_TRUE(token != 0xFE && token != 0xFF);
      }
      const TokenId token = allowed[random() % allowed.size()];
      if (walk.tokenizer()->endsGeneration(token)) break;
      ASSERT_TRUE(matcher.accept(token));
    }
  }
}

}  // namespace
}  // namespace quern::engine::answer
