#include "app/serve/front/front_door.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "app/serve/front/request_marks.h"
#include "app/serve/front/ticket.h"
#include "app/serve/http/error_response.h"
#include "app/serve/http/http_server.h"
#include "app/serve/http/request_target.h"
#include "engine/base/text.h"

namespace quern::app::serve::front {
namespace {

/// What a key may be given with: OpenAI's header, then Anthropic's.
std::string_view keyOf(const HttpRequest& request) {
  const std::string_view authorization = request.header("Authorization");
  if (http::equalIgnoringCase(authorization.substr(0, 7), "Bearer ")) {
    return http::trimmed(authorization.substr(7));
  }
  return request.header("x-api-key");
}

HttpResponse refusal(const HttpRequest& request, int status, std::string_view code,
                     std::string_view message) {
  return http::errorResponse(status, request.path, code, message);
}

std::string_view scopeName(Scope scope) {
  switch (scope) {
    case Scope::kNone:
      break;
    case Scope::kChat:
      return "chat";
    case Scope::kModels:
      return "models";
    case Scope::kAdmin:
      return "admin";
  }
  return "";
}

std::string reasonOf(int status) {
  switch (status) {
    case 401:
      return "unauthorized";
    case 403:
      return "forbidden";
    case 408:
      return "timeout";
    case 413:
    case 431:
      return "too_large";
    case 429:
      return "rate_limit";
    case 503:
      return "overloaded";
    default:
      return "malformed";
  }
}

/// Of the names of headers that a browser asks to send.
constexpr std::size_t kLongestHeaderList = 512;

}  // namespace

FrontDoor::FrontDoor(FrontOptions options, std::vector<Route> routes, KeyRing keys,
                     std::shared_ptr<AccessLog> log)
    : options_(std::move(options)),
      log_(std::move(log)),
      rates_(std::make_shared<RateLimits>(options_.policy.rates)),
      idempotency_(options_.idempotency),
      keys_(std::make_shared<const KeyRing>(std::move(keys))),
      rules_(rulesOf(options_.policy)),
      routes_(withHealth(std::move(routes))) {
  QUERN_CHECK(sodium_init() >= 0, "libsodium finds no random numbers on this machine");
}

FrontDoor::~FrontDoor() = default;

std::vector<Route> FrontDoor::withHealth(std::vector<Route> routes) {
  const auto add = [&](const char* path, bool asksReady, bool asksLive) {
    routes.insert(routes.begin(), {"GET", path, Scope::kNone,
                                   [this, asksReady, asksLive](const HttpRequest&, const auto& responder) {
                                     responder->reply(health(asksReady, asksLive));
                                   }});
  };
  add("/live", false, true);
  add("/ready", true, false);
  add("/health", true, true);
  return routes;
}

HttpResponse FrontDoor::health(bool asksReady, bool asksLive) const {
  nlohmann::ordered_json body = {{"status", "ok"}};
  int status = 200;
  const auto say = [&](std::string_view word, std::string detail) {
    body = {{"status", std::string(word)}, {"detail", std::move(detail)}};
    status = 503;
  };
  if (asksReady) {
    const auto why = options_.whyNotReady ? options_.whyNotReady() : std::nullopt;
    if (why) say("loading", *why);
    if (isDraining_) say("draining", "The server is about to end.");
  }
  if (asksLive && stalledFor_) {
    if (const auto stalled = stalledFor_()) {
      say("stalled",
          "The engine has work and has made no step for " + std::to_string(stalled->count() / 1000) + " s.");
    }
  }
  body["uptime_s"] =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began_).count();
  body["requests"] = inFlight();
  HttpResponse response{status, {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, ""};
  response.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  return response;
}

std::variant<HttpResponse, std::unique_ptr<http::Admission>> FrontDoor::admit(HttpRequest& request) {
  auto ticket = std::make_unique<Ticket>();
  request.id = requestId(request.header("X-Request-Id"));
  ticket->arrived = request.arrived;
  ticket->record.id = request.id;
  ticket->record.remote = request.remote;
  ticket->record.method = engine::base::printable(request.method, 32);
  ticket->record.path = engine::base::printable(request.path, 256);
  ticket->headers = {{"X-Request-Id", request.id}, {"X-Content-Type-Options", "nosniff"}};
  if (const auto trace = parseTraceparent(request.header("traceparent"))) {
    ticket->record.traceId = trace->traceId;
    ticket->record.parentSpan = trace->parentSpan;
  }
  auto refused = judge(request, *ticket);
  if (!refused) return ticket;
  for (const Header& header : ticket->headers) refused->headers.push_back(header);
  ticket->record.status = refused->status;
  ticket->record.bytes = refused->body.size();
  ticket->record.outcome = refused->status < 400 ? "answered" : "refused";
  ticket->record.elapsedMs =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - request.arrived).count();
  finished(ticket->record);
  return std::move(*refused);
}

std::optional<HttpResponse> FrontDoor::judge(HttpRequest& request, Ticket& ticket) {
  if (auto refused = judgeSource(request, ticket)) return refused;
  const auto found = routes_.find(request.method, request.path);
  if (request.method == "OPTIONS" && found.route == nullptr) return preflight(request, found);
  if (found.route == nullptr && found.allowed.empty()) {
    return refusal(request, 404, "not_found",
                   "There is nothing at \"" + engine::base::printable(request.path) + "\".");
  }
  if (found.route == nullptr) {
    auto response = refusal(request, 405, "method_not_allowed",
                            "\"" + engine::base::printable(request.path) + "\" knows no method " +
                                engine::base::printable(request.method, 32) + ".");
    response.headers.push_back({"Allow", found.allowed});
    return response;
  }
  ticket.route = found.route;
  if (auto refused = identify(request, ticket)) return refused;
  // Health must be told at full load and to the last.
  if (found.route->scope == Scope::kNone) return std::nullopt;
  if (isDraining_) {
    auto response =
        refusal(request, 503, "shutting_down", "The server is about to end and takes no new work.");
    response.headers.push_back({"Retry-After", "10"});
    return response;
  }
  if (auto refused = setDeadline(request)) return refused;
  return takePlace(request, ticket);
}

std::optional<HttpResponse> FrontDoor::judgeSource(const HttpRequest& request, Ticket& ticket) const {
  const auto held = rules();
  const HostPolicy& hosts = held->hosts;
  const std::string_view host = request.header("Host");
  // Only HTTP/1.0 can come without one, and no browser speaks it.
  if (!host.empty() && !hosts.allowsHost(host)) {
    return refusal(request, 403, "host_not_allowed",
                   "This server does not answer to the name \"" + engine::base::printable(host) +
                       "\". Start it with \"--allowed-host\" if it should.");
  }
  const std::string_view origin = request.header("Origin");
  switch (hosts.judgeOrigin(origin, host)) {
    case HostPolicy::OriginKind::kNone:
    case HostPolicy::OriginKind::kSame:
      return std::nullopt;
    case HostPolicy::OriginKind::kAllowed:
      for (Header& header : hosts.corsHeaders(origin)) ticket.headers.push_back(std::move(header));
      return std::nullopt;
    case HostPolicy::OriginKind::kForbidden:
      break;
  }
  return refusal(request, 403, "origin_not_allowed",
                 "Pages of \"" + engine::base::printable(origin) +
                     "\" may not use this server. Start it with \"--allow-origin\" if they should.");
}

HttpResponse FrontDoor::preflight(const HttpRequest& request, const RouteTable::Finding& found) const {
  if (found.allowed.empty() && request.path != "*") {
    return refusal(request, 404, "not_found",
                   "There is nothing at \"" + engine::base::printable(request.path) + "\".");
  }
  HttpResponse response;
  response.status = 204;
  const std::string allowed = found.allowed.empty() ? "GET, HEAD, POST, OPTIONS" : found.allowed;
  response.headers.push_back({"Allow", allowed});
  const auto held = rules();
  const HostPolicy& hosts = held->hosts;
  const std::string_view origin = request.header("Origin");
  const bool isBrowser = !request.header("Access-Control-Request-Method").empty();
  if (isBrowser && hosts.judgeOrigin(origin, request.header("Host")) == HostPolicy::OriginKind::kAllowed) {
    const std::string_view asked = request.header("Access-Control-Request-Headers");
    for (Header& header : hosts.preflightHeaders(allowed, asked.substr(0, kLongestHeaderList))) {
      response.headers.push_back(std::move(header));
    }
  }
  return response;
}

std::optional<HttpResponse> FrontDoor::identify(HttpRequest& request, Ticket& ticket) {
  const Scope scope = ticket.route->scope;
  if (scope == Scope::kNone) return std::nullopt;
  const std::string_view key = keyOf(request);
  const auto ring = keys();
  const auto finding = ring->find(key, unixNowMs());
  const auto unauthorized = [&](std::string_view code, std::string_view message) {
    auto response = refusal(request, 401, code, message);
    response.headers.push_back({"WWW-Authenticate", "Bearer"});
    return response;
  };
  if (finding.facts != nullptr) {
    ticket.keys = ring;
    ticket.key = finding.facts;
    ticket.record.keyId = finding.facts->id;
    ticket.record.keyName = finding.facts->name;
  }
  switch (finding.verdict) {
    case KeyRing::Verdict::kExpired:
      return unauthorized("expired_api_key", "This API key has expired.");
    case KeyRing::Verdict::kRevoked:
      return unauthorized("revoked_api_key", "This API key has been revoked.");
    case KeyRing::Verdict::kUnknown:
      // Clients that cannot do without a key send any where none is needed; one of ours must be right.
      if (!options_.needsKeys && !key.starts_with(kKeyPrefix)) return std::nullopt;
      return key.empty() ? unauthorized("missing_api_key",
                                        "This server needs an API key: \"Authorization: Bearer qk-…\".")
                         : unauthorized("invalid_api_key", "This API key is not known here.");
    case KeyRing::Verdict::kGood:
      break;
  }
  const KeyFacts& facts = *finding.facts;
  request.caller = {facts.id, facts.name, facts.may(Scope::kChat), facts.may(Scope::kModels),
                    facts.may(Scope::kAdmin)};
  if (facts.may(scope)) return std::nullopt;
  return refusal(request, 403, "missing_scope",
                 "This API key lacks the scope \"" + std::string(scopeName(scope)) + "\".");
}

std::optional<HttpResponse> FrontDoor::takePlace(const HttpRequest& request, Ticket& ticket) {
  auto verdict = rates_->enter(ticket.key, request.remote, http::isLoopbackAddress(request.remote),
                               std::chrono::steady_clock::now());
  for (Header& header : verdict.headers) ticket.headers.push_back(std::move(header));
  if (verdict.place) {
    ticket.place = std::move(verdict.place);
    return std::nullopt;
  }
  ticket.record.message = verdict.message;
  auto response = refusal(request, verdict.status, verdict.code, verdict.message);
  response.headers.push_back({"Retry-After", std::to_string(verdict.retryAfterSeconds)});
  return response;
}

std::optional<HttpResponse> FrontDoor::setDeadline(HttpRequest& request) const {
  auto limit = rules()->requestTimeout;
  if (const std::string_view asked = request.header("X-Request-Timeout"); !asked.empty()) {
    const auto parsed = parseTimeout(asked);
    if (!parsed) return refusal(request, 400, "invalid_timeout", parsed.error().message());
    limit = limit.count() > 0 ? std::min(limit, *parsed) : *parsed;
  }
  if (limit.count() > 0) request.deadline = request.arrived + limit;
  return std::nullopt;
}

void FrontDoor::handle(HttpRequest request, std::unique_ptr<http::Admission> admission,
                       std::shared_ptr<Responder> responder) {
  std::unique_ptr<Ticket> ticket(static_cast<Ticket*>(admission.release()));
  const Route& route = *ticket->route;
  if (log_->hasContent()) ticket->record.question = request.body.substr(0, kContentBytes);
  std::shared_ptr<Responder> watched =
      std::make_shared<Watched>(shared_from_this(), std::move(ticket), std::move(responder));
  const std::string_view key = request.header("Idempotency-Key");
  if (!key.empty() && request.method == "POST") {
    // Without keys everybody is the same caller, who is told apart by address.
    const std::string name =
        (request.caller.id.empty() ? "@" + request.remote : request.caller.id) + '\n' + std::string(key);
    auto verdict = idempotency_.attach(name, request, watched, Idempotency::Clock::now());
    switch (verdict.kind) {
      case Idempotency::Kind::kAttached:
        return;
      case Idempotency::Kind::kConflict:
        return watched->reply(refusal(request, 422, "idempotency_key_reused",
                                      "This \"Idempotency-Key\" was used for another request."));
      case Idempotency::Kind::kNew:
        watched = std::move(verdict.responder);
        break;
      case Idempotency::Kind::kUnkept:
        break;
    }
  }
  route.handler(std::move(request), std::move(watched));
}

void FrontDoor::refused(std::string_view remote, std::string_view path, int status,
                        std::string_view message) {
  AccessRecord record;
  record.remote = remote;
  record.path = engine::base::printable(path, 256);
  record.status = status;
  record.outcome = "refused";
  record.message = engine::base::printable(message, 200);
  finished(record);
}

void FrontDoor::finished(const AccessRecord& record) {
  ++answered_.at(static_cast<std::size_t>(std::clamp(record.status / 100, 0, 5)));
  if (record.outcome == "refused" && options_.onRefused) options_.onRefused(reasonOf(record.status));
  log_->write(record);
}

std::shared_ptr<const KeyRing> FrontDoor::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void FrontDoor::setKeys(KeyRing keys) {
  auto next = std::make_shared<const KeyRing>(std::move(keys));
  const std::lock_guard lock(mutex_);
  keys_.swap(next);
}

std::shared_ptr<const FrontDoor::Rules> FrontDoor::rulesOf(const FrontPolicy& policy) {
  return std::make_shared<const Rules>(Rules{HostPolicy(policy.hosts), policy.requestTimeout});
}

std::shared_ptr<const FrontDoor::Rules> FrontDoor::rules() const {
  const std::lock_guard lock(mutex_);
  return rules_;
}

void FrontDoor::setPolicy(const FrontPolicy& policy) {
  rates_->setOptions(policy.rates);
  auto next = rulesOf(policy);
  const std::lock_guard lock(mutex_);
  rules_.swap(next);
}

}  // namespace quern::app::serve::front
