// A model that needs more memory than the machine has, in the real window with the real engine.

#include <QAbstractButton>
#include <QDoubleSpinBox>
#include <QLabel>
#include <QLineEdit>
#include <set>
#include <string>
#include <vector>

#include "engine/gguf/file.h"
#include "engine/gguf/writer.h"
#include "engine/runtime/machine.h"
#include "tests/gui/hands.h"
#include "tests/gui/real_window_fixture.h"

namespace quern::ui {
namespace {

namespace gguf = engine::gguf;

// 1 MiB of F16 cache a token: 128 layers × 2 × 2,048 numbers. The weights are 20 MB of zeros.
constexpr std::uint64_t kLayers = 128;
constexpr std::uint64_t kHeads = 16;
constexpr std::uint64_t kHeadDim = 128;
constexpr std::uint64_t kWidth = 32;
constexpr std::uint64_t kContext = 131072;
constexpr std::uint64_t kCacheBytes = kContext << 20;

/// A model with SmolLM2's vocabulary and template that is small on the disk and needs 128 GiB of cache for
/// its whole context.
void writeWideModel(const std::filesystem::path& path) {
  const auto source = *gguf::File::open(modelFile());
  gguf::Writer writer;
  const std::set<std::string_view> changed = {"general.name",
                                              "llama.block_count",
                                              "llama.context_length",
                                              "llama.embedding_length",
                                              "llama.feed_forward_length",
                                              "llama.attention.head_count",
                                              "llama.attention.head_count_kv",
                                              "llama.rope.dimension_count"};
  for (const gguf::Entry& entry : source->metadata()) {
    if (!changed.contains(entry.key)) writer.copy(entry);
  }
  const auto number = [&](const char* key, std::uint64_t value) { writer.set(key, std::uint32_t(value)); };
  writer.set("general.name", "Wide");
  number("llama.block_count", kLayers);
  number("llama.context_length", kContext);
  number("llama.embedding_length", kWidth);
  number("llama.feed_forward_length", kWidth);
  number("llama.attention.head_count", kHeads);
  number("llama.attention.head_count_kv", kHeads);
  number("llama.attention.key_length", kHeadDim);
  number("llama.attention.value_length", kHeadDim);
  number("llama.rope.dimension_count", kHeadDim);
  const std::uint64_t vocabulary = source->tensor("token_embd.weight")->dims[1];
  const std::vector<std::byte> zeros(vocabulary * kWidth);
  const auto matrix = [&](const std::string& name, std::uint64_t columns, std::uint64_t rows) {
    const std::uint64_t dims[] = {columns, rows};
    writer.addTensor(name, kernels::DType::kQ4_0, dims, std::span(zeros).first(columns / 32 * 18 * rows));
  };
  const auto norm = [&](const std::string& name) {
    const std::uint64_t dims[] = {kWidth};
    writer.addTensor(name, kernels::DType::kF32, dims, std::span(zeros).first(4 * kWidth));
  };
  matrix("token_embd.weight", kWidth, vocabulary);
  norm("output_norm.weight");
  for (std::uint64_t layer = 0; layer < kLayers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    norm(block + "attn_norm.weight");
    for (const char* part : {"attn_q", "attn_k", "attn_v"}) {
      matrix(block + part + ".weight", kWidth, kHeads * kHeadDim);
    }
    matrix(block + "attn_output.weight", kHeads * kHeadDim, kWidth);
    norm(block + "ffn_norm.weight");
    for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"})
      matrix(block + part + ".weight", kWidth, kWidth);
  }
  const auto written = writer.write(path);
  ASSERT_TRUE(written) << written.error().describe();
}

class RealWindowMemoryTest : public RealWindowTest {
 protected:
  void reloadWithContext(const QString& tokens) {
    auto* field = test_->find<QDoubleSpinBox>("contextTokens");
    test::click(*field, {12, field->height() / 2});
    test::enter(*field->findChild<QLineEdit*>(), tokens);
    ASSERT_TRUE(test_->find("reloadModel")->isEnabled());
    test::click(*test_->find("reloadModel"));
  }
};

TEST_F(RealWindowMemoryTest, AContextThatDoesNotFitIsASentenceAndAShorterOneRuns) {
  const std::uint64_t free = engine::runtime::describeMachine().availableBytes;
  if (free == 0 || free > kCacheBytes) GTEST_SKIP() << "this machine has memory for 128 GiB of cache";
  EVENTUALLY(test_->isReady());
  const std::filesystem::path wide = folder_.filePath(QStringLiteral("wide.gguf")).toStdString();
  writeWideModel(wide);
  engine::scheduler::LoadOptions options;
  options.contextTokens = 256;
  test_->settings.setLoadOptions(wide, options);
  test::drop(test_->window, QString::fromStdString(wide.string()));
  EVENTUALLY(test_->models.path() == wide && test_->isReady());

  reloadWithContext(QStringLiteral("131072"));
  QWidget* banner = test_->find("banner");
  EVENTUALLY(banner->isVisible());
  EXPECT_EQ(test_->models.state(), ModelService::State::kFailed);
  const QString sentence = test_->find<QLabel>("bannerSentence")->text();
  std::printf("banner: %s\n", qPrintable(sentence));
  EXPECT_TRUE(sentence.contains(QStringLiteral("128 GiB"))) << qPrintable(sentence);
  EXPECT_TRUE(sentence.contains(QStringLiteral("shorter context"))) << qPrintable(sentence);
  test::click(*test_->find("bannerDetails"));
  auto* chain = test_->find<QPlainTextEdit>("bannerChain");
  EXPECT_TRUE(chain->isVisible());
  EXPECT_TRUE(chain->toPlainText().contains(QStringLiteral("out_of_memory")))
      << qPrintable(chain->toPlainText());
  if (qEnvironmentVariableIsSet("QUERN_SCREENSHOTS")) {
    test_->window.grab().save(qEnvironmentVariable("QUERN_SCREENSHOTS") + QStringLiteral("/memory.png"));
  }

  // A question that is asked meanwhile says why nobody answers, and is answered once the model fits.
  test_->answerWith(4);
  test_->send(QStringLiteral("Hello"));
  ASSERT_EQ(test_->rows().rowCount(), 2);
  EVENTUALLY(test_->rows().item(1).error == sentence);
  EXPECT_EQ(test_->rows().item(1).state, engine::store::MessageState::kFailed);
  reloadWithContext(QStringLiteral("512"));
  EVENTUALLY(test_->isReady());
  EXPECT_FALSE(banner->isVisible());
  QTest::keyClick(test_->composer(), Qt::Key_R, Qt::ControlModifier);
  EVENTUALLY(test_->conversation.isGenerating());
  EVENTUALLY(!test_->conversation.isGenerating());
  EXPECT_EQ(test_->rows().item(1).error, QString());
  EXPECT_EQ(test_->rows().item(1).state, engine::store::MessageState::kComplete);
}

}  // namespace
}  // namespace quern::ui
