// POST /v1/embeddings (OpenAI's API reference) and /v1/rerank (Jina's and Cohere's).

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "app/serve/api/embedding_call.h"
#include "app/serve/api/endpoints.h"
#include "app/serve/api/openai_fields.h"
#include "app/serve/api/prompts.h"

namespace quern::app::serve {
namespace {

constexpr std::size_t kMostInputs = 2048;  // OpenAI's limit
static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian floats");

std::string base64(const std::vector<float>& values) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto* const bytes = reinterpret_cast<const unsigned char*>(values.data());
  const std::size_t count = values.size() * sizeof(float);
  std::string text;
  text.reserve((count + 2) / 3 * 4);
  for (std::size_t i = 0; i < count; i += 3) {
    const auto at = [&](std::size_t k) {
      return i + k < count ? static_cast<std::uint32_t>(bytes[i + k]) : 0U;
    };
    const std::uint32_t three = at(0) << 16 | at(1) << 8 | at(2);
    text += kLetters[three >> 18];
    text += kLetters[three >> 12 & 63];
    text += i + 1 < count ? kLetters[three >> 6 & 63] : '=';
    text += i + 2 < count ? kLetters[three & 63] : '=';
  }
  return text;
}

void replyEmbeddings(Call& call, EmbeddingResult result, std::optional<std::int64_t> dimensions,
                     bool isBase64) {
  Json data = Json::array();
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    std::vector<float>& values = result.values[i];
    if (dimensions && static_cast<std::size_t>(*dimensions) > values.size()) {
      return call.fail(invalidField("dimensions", "This model's embeddings have " +
                                                      std::to_string(values.size()) + " dimensions, not " +
                                                      std::to_string(*dimensions) + "."));
    }
    if (dimensions) shorten(values, static_cast<std::size_t>(*dimensions));
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", isBase64 ? Json(base64(values)) : Json(values)}});
  }
  call.reply({{"object", "list"},
              {"data", std::move(data)},
              {"model", call.modelName()},
              {"usage", {{"prompt_tokens", result.promptTokens}, {"total_tokens", result.promptTokens}}}});
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// A document is a text or an object with one.
std::vector<Prompt> readDocuments(Fields& fields) {
  std::vector<Prompt> documents;
  const Json* list = fields.list("documents");
  if (list == nullptr || list->empty() || list->size() > kMostInputs) {
    fields.fail("documents", "must be a list of 1 to " + std::to_string(kMostInputs) + " texts.");
    return documents;
  }
  for (const Json& one : *list) {
    const Json text = one.is_object() ? one.value("text", Json()) : one;
    if (!text.is_string()) {
      fields.fail("documents[" + std::to_string(documents.size()) + "]", "must be a text.", "invalid_type");
      return documents;
    }
    documents.emplace_back(text.get<std::string>());
  }
  return documents;
}

void replyRanks(Call& call, const EmbeddingResult& result, const std::vector<Prompt>& documents,
                std::size_t most, bool withTexts) {
  std::vector<std::size_t> order(documents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  // The classifier's last label says "relevant"; most rerankers have one label.
  const auto score = [&](std::size_t i) { return result.values[i].empty() ? 0.0 : result.values[i].back(); };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return score(a) > score(b); });
  Json results = Json::array();
  for (std::size_t i = 0; i < std::min(most, order.size()); ++i) {
    Json one = {{"index", order[i]}, {"relevance_score", sigmoid(score(order[i]))}};
    if (withTexts) one["document"] = {{"text", std::get<std::string>(documents[order[i]])}};
    results.push_back(std::move(one));
  }
  call.reply({{"id", "rerank-" + randomId()},
              {"model", call.modelName()},
              {"results", std::move(results)},
              {"usage", {{"prompt_tokens", result.promptTokens}, {"total_tokens", result.promptTokens}}}});
}

}  // namespace

Handler embeddings(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    EmbeddingPlan plan;
    plan.model = fields.text("model").value_or("");
    plan.texts = readPrompts(fields, "input", kMostInputs);
    const std::string format = fields.text("encoding_format").value_or("float");
    if (format != "float" && format != "base64")
      fields.fail("encoding_format", R"(must be "float" or "base64".)");
    const auto dimensions = fields.integer("dimensions", 1, 1 << 20);
    if (problem) return call->fail(*problem);
    embed(call, std::move(plan), [dimensions, format](Call& one, EmbeddingResult result) {
      replyEmbeddings(one, std::move(result), dimensions, format == "base64");
    });
  });
}

Handler rerank(Service& service) {
  return withBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call, const Json& body) {
    std::optional<ApiError> problem;
    Fields fields(body, problem);
    EmbeddingPlan plan;
    plan.model = fields.text("model").value_or("");
    plan.field = "documents";
    plan.texts = readDocuments(fields);
    plan.question = fields.text("query").value_or("");
    if (plan.question.empty()) fields.fail("query", "must be a text.", "missing_field");
    plan.truncates = true;
    const auto most = fields.integer("top_n", 1, kMostTokens);
    const bool withTexts = fields.flag("return_documents").value_or(false);
    if (problem) return call->fail(*problem);
    const auto documents = std::make_shared<const std::vector<Prompt>>(plan.texts);
    embed(call, std::move(plan), [most, withTexts, documents](Call& one, const EmbeddingResult& result) {
      replyRanks(one, result, *documents, static_cast<std::size_t>(most.value_or(kMostTokens)), withTexts);
    });
  });
}

}  // namespace quern::app::serve
