// Ollama's endpoints about models, and its embeddings (docs/api.md).

#include <array>
#include <utility>

#include "app/serve/api/embedding_call.h"
#include "app/serve/api/endpoints.h"
#include "app/serve/api/ollama_fields.h"
#include "app/serve/api/prompts.h"
#include "engine/base/text.h"
#include "engine/gguf/file.h"

namespace quern::app::serve {
namespace {

constexpr std::size_t kMostInputs = 2048;

Json detailsJson(const engine::scheduler::ModelInfo* info) {
  Json details = {{"parent_model", ""},  {"format", "gguf"},     {"family", ""},
                  {"families", nullptr}, {"parameter_size", ""}, {"quantization_level", ""}};
  if (info == nullptr) return details;
  details["family"] = info->architecture;
  details["families"] = Json::array({info->architecture});
  details["parameter_size"] = std::to_string(info->parameters / 1000000) + "M";
  details["quantization_level"] = info->quantization;
  return details;
}

/// What the file says of itself; nothing where it cannot be read.
std::optional<engine::scheduler::ModelInfo> infoOf(const ServedModel& model) {
  const auto file = engine::gguf::File::open(model.path);
  if (!file) return std::nullopt;
  auto info = engine::scheduler::inspect(**file);
  if (!info) return std::nullopt;
  return std::move(*info);
}

/// Ollama knows a model by the hash of its manifest; here size and time stand for it.
std::string digestOf(const ServedModel& model) {
  std::uint64_t hash = 0xCBF29CE484222325;
  std::string digest;
  for (int round = 0; round < 4; ++round) {
    for (const char c : model.name + std::to_string(model.sizeBytes + static_cast<std::uint64_t>(round)))
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
    std::array<char, 17> part{};
    std::snprintf(part.data(), part.size(), "%016llx", static_cast<unsigned long long>(hash));
    digest += part.data();
  }
  return digest;
}

Json listedJson(const ServedModel& model) {
  return {
      {"name", model.name}, {"model", model.name}, {"size", model.sizeBytes}, {"digest", digestOf(model)}};
}

std::optional<ServedModel> wanted(const std::shared_ptr<Call>& call, Fields& fields) {
  std::string name = fields.text("model").value_or("");
  if (name.empty()) name = fields.text("name").value_or("");
  if (name.empty()) fields.fail("model", "is missing.", "missing_field");
  if (!fields.ok()) {
    call->fail(*fields.problem());
    return std::nullopt;
  }
  auto model = call->service().catalog().find(name);
  if (!model) {
    call->fail({404, "model_not_found", call->service().catalog().whyNot(name), "model", 0});
  }
  return model;
}

}  // namespace

Handler ollamaTags(Service& service) {
  return withoutBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call) {
    Json models = Json::array();
    for (const ServedModel& model : call->service().catalog().all()) {
      Json one = listedJson(model);
      one["modified_at"] = isoTime(model.modifiedMs);
      const auto info = infoOf(model);
      one["details"] = detailsJson(info ? &*info : nullptr);
      models.push_back(std::move(one));
    }
    call->reply({{"models", std::move(models)}});
  });
}

Handler ollamaShow(Service& service) {
  return withBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    const auto model = wanted(call, fields);
    if (!model) return;
    const auto file = engine::gguf::File::open(model->path);
    if (!file) return call->fail(file.error());
    const auto info = engine::scheduler::inspect(**file);
    if (!info) return call->fail(info.error());
    const auto source = (*file)->optionalString("tokenizer.chat_template");
    Json capabilities = Json::array();
    if (info->isEncoder) {
      capabilities.push_back("embedding");
    } else {
      capabilities.push_back("completion");
      if (info->hasChatTemplate) capabilities.push_back("tools");
    }
    call->reply({{"modelfile", "FROM " + model->name + "\n"},
                 {"parameters", ""},
                 {"template", source && *source ? std::string(**source) : std::string()},
                 {"details", detailsJson(&*info)},
                 {"model_info",
                  {{"general.architecture", info->architecture},
                   {"general.parameter_count", info->parameters},
                   {info->architecture + ".context_length", info->trainedContext},
                   {info->architecture + ".block_count", info->layers}}},
                 {"capabilities", std::move(capabilities)},
                 {"modified_at", isoTime(model->modifiedMs)}});
  });
}

Handler ollamaPs(Service& service) {
  return withoutBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call) {
    const auto status = call->service().pool().list();
    const auto served = call->service().catalog().all();
    Json models = Json::array();
    for (const auto& loaded : status.models) {
      if (loaded.state != engine::scheduler::PooledModel::State::kReady) continue;
      // A model that nobody may ask for here is nobody's business here.
      for (const ServedModel& model : served) {
        if (model.path != loaded.path) continue;
        Json one = listedJson(model);
        one["size"] = loaded.bytes;
        one["size_vram"] = 0;
        one["details"] = detailsJson(nullptr);
        if (loaded.expiresIn) {
          one["expires_at"] = isoTime((unixTime() * 1000) + loaded.expiresIn->count());
        }
        models.push_back(std::move(one));
        break;
      }
    }
    call->reply({{"models", std::move(models)}});
  });
}

Handler ollamaVersion(Service& service) {
  return withoutBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call) {
    call->reply({{"version", call->service().options().version}});
  });
}

Handler ollamaRefused(Service& service, std::string sentence) {
  return withoutBody(service, ApiStyle::kOllama,
                     [sentence = std::move(sentence)](const std::shared_ptr<Call>& call) {
                       call->fail(ApiError{403, "not_supported", sentence, {}, 0});
                     });
}

Handler ollamaEmbed(Service& service) {
  return withBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    EmbeddingPlan plan;
    plan.model = fields.text("model").value_or("");
    if (plan.model.empty()) fields.fail("model", "is missing.", "missing_field");
    plan.texts = readPrompts(fields, "input", kMostInputs);
    plan.truncates = fields.flag("truncate").value_or(true);
    const auto dimensions = fields.integer("dimensions", 1, 1 << 20);
    if (problem) return call->fail(*problem);
    embed(call, std::move(plan), [dimensions](Call& one, EmbeddingResult result) {
      if (dimensions) {
        for (auto& values : result.values) shorten(values, static_cast<std::size_t>(*dimensions));
      }
      one.reply({{"model", one.modelName()},
                 {"embeddings", result.values},
                 {"total_duration", 0},
                 {"load_duration", 0},
                 {"prompt_eval_count", result.promptTokens}});
    });
  });
}

Handler ollamaEmbeddings(Service& service) {
  return withBody(service, ApiStyle::kOllama, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    EmbeddingPlan plan;
    plan.model = fields.text("model").value_or("");
    plan.field = "prompt";
    plan.truncates = true;
    plan.texts.emplace_back(fields.text("prompt").value_or(""));
    if (plan.model.empty()) fields.fail("model", "is missing.", "missing_field");
    if (problem) return call->fail(*problem);
    embed(call, std::move(plan), [](Call& one, const EmbeddingResult& result) {
      one.reply({{"embedding", result.values.front()}});
    });
  });
}

}  // namespace quern::app::serve
