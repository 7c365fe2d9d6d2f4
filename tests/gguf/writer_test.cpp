// What the writer writes the reader reads, and a writing that fails leaves nothing behind.

#include "engine/gguf/writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <limits>
#include <numeric>

#include "tests/gguf/craft.h"

namespace quern::engine::gguf {
namespace {

using base::ErrorCode;
using kernels::DType;

std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((i * 31 + seed * 7 + i / 251) & 0xFF);
  return bytes;
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin());
}

const std::vector<std::string> kWords = {"", "Grüße", std::string("nul\0inside", 10), "\xff\xfe"};

void setOneOfEach(Writer& writer) {
  writer.set("general.architecture", "llama");
  writer.set("u8", std::uint8_t{200});
  writer.set("i8", std::int8_t{-100});
  writer.set("u16", std::uint16_t{60'000});
  writer.set("i16", std::int16_t{-30'000});
  writer.set("u32", std::uint32_t{4'000'000'000});
  writer.set("i32", std::int32_t{-2'000'000'000});
  writer.set("u64", std::numeric_limits<std::uint64_t>::max());
  writer.set("i64", std::numeric_limits<std::int64_t>::min());
  writer.set("f32", 1.5F);
  writer.set("f64", 0.1);
  writer.set("yes", true);
  writer.set("empty", "");
  writer.setStrings("words", kWords);
  writer.setArray<float>("floats", std::vector<float>{1.0F, -2.5F});
  writer.setArray<std::int32_t>("ints", std::vector<std::int32_t>{-1, 0, 7});
  writer.setArray<std::uint8_t>("nothing", {});
}

void expectOneOfEach(const File& file) {
  EXPECT_EQ(*file.stringAt("general.architecture"), "llama");
  EXPECT_EQ(*file.unsignedAt("u8"), 200U);
  EXPECT_EQ(*file.find("i8")->asInteger(), -100);
  EXPECT_EQ(*file.unsignedAt("u16"), 60'000U);
  EXPECT_EQ(*file.find("i16")->asInteger(), -30'000);
  EXPECT_EQ(*file.unsignedAt("u32"), 4'000'000'000U);
  EXPECT_EQ(*file.find("i32")->asInteger(), -2'000'000'000);
  EXPECT_EQ(*file.unsignedAt("u64"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*file.find("i64")->asInteger(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(*file.numberAt("f32"), 1.5);
  EXPECT_EQ(*file.numberAt("f64"), 0.1);
  EXPECT_EQ(**file.optionalBool("yes"), true);
  EXPECT_EQ(*file.stringAt("empty"), "");
  const auto words = file.find("words")->asStrings();
  ASSERT_TRUE(words);
  EXPECT_EQ(std::vector<std::string>(words->begin(), words->end()), kWords);
  EXPECT_EQ(*file.find("floats")->asFloats(), (std::vector<float>{1.0F, -2.5F}));
  EXPECT_EQ(*file.find("ints")->asIntegers(), (std::vector<std::int64_t>{-1, 0, 7}));
  EXPECT_EQ(file.find("nothing")->count(), 0U);
}

TEST(GgufWriter, MetadataOfEveryTypeComesBack) {
  const Folder folder;
  Writer writer;
  setOneOfEach(writer);
  const auto paths = writer.write(folder / "m.gguf");
  ASSERT_TRUE(paths) << paths.error().describe();
  const auto file = File::open(folder / "m.gguf");
  ASSERT_TRUE(file) << file.error().describe();
  EXPECT_EQ((*file)->version(), 3U);
  expectOneOfEach(**file);

  // And once more through copy(): the second file is the first, byte by byte.
  Writer again;
  for (const Entry& entry : (*file)->metadata()) again.copy(entry);
  ASSERT_TRUE(again.write(folder / "again.gguf"));
  EXPECT_TRUE(same(readAll(folder / "m.gguf"), readAll(folder / "again.gguf")));
}

TEST(GgufWriter, TensorsComeBackAlignedAndInOrder) {
  const auto a = pattern(3 * 5 * 4, 1);
  const auto b = pattern(64 / 32 * 18 * 3, 2);
  const auto c = pattern(4, 3);
  for (const std::uint64_t alignment : {8U, 32U, 256U, 4096U}) {
    const Folder folder;
    Writer writer;
    writer.set("general.architecture", "llama");
    writer.addTensor("a", DType::kF32, std::vector<std::uint64_t>{3, 5}, a);
    writer.addTensor("b", DType::kQ4_0, std::vector<std::uint64_t>{64, 3, 1, 1}, b);
    writer.addTensor("c", DType::kF32, {}, c);
    ASSERT_TRUE(writer.write(folder / "m.gguf", {.alignment = alignment}));
    const auto file = File::open(folder / "m.gguf");
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_EQ((*file)->alignment(), alignment);
    ASSERT_EQ((*file)->tensors().size(), 3U);
    EXPECT_EQ((*file)->tensors()[1].name, "b");
    EXPECT_EQ((*file)->tensors()[1].dims, (std::vector<std::uint64_t>{64, 3, 1, 1}));
    EXPECT_TRUE(same((*file)->tensor("a")->data, a));
    EXPECT_TRUE(same((*file)->tensor("b")->data, b));
    EXPECT_TRUE(same((*file)->tensor("c")->data, c));
    for (const Tensor& tensor : (*file)->tensors()) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data.data()) % alignment, 0U);
    }
    EXPECT_EQ(folder.entries(), 1U);
  }
}

TEST(GgufWriter, StreamsATensorInPiecesAndTellsProgress) {
  const Folder folder;
  const auto bytes = pattern(3'000'000, 4);
  Writer writer;
  writer.addTensor(
      "t", DType::kI8, std::vector<std::uint64_t>{bytes.size()},
      [&](const EmitBytes& emit) -> base::Result<void> {
        for (std::size_t at = 0; at < bytes.size(); at += 70'001) {
          QUERN_TRY(emit(std::span(bytes).subspan(at, std::min<std::size_t>(70'001, bytes.size() - at))));
        }
        return base::ok();
      });
  double last = 0;
  ASSERT_TRUE(writer.write(folder / "m.gguf", {.progress = [&](double fraction) {
                             EXPECT_GE(fraction, last);
                             EXPECT_LE(fraction, 1.0);
                             last = fraction;
                             return true;
                           }}));
  EXPECT_GT(last, 0.999);
  const auto file = File::open(folder / "m.gguf");
  ASSERT_TRUE(file);
  EXPECT_TRUE(same((*file)->tensor("t")->data, bytes));
}

TEST(GgufWriter, SplitsAreOpenedFromAnyPart) {
  const Folder folder;
  Writer writer;
  setOneOfEach(writer);
  std::vector<std::vector<std::byte>> data;
  for (unsigned i = 0; i < 5; ++i) data.push_back(pattern(400, i));
  for (unsigned i = 0; i < 5; ++i) {
    writer.addTensor("t" + std::to_string(i), DType::kF32, std::vector<std::uint64_t>{100}, data[i]);
  }
  const auto paths = writer.write(folder / "big.gguf", {.alignment = 64, .maxPartBytes = 1000});
  ASSERT_TRUE(paths) << paths.error().describe();
  ASSERT_EQ(paths->size(), 3U);
  EXPECT_EQ(paths->front().filename(), "big-00001-of-00003.gguf");
  EXPECT_EQ(folder.entries(), 3U);
  std::uint64_t sum = 0;
  for (const auto& path : *paths) sum += std::filesystem::file_size(path);
  for (const auto& path : *paths) {
    const auto file = File::open(path);
    ASSERT_TRUE(file) << file.error().describe();
    EXPECT_EQ((*file)->path(), paths->front());
    EXPECT_EQ((*file)->sizeBytes(), sum);
    expectOneOfEach(**file);
    ASSERT_EQ((*file)->tensors().size(), 5U);
    for (unsigned i = 0; i < 5; ++i) {
      EXPECT_TRUE(same((*file)->tensor("t" + std::to_string(i))->data, data[i]));
    }
  }
}

class SplitSet : public testing::Test {
 protected:
  void SetUp() override { paths_ = make("set", 3); }

  std::vector<std::filesystem::path> make(const std::string& stem, unsigned tensors) {
    Writer writer;
    writer.set("general.architecture", "llama");
    const auto bytes = pattern(32, 1);
    for (unsigned i = 0; i < tensors; ++i) {
      writer.addTensor(stem + std::to_string(i), DType::kF32, std::vector<std::uint64_t>{8}, bytes);
    }
    return *writer.write(folder_ / (stem + ".gguf"), {.maxPartTensors = 1});
  }
  /// Opening any part fails, with this in its sentence.
  void expectRefused(ErrorCode code, std::string_view part, const std::filesystem::path& path) {
    const auto file = File::open(path);
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code(), code);
    EXPECT_NE(file.error().message().find(part), std::string::npos) << file.error().message();
  }

  Folder folder_;
  std::vector<std::filesystem::path> paths_;
};

TEST_F(SplitSet, NamesTheMissingPart) {
  std::filesystem::remove(paths_[1]);
  expectRefused(ErrorCode::kNotFound, "set-00002-of-00003.gguf", paths_[0]);
  expectRefused(ErrorCode::kNotFound, "set-00002-of-00003.gguf", paths_[2]);
}

TEST_F(SplitSet, RefusesAPartOfAnotherSet) {
  const auto other = make("other", 2);
  std::filesystem::copy_file(other[1], paths_[1], std::filesystem::copy_options::overwrite_existing);
  expectRefused(ErrorCode::kMalformed, "it is not part 2 of 3", paths_[0]);
}

TEST_F(SplitSet, RefusesPartsThatChangedPlaces) {
  std::filesystem::rename(paths_[1], folder_ / "x");
  std::filesystem::rename(paths_[2], paths_[1]);
  std::filesystem::rename(folder_ / "x", paths_[2]);
  expectRefused(ErrorCode::kMalformed, "it is not part 2 of 3", paths_[0]);
}

TEST_F(SplitSet, RefusesOnePartTwice) {
  // The same bytes under the third name: its number gives it away.
  std::filesystem::copy_file(paths_[1], paths_[2], std::filesystem::copy_options::overwrite_existing);
  expectRefused(ErrorCode::kMalformed, "it is not part 3 of 3", paths_[0]);
}

TEST_F(SplitSet, RefusesATensorThatStandsInTwoParts) {
  const auto part = [&](std::uint16_t number) {
    Craft craft;
    craft.head(1, 3);
    craft.entry("split.no", ValueType::kU16).number(number);
    craft.entry("split.count", ValueType::kU16).number<std::uint16_t>(2);
    craft.entry("split.tensors.count", ValueType::kI32).u32(2);
    return craft.tensor("twice", {8}, 0, 0).padTo(32).zeros(32);
  };
  writeAll(folder_ / "d-00001-of-00002.gguf", part(0).bytes());
  writeAll(folder_ / "d-00002-of-00002.gguf", part(1).bytes());
  expectRefused(ErrorCode::kMalformed, "stands in two of its parts", folder_ / "d-00001-of-00002.gguf");
}

TEST_F(SplitSet, RefusesAPartThatLostItsName) {
  std::filesystem::rename(paths_[0], folder_ / "model.gguf");
  expectRefused(ErrorCode::kInvalidArgument, "give the parts their names back", folder_ / "model.gguf");
}

TEST_F(SplitSet, RefusesNumbersThatMakeNoSense) {
  for (const auto& [number, count] : {std::pair<std::uint16_t, std::uint16_t>{3, 3}, {0, 60'000}, {7, 2}}) {
    Craft craft;
    craft.head(0, 2);
    craft.entry("split.no", ValueType::kU16)
        .number(number)
        .entry("split.count", ValueType::kU16)
        .number(count);
    writeAll(folder_ / "n-00001-of-00003.gguf", craft.bytes());
    expectRefused(ErrorCode::kMalformed, "which part of how many", folder_ / "n-00001-of-00003.gguf");
  }
}

TEST_F(SplitSet, RefusesAWrongTensorSum) {
  Craft craft;
  craft.head(0, 3);
  craft.entry("split.no", ValueType::kU16).number<std::uint16_t>(0);
  craft.entry("split.count", ValueType::kU16).number<std::uint16_t>(2);
  craft.entry("split.tensors.count", ValueType::kI32).u32(9);
  writeAll(folder_ / "s-00001-of-00002.gguf", craft.bytes());
  Craft second;
  second.head(0, 3);
  second.entry("split.no", ValueType::kU16).number<std::uint16_t>(1);
  second.entry("split.count", ValueType::kU16).number<std::uint16_t>(2);
  second.entry("split.tensors.count", ValueType::kI32).u32(9);
  writeAll(folder_ / "s-00002-of-00002.gguf", second.bytes());
  expectRefused(ErrorCode::kMalformed, "hold 0 tensors together, not 9", folder_ / "s-00001-of-00002.gguf");
}

TEST(GgufWriter, MistakesAreAnsweredByWrite) {
  const Folder folder;
  const auto expectMistake = [&](Writer& writer, std::string_view part) {
    const auto written = writer.write(folder / "m.gguf");
    ASSERT_FALSE(written);
    EXPECT_EQ(written.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(written.error().message().find(part), std::string::npos) << written.error().message();
    EXPECT_EQ(folder.entries(), 0U);
  };
  const auto bytes = pattern(32, 1);
  const std::vector<std::uint64_t> eight = {8};
  Writer keyTwice;
  keyTwice.set("k", true);
  keyTwice.set("k", "x");
  expectMistake(keyTwice, "\"k\" was set twice");
  Writer nameTwice;
  nameTwice.addTensor("t", DType::kF32, eight, bytes);
  nameTwice.addTensor("t", DType::kF32, eight, bytes);
  expectMistake(nameTwice, "\"t\" was added twice");
  Writer own;
  own.set("split.count", std::uint16_t{2});
  expectMistake(own, "written by the writer itself");
  Writer block;
  block.addTensor("t", DType::kQ4_0, eight, bytes);
  expectMistake(block, "dimensions that its type cannot have");
  Writer overflow;
  overflow.addTensor("t", DType::kF32, std::vector<std::uint64_t>{1ULL << 40, 1ULL << 40}, bytes);
  expectMistake(overflow, "dimensions that its type cannot have");
  Writer tooShort;
  tooShort.addTensor("t", DType::kF32, std::vector<std::uint64_t>{16}, bytes);
  expectMistake(tooShort, "are not the 64");
  Writer tooLong;
  tooLong.addTensor("t", DType::kF32, std::vector<std::uint64_t>{4}, bytes);
  expectMistake(tooLong, "are not the 16");
  Writer good;
  EXPECT_EQ(good.write(folder / "m.gguf", {.alignment = 12}).error().code(), ErrorCode::kInvalidArgument);
}

TEST(GgufWriter, AFailureKeepsTheOldFileAndLeavesNoOther) {
  const Folder folder;
  const auto old = pattern(10, 9);
  writeAll(folder / "m.gguf", old);
  Writer writer;
  writer.addTensor(
      "t", DType::kF32, std::vector<std::uint64_t>{8},
      [](const EmitBytes&) -> base::Result<void> { return base::Error(ErrorCode::kOutOfMemory, "no"); });
  EXPECT_EQ(writer.write(folder / "m.gguf").error().code(), ErrorCode::kOutOfMemory);
  EXPECT_TRUE(same(readAll(folder / "m.gguf"), old));

  const auto bytes = pattern(32, 1);
  Writer cancelled;
  cancelled.addTensor("t", DType::kF32, std::vector<std::uint64_t>{8}, bytes);
  EXPECT_EQ(cancelled.write(folder / "m.gguf", {.progress = [](double) { return false; }}).error().code(),
            ErrorCode::kCancelled);
  EXPECT_TRUE(same(readAll(folder / "m.gguf"), old));
  EXPECT_EQ(folder.entries(), 1U);

  const auto nowhere = cancelled.write(folder / "no/such/folder/m.gguf");
  EXPECT_EQ(nowhere.error().code(), ErrorCode::kIo);
}

TEST(GgufWriter, ADiskThatTakesNoMoreIsAnError) {
  const Folder folder;
  const auto bytes = pattern(3U << 20, 1);
  Writer writer;
  writer.addTensor("t", DType::kI8, std::vector<std::uint64_t>{bytes.size()}, bytes);
  // A limit on the size of files fails a write() half way, as a full disk does.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{2U << 20, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = writer.write(folder / "m.gguf");
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, ignored);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code(), ErrorCode::kIo);
  EXPECT_NE(written.error().message().find("m.gguf"), std::string::npos);
  EXPECT_EQ(folder.entries(), 0U);
}

}  // namespace
}  // namespace quern::engine::gguf
