// synthetic_model: writes a random GGUF model of a given shape and type, so that big shapes can be timed
// anywhere.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "engine/base/text.h"
#include "tests/bench/synthetic/model.h"

namespace {

using quern::bench::Shape;

std::string presetNames() {
  std::string text;
  for (const auto& preset : quern::bench::presets()) {
    text += (text.empty() ? "" : ", ") + std::string(preset.name) + " (" + std::string(preset.about) + ")";
  }
  return text;
}

/// An option that overrides one number of the preset.
void overrideNumber(CLI::App& app, const char* name, const char* about, std::uint32_t& number) {
  app.add_option(name, number, about)->check(CLI::Range(0U, 1U << 22));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a random model of Llama's shape as GGUF.", "synthetic_model");
  std::string presetName;
  std::string type;
  std::string path;
  std::uint64_t seed = 1;
  Shape changes;
  app.add_option("PRESET", presetName, presetNames())->required();
  app.add_option("TYPE", type, "f16, q4_0, q4_1, q8_0 or q4_k_m")->required();
  app.add_option("OUT", path, "The file to write")->required();
  overrideNumber(app, "--layers", "Instead of the preset's", changes.layers);
  overrideNumber(app, "--width", "Embedding length", changes.width);
  overrideNumber(app, "--hidden", "Feed-forward length, an expert's in a mixture", changes.hidden);
  overrideNumber(app, "--heads", "Attention heads", changes.heads);
  overrideNumber(app, "--kv-heads", "Key/value heads", changes.kvHeads);
  overrideNumber(app, "--head-dim", "Elements of a head", changes.headDim);
  overrideNumber(app, "--vocabulary", "Tokens", changes.vocabulary);
  overrideNumber(app, "--context", "Longest sequence", changes.context);
  auto* experts = app.add_option("--experts", changes.experts, "Experts of a block (0: dense)")
                      ->check(CLI::Range(0U, 512U));
  overrideNumber(app, "--experts-used", "Experts a token takes", changes.expertsUsed);
  auto* tied = app.add_flag("--tied,!--untied", changes.tied, "Whether the embeddings are the output matrix");
  app.add_option("--seed", seed, "Other seeds, other weights")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const auto* preset = quern::bench::findPreset(presetName);
  const auto mix = quern::bench::mixOf(type);
  if (preset == nullptr || !mix) {
    std::fprintf(stderr, "synthetic_model: there is no preset \"%s\" or no type \"%s\"; --help lists them.\n",
                 presetName.c_str(), type.c_str());
    return 2;
  }
  Shape shape = preset->shape;
  for (std::uint32_t Shape::*number :
       {&Shape::layers, &Shape::width, &Shape::hidden, &Shape::heads, &Shape::kvHeads, &Shape::headDim,
        &Shape::vocabulary, &Shape::context, &Shape::expertsUsed}) {
    if (changes.*number != 0) shape.*number = changes.*number;
  }
  if (experts->count() > 0) shape.experts = changes.experts;
  if (tied->count() > 0) shape.tied = changes.tied;

  const auto written = quern::bench::writeModel(path, shape, *mix, seed);
  if (!written) {
    std::fprintf(stderr, "synthetic_model: %s\n", written.error().message().c_str());
    return 1;
  }
  std::error_code failure;
  const auto bytes = std::filesystem::file_size(path, failure);
  std::printf("%s: %s\n", path.c_str(), quern::engine::base::byteText(failure ? 0 : bytes).c_str());
  return 0;
}
