// Who decides behind the connections: what they ask about each request.
#pragma once

#include <memory>
#include <string_view>
#include <variant>

#include "app/serve/exchange.h"
#include "app/serve/http/request_reader.h"

namespace quern::app::serve::http {

/// What a site remembers of a request between its head and its end: places in limits, for example, which are
/// given back where it is destroyed.
class Admission {
 public:
  virtual ~Admission() = default;
};

/// Called from several threads at once; nothing may block.
class Site {
 public:
  virtual ~Site() = default;
  /// Judges a request by its head, before its body is read: an answer that refuses it (after which the
  /// connection ends if a body would follow), or leave to go on. `request` may be changed: it gets its id,
  /// caller and deadline here.
  virtual std::variant<HttpResponse, std::unique_ptr<Admission>> admit(HttpRequest& request) = 0;
  /// Takes the whole request.
  virtual void handle(HttpRequest request, std::unique_ptr<Admission> admission,
                      std::shared_ptr<Responder> responder) = 0;
  /// A request that never got to admit(), or whose body was refused after it: for the log. `path` may be
  /// empty.
  virtual void refused(std::string_view remote, std::string_view path, int status,
                       std::string_view message) = 0;
  /// The server is about to end: connections do not wait for one more request.
  virtual bool isDraining() const = 0;
};

}  // namespace quern::app::serve::http
