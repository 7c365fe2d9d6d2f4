// GET /v1/models and /v1/models/NAME.

#include "app/serve/api/endpoints.h"
#include "engine/base/text.h"

namespace quern::app::serve {
namespace {

Json modelJson(const ServedModel& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.modifiedMs / 1000},
          {"owned_by", "quern"},
          {"size_bytes", model.sizeBytes}};
}

}  // namespace

Handler listModels(Service& service) {
  return withoutBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call) {
    Json data = Json::array();
    for (const ServedModel& model : call->service().catalog().all()) data.push_back(modelJson(model));
    call->reply({{"object", "list"}, {"data", std::move(data)}});
  });
}

Handler oneModel(Service& service) {
  return withoutBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call) {
    constexpr std::string_view kPrefix = "/v1/models/";
    const std::string name =
        call->request().path.substr(std::min(kPrefix.size(), call->request().path.size()));
    const auto model = name.empty() ? std::nullopt : call->service().catalog().find(name);
    if (model) return call->reply(modelJson(*model));
    call->fail({404, "model_not_found", call->service().catalog().whyNot(name), "model", 0});
  });
}

}  // namespace quern::app::serve
