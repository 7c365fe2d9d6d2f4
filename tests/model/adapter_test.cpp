// Adapters' files are a stranger's: what does not fit the model is refused with a sentence that names it.

#include "engine/model/adapter.h"

#include <cmath>

#include "tests/model/edited.h"
#include "tests/support/crafted_adapter.h"
#include "tests/support/folder.h"

namespace quern::engine::model {
namespace {

using test::CraftedAdapter;

class AdapterFiles : public testing::Test {
 protected:
  void take(const std::string& name) {
    base_ =
        *gguf::File::open(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/model" / (name + ".gguf"));
    program_ = *buildProgram(*base_);
    good_ = test::adapterOfAll(*base_, program_, 3, 1);
  }
  base::Result<Adapter> read(const CraftedAdapter& crafted) {
    crafted.write(folder_ / "adapter.gguf");
    const auto file = *gguf::File::open(folder_ / "adapter.gguf");
    return readAdapter(*file, *base_, program_);
  }
  std::string refusal(const CraftedAdapter& crafted, base::ErrorCode code) {
    const auto result = read(crafted);
    if (result) return "";
    EXPECT_EQ(result.error().code(), code) << result.error().message();
    return result.error().message();
  }

  test::Folder folder_;
  std::shared_ptr<const gguf::File> base_;
  Program program_;
  CraftedAdapter good_;
};

TEST_F(AdapterFiles, AreReadWithRankAndFactor) {
  take("llama");
  const auto adapter = read(good_);
  ASSERT_TRUE(adapter) << adapter.error().message();
  EXPECT_EQ(adapter->changes.size(), 2U * 7 + 1);
  const LowRank& one = adapter->changes.at("blk.1.ffn_down.weight");
  EXPECT_EQ(one.rank, 3);
  EXPECT_EQ(one.factor, 2.0F);
  for (const auto alpha : {std::optional<float>(), std::optional<float>(0.0F)}) {
    good_.alpha = alpha;
    EXPECT_EQ(read(good_)->changes.at("blk.1.ffn_down.weight").factor, 1.0F);
  }
}

TEST_F(AdapterFiles, OfAHeadThatIsTheEmbeddingsChangeTheHeadOnly) {
  take("llama-tied-bias");
  ASSERT_TRUE(good_.matrices.contains("output.weight"));
  EXPECT_TRUE(read(good_)->changes.contains("token_embd.weight"));
  auto node = good_.matrices.extract("output.weight");
  node.key() = "token_embd.weight";
  good_.matrices.insert(std::move(node));
  EXPECT_TRUE(names(refusal(good_, base::ErrorCode::kUnsupported), "token_embd.weight"));
}

TEST_F(AdapterFiles, OfAnotherKindAreRefused) {
  take("llama");
  CraftedAdapter other = good_;
  other.type = "model";
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "general.type"));
  other = good_;
  other.kind = "ia3";
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "ia3"));
  other = good_;
  other.architecture = "qwen2";
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "qwen2"));
  other = good_;
  other.matrices.clear();
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kMalformed), "no tensors"));
  other.alpha = INFINITY;
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kMalformed), "adapter.lora.alpha"));
}

TEST_F(AdapterFiles, OfAnotherModelAreRefused) {
  take("llama");
  const std::string name = "blk.0.attn_k.weight";
  for (const auto change : {+[](test::Factors& one) {
                              one.rows += 1;
                              one.b.resize(one.rank * one.rows);
                            },
                            +[](test::Factors& one) {
                              one.cols -= 1;
                              one.a.resize(one.rank * one.cols);
                            }}) {
    CraftedAdapter other = good_;
    change(other.matrices.at(name));
    EXPECT_TRUE(names(refusal(other, base::ErrorCode::kMalformed), name));
  }
  CraftedAdapter other = good_;
  other.matrices["blk.7.attn_k.weight"] = good_.matrices.at(name);
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "blk.7.attn_k.weight"));
  other = good_;
  other.matrices["output_norm.weight"] = good_.matrices.at(name);
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "output_norm.weight"));
  other = good_;
  other.matrices.at(name).b.clear();
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kMalformed), name));
  other = good_;
  test::Factors& tall = other.matrices.at(name);
  tall.rank = 1025;
  tall.a.resize(tall.rank * tall.cols);
  tall.b.resize(tall.rank * tall.rows);
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "1,025"));
}

TEST_F(AdapterFiles, OfWhatIsNoProjectionAreRefused) {
  take("mixtral");
  const std::string name = "blk.0.ffn_up_exps.weight";
  ASSERT_NE(base_->tensor(name), nullptr);
  CraftedAdapter other = good_;
  other.matrices[name] = good_.matrices.begin()->second;
  EXPECT_TRUE(names(refusal(other, base::ErrorCode::kUnsupported), "the experts of a mixture"));
}

TEST_F(AdapterFiles, OfStrangeTensorsAreRefused) {
  take("llama");
  const std::vector<float> values(64, 1.0F);
  const auto write = [&](const std::string& tensor, std::vector<std::uint64_t> dims, const char* extra) {
    gguf::Writer writer;
    writer.set("general.architecture", "llama");
    writer.set("general.type", "adapter");
    writer.set("adapter.type", "lora");
    if (extra != nullptr) writer.set(extra, std::uint32_t{1});
    std::uint64_t count = 1;
    for (const std::uint64_t dim : dims) count *= dim;
    writer.addTensor(tensor, kernels::DType::kF32, dims, std::as_bytes(std::span(values).first(count)));
    writer.addTensor("blk.0.attn_q.weight.lora_b", kernels::DType::kF32, std::vector<std::uint64_t>{1, 32},
                     std::as_bytes(std::span(values).first(32)));
    ASSERT_TRUE(writer.write(folder_ / "strange.gguf"));
  };
  const auto sentence = [&] {
    const auto file = *gguf::File::open(folder_ / "strange.gguf");
    const auto result = readAdapter(*file, *base_, program_);
    return result ? std::string() : result.error().message();
  };
  write("blk.0.attn_q.weight.lora_a", {32, 1}, nullptr);
  EXPECT_EQ(sentence(), "");
  write("blk.0.attn_q.weight.lora_a", {32, 1, 2}, nullptr);
  EXPECT_TRUE(names(sentence(), "no matrix"));
  write("blk.0.attn_q.weight.lora_magnitude", {32, 1}, nullptr);
  EXPECT_TRUE(names(sentence(), "lora_magnitude"));
  write(".lora_a", {32, 1}, nullptr);
  EXPECT_TRUE(names(sentence(), "\"\""));
  write("blk.0.attn_q.weight.lora_a", {32, 1}, "adapter.lora.alpha");
  EXPECT_EQ(sentence(), "");
  write("blk.0.attn_q.weight.lora_a", {32, 1}, "adapter.alora.invocation_tokens");
  EXPECT_TRUE(names(sentence(), "activated"));
}

/// A small fuzzer: every byte of a head is changed in a few ways, and whatever is still taken fits the model.
TEST_F(AdapterFiles, WithAnyByteOfTheirHeadsChangedAreRefusedOrFit) {
  take("llama");
  std::erase_if(good_.matrices, [](const auto& one) { return !one.first.starts_with("blk.0.attn_"); });
  good_.write(folder_ / "adapter.gguf");
  std::ifstream in(folder_ / "adapter.gguf", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const std::size_t head = bytes.rfind("blk.0.") + 200;
  ASSERT_LT(head, bytes.size());
  int taken = 0;
  int refused = 0;
  for (std::size_t at = 0; at < head; ++at) {
    for (const int change : {0x01, 0x80, 0xFF}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ change);
      const auto file = gguf::File::fromMemory(std::as_bytes(std::span(changed)), "changed");
      const auto adapter = file ? readAdapter(**file, *base_, program_) : base::Result<Adapter>(file.error());
      if (!adapter) {
        EXPECT_FALSE(adapter.error().message().empty());
        ++refused;
        continue;
      }
      ++taken;
      for (const auto& [name, pair] : adapter->changes) {
        EXPECT_EQ(pair.a->rows(), static_cast<std::uint64_t>(pair.rank));
        EXPECT_EQ(pair.b->rows(), base_->tensor(name)->rows());
      }
    }
  }
  EXPECT_GT(taken, 100);
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace quern::engine::model
