// quern tokenize: texts to ids, and nothing else on stdout.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/cli/command.h"
#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app {
namespace {

namespace base = engine::base;
using engine::tokenizer::TokenId;

/// More than any context holds; it keeps a pipe that never ends from filling the memory.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;
/// The contract's list of texts is nested once; a library that recurses is shown nothing deeper than this.
constexpr int kDeepestJson = 64;

struct Options {
  std::string model;
  bool bos = false;
  bool noSpecial = false;
  bool batch = false;
};

base::Result<std::string> readInput() {
  std::string text;
  std::string block(std::size_t{1} << 16, '\0');
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), stdin)) {
    text.append(block, 0, got);
    if (text.size() > kMostBytes) {
      return base::Error(base::ErrorCode::kLimit, "The text on standard input is larger than 1 GiB.");
    }
  }
  if (std::ferror(stdin) != 0) {
    return base::Error(base::ErrorCode::kIo, "Standard input cannot be read.");
  }
  return text;
}

base::Result<std::vector<std::string>> readTexts(const std::string& input) {
  const base::Error wrong(base::ErrorCode::kMalformed,
                          "With --batch, standard input must be a JSON list of texts: [\"one\", \"two\"].");
  const auto shallow = [](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    return depth <= kDeepestJson;
  };
  const auto json = nlohmann::json::parse(input, shallow, false);
  if (!json.is_array()) return wrong;
  std::vector<std::string> texts;
  texts.reserve(json.size());
  for (const auto& text : json) {
    if (!text.is_string()) return wrong;
    texts.push_back(text.get<std::string>());
  }
  return texts;
}

void append(std::string& out, const std::vector<TokenId>& ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ',';
    out += std::to_string(ids[i]);
  }
}

base::Result<std::string> tokenize(const Options& options) {
  QUERN_ASSIGN(const std::filesystem::path path, engine::hub::resolveModel(options.model));
  QUERN_ASSIGN(const auto file, engine::gguf::File::open(path));
  QUERN_ASSIGN(const auto tokenizer, engine::tokenizer::Tokenizer::fromGguf(*file));
  QUERN_ASSIGN(const std::string input, readInput());

  const auto encode = [&](const std::string& text) {
    auto ids = tokenizer->encode(text, {.addSpecial = false, .parseSpecial = !options.noSpecial});
    // Asked for means given, also where the model itself would not add one.
    if (options.bos && tokenizer->special().bos) ids.insert(ids.begin(), *tokenizer->special().bos);
    return ids;
  };
  std::string out;
  if (!options.batch) {
    append(out, encode(input));
    return out + '\n';
  }
  QUERN_ASSIGN(const auto texts, readTexts(input));
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) {
    out += i > 0 ? ",[" : "[";
    append(out, encode(texts[i]));
    out += ']';
  }
  return out + "]\n";
}

}  // namespace

void addTokenizeCommand(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("tokenize", "Print the token ids of the text on standard input");
  verb->add_option("-m,--model", options->model, "An installed name or a path; a vocabulary is enough")
      ->required();
  verb->add_flag("--bos", options->bos, "Put the model's BOS token in front");
  verb->add_flag("--no-special", options->noSpecial, "Take \"<|im_start|>\" and the like as plain text");
  verb->add_flag("--batch", options->batch, "A JSON list of texts in, a JSON list of id lists out");
  verb->callback([options, &action] {
    action = [options] {
      const auto printed = tokenize(*options);
      if (!printed) return fail(printed.error());
      std::fwrite(printed->data(), 1, printed->size(), stdout);
      return std::fflush(stdout) == 0 ? kOk : kFailed;
    };
  });
}

}  // namespace quern::app
