// Files that lie: each is refused with a sentence, none crashes, hangs or takes memory.

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "tests/gguf/allocations.h"
#include "tests/gguf/craft.h"

namespace quern::engine::gguf {
namespace {

using base::ErrorCode;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kQ4_0 = 2;

/// Expects that `craft` is refused as damaged and that its sentence holds `part`.
void expectDamaged(const Craft& craft, std::string_view part) {
  const auto file = craft.open();
  ASSERT_FALSE(file) << "opened; expected: " << part;
  EXPECT_EQ(file.error().code(), ErrorCode::kMalformed);
  EXPECT_NE(file.error().message().find(part), std::string::npos) << file.error().message();
  EXPECT_NE(file.error().message().find("crafted"), std::string::npos) << file.error().message();
}

/// A whole small file with one of everything; used where every byte is cut or changed.
Craft sample() {
  Craft craft;
  craft.head(2, 5);
  craft.entry("general.architecture", ValueType::kString).text("llama");
  craft.alignment(32);
  craft.array("words", ValueType::kString, 2).text("one").text("two");
  craft.array("scores", ValueType::kF32, 2).number(1.0F).number(2.0F);
  craft.entry("flag", ValueType::kBool).u8(1);
  craft.tensor("a", {8}, kF32, 0).tensor("b", {32, 2}, kQ4_0, 32);
  return craft.padTo(32).zeros(32 + 36);
}

TEST(Gguf, OpensTheSampleThatTheseTestsDamage) {
  const Craft whole = sample();
  const auto file = whole.open();
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ((*file)->tensors().size(), 2U);
  EXPECT_EQ((*file)->tensor("b")->data.size(), 36U);
}

TEST(Gguf, RefusesAFileCutAtAnyByte) {
  const Craft whole = sample();
  for (std::size_t length = 0; length < whole.bytes().size(); ++length) {
    // A copy of its own size, so that a sanitizer sees one byte read too many.
    const std::vector<std::byte> cut(whole.bytes().begin(),
                                     whole.bytes().begin() + static_cast<std::ptrdiff_t>(length));
    const auto file = File::fromMemory(cut, "cut");
    ASSERT_FALSE(file) << "opened with " << length << " bytes";
    EXPECT_EQ(file.error().code(), ErrorCode::kMalformed);
  }
}

TEST(Gguf, SurvivesEveryChangedByte) {
  const Craft whole = sample();
  for (std::size_t position = 0; position < whole.bytes().size(); ++position) {
    for (const int value : {0x00, 0x01, 0x7F, 0x80, 0xFF}) {
      std::vector<std::byte> bytes = whole.bytes();
      bytes[position] = static_cast<std::byte>(value);
      const auto file = File::fromMemory(bytes, "changed");
      if (!file) continue;
      for (const Tensor& tensor : (*file)->tensors()) {
        ASSERT_GE(tensor.data.data(), bytes.data());
        ASSERT_LE(tensor.data.data() + tensor.data.size(), bytes.data() + bytes.size());
      }
    }
  }
}

TEST(Gguf, RefusesVersionsAndByteOrdersItDoesNotRead) {
  for (const std::uint32_t version : {0U, 1U, 4U, 65535U}) {
    const auto file = Craft().head(0, 0, version).open();
    ASSERT_FALSE(file) << version;
    EXPECT_EQ(file.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(file.error().message().find("version " + std::to_string(version)), std::string::npos);
  }
  const auto bigEndian = Craft().head(0, 0, 0x03000000).open();
  ASSERT_FALSE(bigEndian);
  EXPECT_EQ(bigEndian.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(bigEndian.error().message().find("big-endian"), std::string::npos);
  EXPECT_TRUE(Craft().head(0, 0, 2).open());
}

TEST(Gguf, RefusesWhatIsNotGguf) {
  for (const char* text : {"", "G", "GGU", "GGML____________", "PK\3\4____________________"}) {
    const auto file = Craft().chars(text).open();
    ASSERT_FALSE(file);
    EXPECT_NE(file.error().message().find("not a GGUF"), std::string::npos);
  }
}

TEST(Gguf, RefusesCountsThatTheFileCannotHold) {
  for (const std::uint64_t count :
       {kHuge, kHuge / 2, kHuge / 32 + 1, std::uint64_t{1} << 32, std::uint64_t{3}}) {
    expectDamaged(Craft().head(count, 0).zeros(40), "tensors, more than it can hold");
    expectDamaged(Craft().head(0, count).zeros(20), "metadata entries, more than it can hold");
  }
}

TEST(Gguf, RefusesLengthsThatOverflow) {
  for (const std::uint64_t length : {kHuge, kHuge - 7, std::uint64_t{1} << 63, std::uint64_t{100}}) {
    expectDamaged(Craft().head(0, 1).u64(length).zeros(30), "it ends inside a key");
    expectDamaged(Craft().head(0, 1).entry("k", ValueType::kString).u64(length).zeros(30), "it ends inside");
    expectDamaged(Craft().head(1, 0).u64(length).zeros(30), "it ends inside a tensor's name");
    expectDamaged(Craft().head(0, 1).array("k", ValueType::kString, 1).u64(length).zeros(30),
                  "it ends inside");
  }
}

TEST(Gguf, GiantArraysInATinyFileAllocateNothing) {
  for (const ValueType type : {ValueType::kU8, ValueType::kBool, ValueType::kU16, ValueType::kF32,
                               ValueType::kF64, ValueType::kString}) {
    for (const std::uint64_t count :
         {kHuge, kHuge / 8 + 1, std::uint64_t{1} << 61, std::uint64_t{1} << 40, std::uint64_t{1} << 30}) {
      const Craft craft = Craft().head(0, 1).array("tokens", type, count).zeros(64);
      const AllocationsSince since;
      const auto file = craft.open();
      const std::size_t bytes = since.bytes();
      ASSERT_FALSE(file);
      EXPECT_LT(bytes, 8192U) << count;
      EXPECT_NE(file.error().message().find("longer than the file"), std::string::npos);
    }
  }
  for (const Craft& craft : {Craft().head(kHuge / 64, 0).zeros(64), Craft().head(0, kHuge / 64).zeros(64)}) {
    const AllocationsSince since;
    EXPECT_FALSE(craft.open());
    EXPECT_LT(since.bytes(), 8192U);
  }
}

TEST(Gguf, MemoryIsASmallMultipleOfTheFile) {
  // As many of the shortest entries and tensors as fit: what they become in memory is bounded.
  Craft craft;
  constexpr std::uint64_t kMany = 20'000;
  craft.head(kMany, kMany);
  for (std::uint64_t i = 0; i < kMany; ++i) craft.entry(std::to_string(i), ValueType::kU8).u8(0);
  for (std::uint64_t i = 0; i < kMany; ++i) craft.tensor(std::to_string(i), {}, 24, 0);
  craft.padTo(32).zeros(64);
  const AllocationsSince since;
  const auto file = craft.open();
  ASSERT_FALSE(file);  // all tensors lie on one another
  EXPECT_LT(since.bytes(), craft.bytes().size() * 30);
}

TEST(Gguf, RefusesArraysOfArraysAndUnknownTypes) {
  expectDamaged(Craft().head(0, 1).array("k", ValueType::kArray, 1).zeros(40), "holds arrays");
  expectDamaged(Craft().head(0, 1).array("k", static_cast<ValueType>(13), 1).zeros(40), "unknown type 13");
  expectDamaged(Craft().head(0, 1).entry("k", static_cast<ValueType>(4'000'000'000U)).zeros(40),
                "unknown type 4000000000");
}

TEST(Gguf, RefusesDuplicateKeysAndTensorNames) {
  expectDamaged(Craft().head(0, 2).entry("k", ValueType::kU8).u8(1).entry("k", ValueType::kU8).u8(2).zeros(8),
                "the key \"k\" stands in it twice");
  expectDamaged(Craft().head(2, 0).tensor("t", {8}, kF32, 0).tensor("t", {8}, kF32, 32).padTo(32).zeros(64),
                "the tensor \"t\" stands in it twice");
}

TEST(Gguf, RefusesBadKeysAndNames) {
  expectDamaged(Craft().head(0, 1).entry("", ValueType::kU32).u32(1).zeros(32), "a key is empty or too long");
  expectDamaged(Craft().head(0, 1).entry(std::string(70'000, 'k'), ValueType::kU8).u8(1),
                "empty or too long");
  expectDamaged(Craft().head(1, 0).tensor("", {8}, kF32, 0).padTo(32).zeros(32), "name is empty or too long");
  expectDamaged(Craft().head(1, 0).tensor(std::string(2000, 'n'), {8}, kF32, 0).padTo(32).zeros(32),
                "name is empty or too long");
}

TEST(Gguf, ControlCharactersOfAFileNeverReachTheTerminal) {
  const auto file = Craft().head(0, 1).array("\x1b[2J\xff", ValueType::kArray, 1).zeros(40).open();
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().message().find('\x1b'), std::string::npos);
  EXPECT_EQ(file.error().message().find('\xff'), std::string::npos);
}

TEST(Gguf, RefusesImpossibleDimensions) {
  const std::vector<std::vector<std::uint64_t>> cases = {{0},
                                                         {8, 0},
                                                         {kHuge},
                                                         {std::uint64_t{1} << 63},
                                                         {std::uint64_t{1} << 32, std::uint64_t{1} << 32},
                                                         {1U << 16, 1U << 16, 1U << 16, 1U << 16},
                                                         {std::uint64_t{1} << 62},
                                                         {8, kHuge}};
  for (const auto& dims : cases) {
    expectDamaged(Craft().head(1, 0).tensor("t", dims, kF32, 0).padTo(32).zeros(64),
                  "\"t\" has impossible dimensions");
  }
  expectDamaged(Craft().head(1, 0).tensor("t", {8, 1, 1, 1, 1}, kF32, 0).padTo(32).zeros(64),
                "has 5 dimensions");
  expectDamaged(Craft().head(1, 0).text("t").u32(0xFFFFFFFF).zeros(64), "has 4,294,967,295 dimensions");
  expectDamaged(Craft().head(1, 0).tensor("t", {31, 32}, kQ4_0, 0).padTo(32).zeros(640),
                "not a whole number of Q4_0 blocks");
}

TEST(Gguf, NamesATensorTypeItDoesNotKnow) {
  for (const std::uint32_t type : {4U, 5U, 31U, 38U, 43U, 0xFFFFFFFFU}) {
    const auto file = Craft().head(1, 0).tensor("t", {32}, type, 0).padTo(32).zeros(128).open();
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code(), ErrorCode::kUnsupported);
    EXPECT_NE(file.error().message().find(std::to_string(type)), std::string::npos);
  }
}

TEST(Gguf, RejectsTensorThatEndsPastTheFile) {
  expectDamaged(Craft().head(1, 0).tensor("t", {16}, kF32, 0).padTo(32).zeros(63),
                "ends 1 bytes before its tensor data does");
  expectDamaged(Craft().head(1, 0).tensor("t", {8}, kF32, 1U << 20).padTo(32).zeros(32),
                "ends 1,048,576 bytes before");
  // The file ends before its tensor data even begins.
  expectDamaged(Craft().head(1, 0).tensor("t", {8}, kF32, 0), "bytes before its tensor data does");
}

TEST(Gguf, RejectsOffsetsThatOverflowOrAreNotAligned) {
  for (const std::uint64_t offset : {kHuge - 31, kHuge - 63}) {
    expectDamaged(Craft().head(1, 0).tensor("t", {8}, kF32, offset).padTo(32).zeros(64), "impossible offset");
  }
  expectDamaged(Craft().head(1, 0).tensor("t", {8}, kF32, 16).padTo(32).zeros(64), "is not aligned");
  expectDamaged(Craft().head(1, 1).alignment(64).tensor("t", {8}, kF32, 32).padTo(64).zeros(128),
                "is not aligned");
}

TEST(Gguf, RejectsTensorsThatOverlap) {
  expectDamaged(Craft().head(2, 0).tensor("a", {16}, kF32, 0).tensor("b", {8}, kF32, 32).padTo(32).zeros(64),
                "two of its tensors overlap");
  expectDamaged(Craft().head(2, 0).tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 0).padTo(32).zeros(64),
                "two of its tensors overlap");
}

TEST(Gguf, RefusesAlignmentsThatAreNoPowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 1U, 4U, 24U, 33U, 0x80000000U, 0xFFFFFFFFU}) {
    expectDamaged(Craft().head(0, 1).alignment(alignment).zeros(64), "alignment is not a power of two");
  }
  expectDamaged(Craft().head(0, 1).entry("general.alignment", ValueType::kString).text("32").zeros(8),
                "alignment is not a power of two");
  const auto file = Craft().head(0, 1).alignment(64).open();
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->alignment(), 64U);
}

TEST(Gguf, TypedLookUpsRefuseWrongTypes) {
  Craft craft;
  craft.head(0, 6);
  craft.array("tokenizer.ggml.scores", ValueType::kU8, 4).u32(0);
  craft.array("words", ValueType::kString, 1).text("one");
  craft.entry("text", ValueType::kString).text("12");
  craft.entry("negative", ValueType::kI32).number<std::int32_t>(-1);
  craft.entry("flag", ValueType::kU8).u8(1);
  craft.entry("big", ValueType::kU64).u64(kHuge);
  const auto opened = craft.open();
  ASSERT_TRUE(opened) << opened.error().describe();
  const File& file = **opened;

  const Value* scores = file.find("tokenizer.ggml.scores");
  EXPECT_FALSE(scores->asFloats());
  EXPECT_FALSE(scores->asStrings());
  EXPECT_FALSE(scores->asNumber());
  EXPECT_TRUE(scores->asIntegers());
  EXPECT_FALSE(file.find("words")->asFloats());
  EXPECT_FALSE(file.find("words")->asIntegers());
  EXPECT_FALSE(file.find("words")->asString());
  EXPECT_FALSE(file.find("text")->asStrings());

  for (const char* key : {"text", "negative", "words", "tokenizer.ggml.scores"}) {
    const auto count = file.unsignedAt(key);
    ASSERT_FALSE(count) << key;
    EXPECT_EQ(count.error().code(), ErrorCode::kMalformed);
    EXPECT_NE(count.error().message().find(key), std::string::npos);
    EXPECT_FALSE(file.optionalUnsigned(key));
  }
  EXPECT_EQ(file.stringAt("negative").error().code(), ErrorCode::kMalformed);
  EXPECT_EQ(file.optionalBool("flag").error().code(), ErrorCode::kMalformed);
  EXPECT_EQ(file.unsignedAt("absent").error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(file.optionalUnsigned("absent")->has_value());
  EXPECT_EQ(*file.unsignedAt("big"), kHuge);
  EXPECT_FALSE(file.find("big")->asInteger());
}

TEST(Gguf, ManyKeysTakeNoQuadraticTime) {
  Craft craft;
  constexpr std::uint64_t kMany = 200'000;
  craft.head(0, kMany);
  for (std::uint64_t i = 0; i < kMany; ++i) craft.entry(std::to_string(i), ValueType::kU8).u8(0);
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(craft.open());
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(10));
}

}  // namespace
}  // namespace quern::engine::gguf
