// A model made of arithmetic: its "KV cache" remembers which token was written to which place, and its answer
// depends on every token that it reads back through the block table. A block reused wrongly, lost or shared
// by mistake changes the answer.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <bit>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>

#include "engine/gguf/file.h"
#include "engine/scheduler/loop.h"

namespace quern::engine::scheduler {

constexpr std::int32_t kEnd = 256;
constexpr std::int32_t kVocabulary = 257;

/// Every byte is a token; one more ends the answer.
class ByteTokenizer : public tokenizer::Tokenizer {
 public:
  std::vector<tokenizer::TokenId> encode(std::string_view text,
                                         const tokenizer::EncodeOptions&) const override {
    std::vector<tokenizer::TokenId> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string tokenBytes(tokenizer::TokenId token, bool special) const override {
    if (token >= 0 && token < kEnd) return std::string(1, static_cast<char>(token));
    return special && token == kEnd ? "</s>" : "";
  }
  std::size_t vocabularySize() const override { return kVocabulary; }
  tokenizer::TokenKind kind(tokenizer::TokenId token) const override {
    return token == kEnd ? tokenizer::TokenKind::kControl : tokenizer::TokenKind::kNormal;
  }
  std::string_view tokenText(tokenizer::TokenId) const override { return ""; }
  const tokenizer::SpecialTokens& special() const override { return special_; }
  bool endsGeneration(tokenizer::TokenId token) const override { return token == kEnd; }
  bool stripsLeadingSpace() const override { return false; }
  std::string description() const override { return "bytes"; }

 private:
  tokenizer::SpecialTokens special_;
};

/// Bytes, of which one is a control token.
class CallTokenizer final : public ByteTokenizer {
 public:
  static constexpr std::int32_t kCall = 1;
  std::string tokenBytes(tokenizer::TokenId token, bool special) const override {
    if (token == kCall) return special ? "<call>" : "";
    return ByteTokenizer::tokenBytes(token, special);
  }
  tokenizer::TokenKind kind(tokenizer::TokenId token) const override {
    return token == kCall ? tokenizer::TokenKind::kControl : ByteTokenizer::kind(token);
  }
};

/// The token that follows a context.
using Script = std::function<std::int32_t(const std::vector<std::int32_t>& context)>;

/// A letter that hangs on every token before it.
inline std::int32_t letterOf(const std::vector<std::int32_t>& context) {
  std::uint32_t hash = 2166136261U;
  for (const std::int32_t token : context) hash = (hash ^ static_cast<std::uint32_t>(token)) * 16777619U;
  return 'a' + static_cast<std::int32_t>((hash >> 8) % 26);
}

/// What a token leaves in the fake cache when the two kinds of tokens are computed differently: itself,
/// marked.
inline constexpr std::int32_t kDecodedMark = 1 << 16;

/// What an adapter does to the fake model: it leaves a mark in the cache beside each token.
class FakeAdapter : public runtime::Adapter {
 public:
  explicit FakeAdapter(std::uint32_t number, std::uint64_t bytes = 100) : number_(number), bytes_(bytes) {}
  std::uint64_t sizeBytes() const override { return bytes_; }
  std::uint32_t number() const { return number_; }

 private:
  std::uint32_t number_;
  std::uint64_t bytes_;
};
/// Hangs on all adapters, their scales and their order; above kDecodedMark.
inline std::int32_t markOf(std::span<const runtime::AdapterUse> adapters) {
  if (adapters.empty()) return 0;
  std::uint32_t hash = 2166136261U;
  for (const auto& use : adapters) {
    hash = (hash ^ static_cast<const FakeAdapter*>(use.adapter)->number()) * 16777619U;
    hash = (hash ^ std::bit_cast<std::uint32_t>(use.scale)) * 16777619U;
  }
  return static_cast<std::int32_t>((1 + (hash >> 8) % 4000) << 17);
}

/// The hidden state of a context's last token: it hangs on every token before it.
inline constexpr std::int32_t kHiddenWidth = 6;
inline std::vector<float> hiddenOf(const std::vector<std::int32_t>& context) {
  std::vector<float> state;
  std::uint32_t hash = 2166136261U;
  for (const std::int32_t token : context) hash = (hash ^ static_cast<std::uint32_t>(token)) * 16777619U;
  for (std::int32_t i = 0; i < kHiddenWidth; ++i) {
    hash = (hash ^ static_cast<std::uint32_t>(i)) * 16777619U;
    state.push_back(static_cast<float>(hash >> 8) / static_cast<float>(1 << 23) - 1.0F);
  }
  return state;
}

/// Goes on as 24 tokens before, mostly: what a lookup guesses right. Hangs on the whole context now and then.
inline std::int32_t echoOf(const std::vector<std::int32_t>& context) {
  if (context.size() < 24 || context.size() % 20 == 0) return letterOf(context);
  const std::int32_t byte = context[context.size() - 24] & 0xFF;
  return 'a' + (byte + 26 - 'a' % 26) % 26;  // a letter stays itself
}

/// `mark`: what a token of the answer has in the cache beside itself.
inline std::string answerOf(const Script& script, std::vector<std::int32_t> context, std::size_t length,
                            std::int32_t mark = 0) {
  std::string text;
  while (text.size() < length) {
    text += static_cast<char>(script(context));
    context.push_back(static_cast<unsigned char>(text.back()) + mark);
  }
  return text;
}

/// The answer of letterOf() where what it has said itself is marked in the cache.
inline std::string answerOfTwoKinds(std::vector<std::int32_t> context, std::size_t length) {
  return answerOf(letterOf, std::move(context), length, kDecodedMark);
}

/// What a test may watch and steer while the loop owns the executable.
struct Control {
  Script script = letterOf;
  std::int32_t batchTokens = 64;
  std::int32_t logitRows = 4;
  std::int32_t hiddenRows = 64;
  /// When false, a decoded token leaves token + kDecodedMark in the cache, so that a script sees who took the
  /// one for the other.
  bool promptsAreDecodes = true;
  std::uint64_t largestAdapter = 10000;
  bool readsWholeTexts = false;  ///< an encoder: every slice must be a whole text, and wants no logits

  std::mutex mutex;
  std::condition_variable changed;
  std::int64_t allowed = -1;  ///< runs that may happen still; -1: any number
  std::int64_t runs = 0;
  std::int64_t waitingForLeave = 0;
  std::int64_t failAtRun = -1;
  std::atomic<int> bandwidthsMeasured{0};
  std::vector<std::vector<std::size_t>> batches;     ///< slice lengths of every run
  std::function<void(const runtime::Batch&)> onRun;  ///< set before the first

  void allow(std::int64_t more) {
    const std::lock_guard lock(mutex);
    allowed = more;
    changed.notify_all();
  }
  /// Until the loop stands before a run that it may not make.
  void awaitBlocked() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waitingForLeave > 0; });
  }
};

class FakeExecutable : public runtime::Executable {
 public:
  FakeExecutable(std::shared_ptr<Control> control, std::int32_t blocks)
      : control_(std::move(control)),
        cells_(static_cast<std::size_t>(blocks) * runtime::kKvBlockTokens, -1),
        blocks_(blocks) {}

  base::Result<void> run(const runtime::Batch& batch) override {
    {
      std::unique_lock lock(control_->mutex);
      if (control_->allowed == 0) {
        ++control_->waitingForLeave;
        control_->changed.notify_all();
        control_->changed.wait(lock, [&] { return control_->allowed != 0; });
        --control_->waitingForLeave;
      }
      if (control_->allowed > 0) --control_->allowed;
      std::vector<std::size_t> lengths;
      for (const auto& slice : batch.slices) lengths.push_back(slice.tokens.size());
      control_->batches.push_back(std::move(lengths));
      if (control_->runs++ == control_->failAtRun) {
        return base::Error(base::ErrorCode::kDevice, "The device fell over.");
      }
    }
    if (control_->onRun) control_->onRun(batch);
    rows_.clear();
    hidden_.clear();
    std::size_t tokens = 0;
    for (const auto& slice : batch.slices) {
      tokens += slice.tokens.size();
      if (control_->readsWholeTexts) {
        EXPECT_EQ(slice.firstPosition, 0) << "a text was cut";
        EXPECT_EQ(slice.logitRows, 0) << "an encoder has no logits";
      }
      write(slice);
    }
    EXPECT_GT(tokens, 0U);
    EXPECT_LE(tokens, static_cast<std::size_t>(control_->batchTokens));
    EXPECT_LE(rows_.size(), static_cast<std::size_t>(control_->logitRows));
    EXPECT_LE(hidden_.size(), static_cast<std::size_t>(control_->hiddenRows));
    return base::ok();
  }

  std::span<float> logits(std::int32_t index) override { return rows_.at(static_cast<std::size_t>(index)); }
  std::span<const float> hidden(std::int32_t index) const override {
    return hidden_.at(static_cast<std::size_t>(index));
  }
  std::int32_t vocabularySize() const override { return kVocabulary; }
  std::int32_t hiddenWidth() const override { return kHiddenWidth; }
  bool readsWholeTexts() const override { return control_->readsWholeTexts; }
  bool promptsAreDecodes() const override { return control_->promptsAreDecodes; }
  std::string numerics() const override { return control_->promptsAreDecodes ? "fake" : "fake, two kinds"; }
  std::int32_t kvBlocks() const override { return blocks_; }
  void copyBlock(std::uint32_t from, std::uint32_t to) override {
    std::vector<std::byte> contents(blockBytes());
    readBlock(from, contents);
    writeBlock(to, contents);
  }
  std::size_t blockBytes() const override { return runtime::kKvBlockTokens * sizeof(std::int32_t); }
  void readBlock(std::uint32_t block, std::span<std::byte> to) const override {
    ASSERT_EQ(to.size(), blockBytes());
    std::memcpy(to.data(), &cells_.at(block * static_cast<std::size_t>(runtime::kKvBlockTokens)), to.size());
  }
  void writeBlock(std::uint32_t block, std::span<const std::byte> from) override {
    ASSERT_EQ(from.size(), blockBytes());
    std::memcpy(&cells_.at(block * static_cast<std::size_t>(runtime::kKvBlockTokens)), from.data(),
                from.size());
  }
  /// The number of an adapter is the size of its file, and so is what it takes.
  base::Result<std::shared_ptr<const runtime::Adapter>> compileAdapter(
      const gguf::File& file) const override {
    return std::shared_ptr<const runtime::Adapter>(
        std::make_shared<FakeAdapter>(static_cast<std::uint32_t>(file.sizeBytes()), file.sizeBytes()));
  }
  base::Result<void> makeRoomFor(const runtime::Adapter& adapter) override {
    if (adapter.sizeBytes() <= control_->largestAdapter) return base::ok();
    return base::Error(base::ErrorCode::kOutOfMemory, "The adapter is too large for this test.");
  }
  runtime::MemoryUse memory() const override { return {1000, 100, 10}; }
  std::uint64_t bytesPerToken(std::int32_t position) const override {
    return 1000 + static_cast<std::uint64_t>(position);
  }
  double readBandwidth() override {
    ++control_->bandwidthsMeasured;
    return 1e6;
  }
  std::int32_t threads() const override { return 1; }
  std::string description() const override { return "fake, 1 thread"; }
  void setActive(bool) override {}

 private:
  std::int32_t& cell(const runtime::Slice& slice, std::int32_t position) {
    const auto block = slice.blockTable[static_cast<std::size_t>(position / runtime::kKvBlockTokens)];
    return cells_.at(block * static_cast<std::size_t>(runtime::kKvBlockTokens) +
                     static_cast<std::size_t>(position % runtime::kKvBlockTokens));
  }
  void write(const runtime::Slice& slice) {
    const auto count = static_cast<std::int32_t>(slice.tokens.size());
    for (std::int32_t i = 0; i < count; ++i) {
      const bool marked = !slice.isPrompt && !control_->promptsAreDecodes;
      cell(slice, slice.firstPosition + i) =
          slice.tokens[static_cast<std::size_t>(i)] + (marked ? kDecodedMark : 0) + markOf(slice.adapters);
    }
    for (std::int32_t row = count - slice.logitRows; row < count; ++row) {
      rows_.emplace_back(kVocabulary, 0.0F);
      rows_.back()[static_cast<std::size_t>(control_->script(contextOf(slice, row)))] = 10.0F;
    }
    for (std::int32_t row = count - slice.hiddenRows; row < count; ++row) {
      hidden_.push_back(hiddenOf(contextOf(slice, row)));
    }
  }
  /// What the cache holds up to token `row` of the slice.
  std::vector<std::int32_t> contextOf(const runtime::Slice& slice, std::int32_t row) {
    std::vector<std::int32_t> context;
    for (std::int32_t p = 0; p <= slice.firstPosition + row; ++p) context.push_back(cell(slice, p));
    return context;
  }

  std::shared_ptr<Control> control_;
  std::vector<std::int32_t> cells_;
  std::int32_t blocks_;
  std::vector<std::vector<float>> rows_;
  std::vector<std::vector<float>> hidden_;
};

/// Keeps all events, checks their order, and lets a test wait.
class Collector : public EventSink {
 public:
  void onEvent(const Event& event) override {
    if (onEach) onEach(event);
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(finished_) << "an event after the last";
    if (events_.empty() && event.kind != Event::Kind::kFinished) {
      EXPECT_EQ(event.kind, Event::Kind::kAccepted);
    }
    if (event.kind == Event::Kind::kPromptProgress) {
      EXPECT_GE(event.promptDone, progress_);
      EXPECT_LE(event.promptDone, event.promptTotal);
      progress_ = event.promptDone;
    }
    text_ += event.text;
    tokens_ += event.tokens.size();
    finished_ = event.kind == Event::Kind::kFinished;
    events_.push_back(event);
    changed_.notify_all();
  }
  Event awaitEnd() {
    std::unique_lock lock(mutex_);
    const bool came = changed_.wait_for(lock, std::chrono::seconds(20), [&] { return finished_; });
    EXPECT_TRUE(came) << "no kFinished in 20 s";
    return came ? events_.back() : Event{};
  }
  void awaitTokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return tokens_ >= count; }));
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  std::size_t tokenCount() {
    const std::lock_guard lock(mutex_);
    return tokens_;
  }
  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

  std::function<void(const Event&)> onEach;  ///< set before submit()

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
  std::string text_;
  std::size_t tokens_ = 0;
  std::int32_t progress_ = 0;
  bool finished_ = false;
};

}  // namespace quern::engine::scheduler
