// Which names this server answers to, and which web pages may use it. A page of a stranger's may point a name
// of its own at this machine (DNS rebinding) and then ask it anything through the visitor's browser: the name
// betrays it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/serve/exchange.h"

namespace quern::app::serve::front {

struct HostOptions {
  std::string listenHost = "127.0.0.1";
  bool isLoopbackOnly = true;               ///< only this machine's programs can connect
  std::vector<std::string> allowedHosts;    ///< names beside those that are always right
  std::vector<std::string> allowedOrigins;  ///< "https://chat.example"; "*" for every page
};

/// Never changed; for any thread.
class HostPolicy {
 public:
  explicit HostPolicy(HostOptions options);

  /// `host`: the value of "Host". Right are names and addresses of this machine, and what is allowed; where
  /// others can connect any address written in digits, too, since no name can be pointed anywhere by it.
  bool allowsHost(std::string_view host) const;

  enum class OriginKind { kNone, kSame, kAllowed, kForbidden };
  /// `origin`: the value of "Origin", empty where there is none.
  OriginKind judgeOrigin(std::string_view origin, std::string_view host) const;

  /// What lets a page of `origin` read the answer; credentials (cookies) are never allowed.
  std::vector<Header> corsHeaders(std::string_view origin) const;
  /// What an OPTIONS request of a browser's gets in addition.
  std::vector<Header> preflightHeaders(std::string_view methods, std::string_view askedHeaders) const;

 private:
  HostOptions options_;
  std::vector<std::string> names_;  ///< lower case
};

}  // namespace quern::app::serve::front
