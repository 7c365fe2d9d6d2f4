// Judges every request before an endpoint sees it: host, origin, route, key, limits. What it lets in it
// watches until it is answered, and writes one line about.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/serve/exchange.h"
#include "app/serve/front/access_log.h"
#include "app/serve/front/host_policy.h"
#include "app/serve/front/idempotency.h"
#include "app/serve/front/key_store.h"
#include "app/serve/front/rate_limits.h"
#include "app/serve/front/route_table.h"
#include "app/serve/http/site.h"

namespace quern::app::serve::front {

/// What may change while requests come.
struct FrontPolicy {
  HostOptions hosts;
  RateOptions rates;
  std::chrono::milliseconds requestTimeout{0};  ///< what a client may ask for at most; 0: no limit
};

struct FrontOptions {
  FrontPolicy policy;
  bool needsKeys = false;  ///< without a good key only what has Scope::kNone
  IdempotencyOptions idempotency;
  std::function<std::optional<std::string>()> whyNotReady;  ///< "loading" …; nothing: ready
  /// Counts what is turned away: "unauthorized", "forbidden", "rate_limit", "overloaded", "timeout",
  /// "too_large", "malformed".
  std::function<void(const std::string& reason)> onRefused;
};

class FrontDoor final : public http::Site, public std::enable_shared_from_this<FrontDoor> {
 public:
  /// `routes` get /live, /ready and /health in addition, which are answered here.
  FrontDoor(FrontOptions options, std::vector<Route> routes, KeyRing keys, std::shared_ptr<AccessLog> log);
  ~FrontDoor() override;

  std::variant<HttpResponse, std::unique_ptr<http::Admission>> admit(HttpRequest& request) override;
  void handle(HttpRequest request, std::unique_ptr<http::Admission> admission,
              std::shared_ptr<Responder> responder) override;
  void refused(std::string_view remote, std::string_view path, int status, std::string_view message) override;
  bool isDraining() const override { return isDraining_; }

  /// Ready no more; new work is refused.
  void beginDrain() { isDraining_ = true; }
  void setKeys(KeyRing keys);
  /// For requests from now on.
  void setPolicy(const FrontPolicy& policy);
  /// How long no engine has moved; nothing: they do. Set before the first request comes.
  void setStallProbe(std::function<std::optional<std::chrono::milliseconds>()> probe) {
    stalledFor_ = std::move(probe);
  }
  /// About once a second.
  void tick() { idempotency_.tick(Idempotency::Clock::now()); }

  int inFlight() const { return rates_->inFlight(); }
  /// Answers with statuses of 100·i to 100·i + 99, since the start.
  std::uint64_t answered(int hundred) const { return answered_.at(static_cast<std::size_t>(hundred)); }

 private:
  class Ticket;
  class Watched;
  struct Identity;

  std::optional<HttpResponse> judge(HttpRequest& request, Ticket& ticket);
  /// FrontPolicy as requests are judged by it.
  struct Rules {
    HostPolicy hosts;
    std::chrono::milliseconds requestTimeout;
  };
  std::shared_ptr<const Rules> rules() const;
  static std::shared_ptr<const Rules> rulesOf(const FrontPolicy& policy);
  std::optional<HttpResponse> judgeSource(const HttpRequest& request, Ticket& ticket) const;
  HttpResponse preflight(const HttpRequest& request, const RouteTable::Finding& found) const;
  std::optional<HttpResponse> identify(HttpRequest& request, Ticket& ticket);
  std::optional<HttpResponse> takePlace(const HttpRequest& request, Ticket& ticket);
  std::optional<HttpResponse> setDeadline(HttpRequest& request) const;
  std::vector<Route> withHealth(std::vector<Route> routes);
  HttpResponse health(bool asksReady, bool asksLive) const;
  std::shared_ptr<const KeyRing> keys() const;
  void finished(const AccessRecord& record);

  const FrontOptions options_;
  const std::shared_ptr<AccessLog> log_;
  const std::shared_ptr<RateLimits> rates_;
  Idempotency idempotency_;
  std::atomic<bool> isDraining_{false};
  std::function<std::optional<std::chrono::milliseconds>()> stalledFor_;
  mutable std::mutex mutex_;
  std::shared_ptr<const KeyRing> keys_;
  std::shared_ptr<const Rules> rules_;
  std::array<std::atomic<std::uint64_t>, 6> answered_{};
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  const RouteTable routes_;
};

}  // namespace quern::app::serve::front
