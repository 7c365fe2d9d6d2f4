// A sentence encoder that people use, converted by Quern, beside transformers in float32: the same cosine
// similarities.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "engine/convert/convert.h"
#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"
#include "tests/support/folder.h"

namespace quern::engine::scheduler {
namespace {

class Embedded final : public EventSink {
 public:
  void onEvent(const Event& event) override {
    if (event.kind == Event::Kind::kEmbedding) values_ = event.values;
    if (event.kind == Event::Kind::kFinished) done_.set_value(values_);
  }
  std::future<std::vector<float>> result() { return done_.get_future(); }

 private:
  std::vector<float> values_;
  std::promise<std::vector<float>> done_;
};

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  for (std::size_t i = 0; i < a.size(); ++i) dot += static_cast<double>(a[i]) * b[i];
  return dot;  // both have length 1
}

TEST(Embeddings, OfMiniLmHaveTheCosinesOfTransformers) {
  const auto folder = std::filesystem::path(QUERN_TEST_DATA) / "minilm";
  if (!std::filesystem::exists(folder / "model.safetensors")) {
    GTEST_SKIP() << folder << " is not here: run packaging/fetch-test-data.sh";
  }
  const test::Folder out;
  const auto path = out / "all-minilm-l6-v2-f16.gguf";
  convert::ConvertOptions conversion;
  conversion.type = convert::OutputType::kF16;
  const auto converted = convert::convertFolder(folder, path, conversion);
  ASSERT_TRUE(converted) << converted.error().message();
  LoadOptions options;
  options.parallel = 8;
  const auto engine = *Engine::load(path, options);
  EXPECT_TRUE(engine->info().isEncoder);
  EXPECT_EQ(engine->info().pooling, Pooling::kMean);
  EXPECT_EQ(engine->options().contextTokens, 512);

  std::ifstream stream(std::filesystem::path(QUERN_SOURCE_DIR) / "tests/data/embeddings/minilm.json");
  const auto cases = nlohmann::json::parse(stream);
  struct Pair {
    std::future<std::vector<float>> left, right;
    double cosine;
  };
  // All at once: what shares a step must not show.
  std::vector<Pair> pairs;
  const auto ask = [&](const std::string& text) {
    Request request;
    request.prompt = engine->tokenizer()->encode(text, {.addSpecial = true, .parseSpecial = false});
    request.pooling = engine->info().pooling;
    const auto sink = std::make_shared<Embedded>();
    auto result = sink->result();
    EXPECT_TRUE(engine->submit(std::move(request), sink));
    return result;
  };
  for (const auto& pair : cases["pairs"]) {
    EXPECT_EQ(engine->tokenizer()->encode(pair["left"].get<std::string>(), {.addSpecial = true}).size(),
              pair["left_tokens"].get<std::size_t>())
        << pair["left"];
    pairs.push_back({ask(pair["left"]), ask(pair["right"]), pair["cosine"].get<double>()});
  }
  ASSERT_GE(pairs.size(), 20U);
  double worst = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const auto left = pairs[i].left.get();
    const auto right = pairs[i].right.get();
    ASSERT_EQ(left.size(), 384U);
    const double off = std::fabs(cosine(left, right) - pairs[i].cosine);
    EXPECT_LE(off, 1e-3) << cases["pairs"][i]["left"];
    worst = std::max(worst, off);
  }
  std::printf("worst difference of a cosine: %.6f\n", worst);
}

}  // namespace
}  // namespace quern::engine::scheduler
