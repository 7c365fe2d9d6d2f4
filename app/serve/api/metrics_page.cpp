// GET /metrics.

#include "app/serve/api/endpoints.h"

namespace quern::app::serve {

Handler metricsPage(Service& service) {
  return withoutBody(service, ApiStyle::kOpenAi, [](const std::shared_ptr<Call>& call) {
    call->reply(HttpResponse{200,
                             {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}},
                             call->service().metrics().text(call->service().pool())});
  });
}

}  // namespace quern::app::serve
