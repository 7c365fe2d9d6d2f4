#include "app/serve/front/host_policy.h"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "app/serve/http/http_server.h"
#include "app/serve/http/request_target.h"

namespace quern::app::serve::front {
namespace {

std::string lowered(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

/// "name:8080" → "name", "[::1]:8080" → "::1"; empty where it is neither.
std::string nameOf(std::string_view host) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    return end == std::string_view::npos ? "" : lowered(host.substr(1, end - 1));
  }
  const std::size_t colon = host.find(':');
  const std::string_view port = colon == std::string_view::npos ? "" : host.substr(colon + 1);
  if (port.find_first_not_of("0123456789") != std::string_view::npos) return "";
  std::string name = lowered(host.substr(0, colon));
  // "localhost." is the same name, fully qualified.
  if (name.ends_with('.')) name.pop_back();
  return name;
}

bool isAddress(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

}  // namespace

HostPolicy::HostPolicy(HostOptions options) : options_(std::move(options)) {
  names_ = {"localhost", lowered(options_.listenHost)};
  std::array<char, 256> own{};
  if (::gethostname(own.data(), own.size() - 1) == 0 && own[0] != '\0') {
    const std::string name = lowered(own.data());
    names_.push_back(name);
    const std::string first = name.substr(0, name.find('.'));
    names_.push_back(first);
    names_.push_back(first + ".local");
  }
  for (const std::string& host : options_.allowedHosts) names_.push_back(nameOf(host));
  std::erase(names_, "");
}

bool HostPolicy::allowsHost(std::string_view host) const {
  const std::string name = nameOf(host);
  if (name.empty()) return false;
  if (std::find(names_.begin(), names_.end(), name) != names_.end()) return true;
  if (!isAddress(name)) return false;
  return !options_.isLoopbackOnly || http::isLoopbackAddress(name);
}

HostPolicy::OriginKind HostPolicy::judgeOrigin(std::string_view origin, std::string_view host) const {
  if (origin.empty()) return OriginKind::kNone;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme) && !host.empty() &&
        http::equalIgnoringCase(origin.substr(scheme.size()), host)) {
      return OriginKind::kSame;
    }
  }
  const bool isAllowed = std::any_of(
      options_.allowedOrigins.begin(), options_.allowedOrigins.end(),
      [&](const std::string& allowed) { return allowed == "*" || http::equalIgnoringCase(allowed, origin); });
  return isAllowed ? OriginKind::kAllowed : OriginKind::kForbidden;
}

std::vector<Header> HostPolicy::corsHeaders(std::string_view origin) const {
  return {{"Access-Control-Allow-Origin", std::string(origin)},
          {"Vary", "Origin"},
          {"Access-Control-Expose-Headers",
           "X-Request-Id, Retry-After, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
           "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
           "x-ratelimit-reset-tokens"}};
}

std::vector<Header> HostPolicy::preflightHeaders(std::string_view methods,
                                                 std::string_view askedHeaders) const {
  return {{"Access-Control-Allow-Methods", std::string(methods)},
          {"Access-Control-Allow-Headers",
           askedHeaders.empty() ? "Authorization, Content-Type" : std::string(askedHeaders)},
          {"Access-Control-Max-Age", "600"}};
}

}  // namespace quern::app::serve::front
