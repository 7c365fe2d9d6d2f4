// quern template: the prompt that a model would see, and nothing else.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/cli/command.h"
#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/template/template.h"

namespace quern::app {

namespace {

namespace base = engine::base;

struct Options {
  std::string model;
  std::string file;
  std::string messages;
  std::string now;
  bool noGenerationPrompt = false;
};

/// A whole file, of at most 64 MiB.
base::Result<std::string> readFile(const std::string& path) {
  constexpr std::size_t kMostBytes = 64u << 20;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return base::Error(base::ErrorCode::kInvalidArgument, "\"" + path + "\" is a folder, not a file.");
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return base::Error(base::ErrorCode::kNotFound, "\"" + path + "\" cannot be opened.");
  std::string text;
  std::string block(1u << 16, '\0');
  while (stream.read(block.data(), static_cast<std::streamsize>(block.size())) || stream.gcount() > 0) {
    text.append(block, 0, static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kMostBytes) {
      return base::Error(base::ErrorCode::kLimit, "\"" + path + "\" is larger than 64 MiB.");
    }
  }
  return text;
}

/// JSON that is nested a thousand deep is refused before a library recurses over it.
bool nestedTooDeeply(const std::string& text) {
  constexpr int kDeepest = 1000;
  int depth = 0;
  bool inString = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (inString) {
      if (text[i] == '\\') ++i;
      if (i < text.size() && text[i] == '"') inString = false;
    } else if (text[i] == '"') {
      inString = true;
    } else if (text[i] == '[' || text[i] == '{') {
      if (++depth > kDeepest) return true;
    } else if (text[i] == ']' || text[i] == '}') {
      --depth;
    }
  }
  return false;
}

base::Result<nlohmann::ordered_json> readVariables(const std::string& path) {
  QUERN_ASSIGN(const std::string text, readFile(path));
  if (nestedTooDeeply(text)) {
    return base::Error(base::ErrorCode::kLimit, "\"" + path + "\" is nested too deeply.");
  }
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) {
    return base::Error(base::ErrorCode::kMalformed, "\"" + path + "\" is not valid JSON.");
  }
  if (json.is_array()) {
    nlohmann::ordered_json variables = nlohmann::ordered_json::object();
    variables["messages"] = std::move(json);
    return variables;
  }
  if (!json.is_object()) {
    return base::Error(
        base::ErrorCode::kInvalidArgument,
        "\"" + path + "\" must hold a list of messages, or an object with the template's variables.");
  }
  return json;
}

/// The text of token `idKey` of the vocabulary, when the model names one.
std::string tokenText(const engine::gguf::File& file, std::string_view idKey) {
  const engine::gguf::Value* id = file.find(idKey);
  const engine::gguf::Value* tokens = file.find("tokenizer.ggml.tokens");
  if (id == nullptr || tokens == nullptr) return "";
  const auto index = id->asUnsigned();
  const auto texts = tokens->asStrings();
  if (!index || !texts || *index >= texts->size()) return "";
  return std::string((*texts)[static_cast<std::size_t>(*index)]);
}

/// The model's template; its BOS and EOS texts join the variables unless they are given.
base::Result<std::string> modelTemplate(const std::string& model, nlohmann::ordered_json& variables) {
  QUERN_ASSIGN(const std::filesystem::path path, engine::hub::resolveModel(model));
  QUERN_ASSIGN(const auto file, engine::gguf::File::open(path));
  QUERN_ASSIGN(const auto source, file->optionalString("tokenizer.chat_template"));
  if (!source) {
    return base::Error(base::ErrorCode::kNotFound,
                       "\"" + model + "\" has no chat template; give one with --file.");
  }
  for (const auto& [name, key] : {std::pair{"bos_token", "tokenizer.ggml.bos_token_id"},
                                  std::pair{"eos_token", "tokenizer.ggml.eos_token_id"}}) {
    if (!variables.contains(name)) variables[name] = tokenText(*file, key);
  }
  return std::string(*source);
}

base::Result<std::string> render(const Options& options) {
  QUERN_ASSIGN(nlohmann::ordered_json variables, readVariables(options.messages));
  if (options.noGenerationPrompt) {
    variables["add_generation_prompt"] = false;
  } else if (!variables.contains("add_generation_prompt")) {
    variables["add_generation_prompt"] = true;
  }
  QUERN_ASSIGN(const std::string source,
               options.file.empty() ? modelTemplate(options.model, variables) : readFile(options.file));
  QUERN_ASSIGN(const auto parsed, engine::chat::Template::parse(source));
  engine::chat::RenderOptions how;
  how.now = options.now;
  return parsed.render(variables, how);
}

}  // namespace

void addTemplateCommand(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = app.add_subcommand("template", "Print the prompt that a chat template makes of messages");
  auto* from = verb->add_option_group("template", "Where the template comes from");
  from->add_option("-m,--model", options->model, "A model's own template: a name or a path");
  from->add_option("--file", options->file, "A template in a file of its own");
  from->require_option(1);
  verb->add_option("--messages", options->messages,
                   "JSON: a list of messages, or an object with the template's variables")
      ->required();
  verb->add_flag("--no-generation-prompt", options->noGenerationPrompt,
                 "Do not open the assistant's answer at the end");
  verb->add_option("--now", options->now, "The time the template sees: \"2026-03-07 12:30:05\"");
  verb->callback([options, &action] {
    action = [options] {
      const auto prompt = render(*options);
      if (!prompt) return fail(prompt.error());
      std::fwrite(prompt->data(), 1, prompt->size(), stdout);
      return std::fflush(stdout) == 0 ? kOk : kFailed;
    };
  });
}

}  // namespace quern::app
