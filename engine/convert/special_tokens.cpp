// Tokens with a role, what is added to every text, and chat templates. What counts where the files disagree
// is llama.cpp's order (gguf-py's SpecialVocab): the post-processor before tokenizer_config.json before
// config.json.

#include <algorithm>

#include "engine/base/text.h"
#include "engine/convert/vocabulary_data.h"

namespace quern::engine::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostTemplateBytes = 4U << 20;
constexpr const char* kEotKey = "tokenizer.ggml.eot_token_id";

struct Role {
  const char* name;  ///< "<name>_token" in tokenizer_config.json, "<name>_token_id" in config.json
  const char* key;
};
constexpr Role kRoles[] = {{"bos", "bos_token_id"},     {"eos", "eos_token_id"},
                           {"unk", "unknown_token_id"}, {"sep", "seperator_token_id"},
                           {"pad", "padding_token_id"}, {"cls", "cls_token_id"},
                           {"mask", "mask_token_id"}};

/// A token's text, which may be wrapped in a description.
std::string tokenText(const Json& config, const std::string& name) {
  const Json& entry = member(config, name);
  return entry.is_object() ? textOf(entry, "content") : textOf(config, name);
}

class Roles {
 public:
  Roles(const Json& tokenizerConfig, const Json& config, const VocabularyData& vocabulary)
      : config_(config), vocabulary_(vocabulary) {
    for (const Role& role : kRoles) {
      texts_[role.name] = tokenText(tokenizerConfig, std::string(role.name) + "_token");
    }
    if (texts_["bos"].empty()) texts_["bos"] = texts_["cls"];
    if (texts_["eos"].empty()) texts_["eos"] = texts_["sep"];
    const Json& processor = vocabulary.postProcessor;
    const Json& inner = member(processor, "processors");
    if (inner.is_array()) {
      for (const Json& step : inner) readProcessor(step);
    } else {
      readProcessor(processor);
    }
    for (const char* name : {"bos", "eos", "sep"}) {
      const Json& add = member(tokenizerConfig, std::string("add_") + name + "_token");
      if (add.is_boolean()) adds_.emplace(name, add.get<bool>());
    }
  }

  void writeTo(Metadata& metadata) {
    for (const Role& role : kRoles) {
      if (const auto id = idOf(role.name)) {
        metadata.set(std::string("tokenizer.ggml.") + role.key, static_cast<std::uint32_t>(*id));
      }
    }
    if (const auto id = texts_["eot"].empty() ? std::nullopt : idOf("eot")) {
      metadata.set(kEotKey, static_cast<std::uint32_t>(*id));
      hasEot_ = true;
    }
    for (const auto& [name, add] : adds_) metadata.set("tokenizer.ggml.add_" + name + "_token", add);
  }

  bool hasEot() const { return hasEot_; }

  std::optional<std::uint64_t> idOf(const std::string& name) {
    if (!texts_[name].empty()) {
      if (const auto id = vocabulary_.find(texts_[name])) return id;
    }
    const Json& id = member(config_, name + "_token_id");
    const Json& number = id.is_array() && !id.empty() ? id[0] : id;
    if (!number.is_number_unsigned()) return std::nullopt;
    const auto value = number.get<std::uint64_t>();
    return value < vocabulary_.tokens.size() ? std::optional(value) : std::nullopt;
  }

 private:
  void readProcessor(const Json& step) {
    const std::string type = textOf(step, "type");
    if (type == "ByteLevel") {
      adds_.emplace("bos", false);
      adds_.emplace("eos", false);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      adds_["bos"] = adds_["eos"] = adds_["sep"] = true;
      const auto text = [&](const char* name) {
        const Json& pair = member(step, name);
        return pair.is_array() && !pair.empty() && pair[0].is_string() ? pair[0].get<std::string>()
                                                                       : std::string();
      };
      if (texts_["cls"].empty()) texts_["cls"] = text("cls");
      if (texts_["sep"].empty()) texts_["sep"] = text("sep");
    } else if (type == "TemplateProcessing") {
      readTemplate(member(step, "single"));
      readPair(member(step, "pair"));
    }
  }

  void readTemplate(const Json& single) {
    if (!single.is_array() || single.size() < 2) return;
    const std::string first = textOf(member(single.front(), "SpecialToken"), "id");
    const std::string last = textOf(member(single.back(), "SpecialToken"), "id");
    if (!first.empty()) {
      if (texts_["bos"].empty()) texts_["bos"] = first;
      adds_["bos"] = first == texts_["bos"] || first == texts_["cls"];
    }
    if (last.empty()) return;
    // What ends every text counts as its end; what tokenizer_config.json calls so then ends an answer.
    if (!texts_["eos"].empty() && last != texts_["eos"] && last != texts_["sep"])
      texts_["eot"] = texts_["eos"];
    if (last != texts_["sep"] || texts_["eos"].empty()) texts_["eos"] = last;
    adds_["eos"] = true;
  }

  /// Between two texts stands the end of the first, and where there are two tokens a separator, too.
  void readPair(const Json& pair) {
    if (!pair.is_array() || pair.size() < 3) return;
    std::vector<std::string> between;
    bool inside = false;
    for (const Json& part : pair) {
      const bool text = member(part, "Sequence").is_object();
      if (text && inside) break;
      inside = inside || text;
      if (inside && !text) between.push_back(textOf(member(part, "SpecialToken"), "id"));
    }
    if (between.empty()) return;
    const bool separators = std::all_of(between.begin(), between.end(), [&](const std::string& token) {
      return token == texts_["sep"] || token == texts_["eos"];
    });
    adds_["sep"] = separators && (between.size() > 1 || !adds_.contains("eos"));
  }

  const Json& config_;
  const VocabularyData& vocabulary_;
  std::map<std::string, std::string> texts_;
  std::map<std::string, bool> adds_;
  bool hasEot_ = false;
};

/// Answers also end at what generation_config.json lists beside EOS.
void describeEnds(const Json& generation, Roles& roles, const VocabularyData& vocabulary,
                  Metadata& metadata) {
  const auto end = roles.idOf("eos");
  const Json& list = member(generation, "eos_token_id");
  if (!list.is_array()) return;
  std::vector<const char*> keys = {"tokenizer.ggml.eom_token_id"};
  if (!roles.hasEot()) keys.push_back(kEotKey);
  for (const Json& id : list) {
    if (keys.empty() || !id.is_number_unsigned()) continue;
    const auto value = id.get<std::uint64_t>();
    if (value == end || value >= vocabulary.tokens.size()) continue;
    metadata.set(keys.back(), static_cast<std::uint32_t>(value));
    keys.pop_back();
  }
}

base::Result<void> describeTemplates(const fs::path& folder, const Json& tokenizerConfig,
                                     Metadata& metadata) {
  std::error_code code;
  if (fs::exists(folder / "chat_template.jinja", code)) {
    QUERN_ASSIGN(std::string text, readText(folder / "chat_template.jinja", kMostTemplateBytes));
    metadata.set("tokenizer.chat_template", std::move(text));
    return base::ok();
  }
  Json templates = member(tokenizerConfig, "chat_template");
  if (templates.is_null()) {
    QUERN_ASSIGN(const Json file, readOptionalJson(folder / "chat_template.json"));
    templates = member(file, "chat_template");
  }
  if (templates.is_string()) metadata.set("tokenizer.chat_template", templates.get<std::string>());
  if (!templates.is_array()) return base::ok();
  std::vector<std::string> names;
  for (const Json& entry : templates) {
    const std::string name = textOf(entry, "name");
    const std::string text = textOf(entry, "template");
    const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '-';
    });
    if (name == "default") {
      metadata.set("tokenizer.chat_template", text);
    } else if (plain) {
      names.push_back(name);
      metadata.set("tokenizer.chat_template." + name, text);
    }
  }
  if (!names.empty()) metadata.set("tokenizer.chat_templates", std::move(names));
  return base::ok();
}

}  // namespace

base::Result<void> describeSpecialTokens(const fs::path& folder, const Config& config,
                                         const VocabularyData& vocabulary, Metadata& metadata) {
  QUERN_ASSIGN(const Json tokenizerConfig, readOptionalJson(folder / "tokenizer_config.json"));
  QUERN_ASSIGN(const Json generation, readOptionalJson(folder / "generation_config.json"));
  Roles roles(tokenizerConfig, config.json(), vocabulary);
  roles.writeTo(metadata);
  describeEnds(generation, roles, vocabulary, metadata);
  return describeTemplates(folder, tokenizerConfig, metadata);
}

}  // namespace quern::engine::convert
