// One request of the LAN and the way back to who sent it: the seam between the front door (connections, TLS,
// keys, limits) and the endpoints behind it. Nothing here waits, and nothing knows of sockets, so that
// endpoints are tested without any.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::app::serve {

struct Header {
  std::string name;
  std::string value;
};

/// Who asks. Without keys in force everybody is the same caller, who may do everything.
struct Caller {
  std::string id;    ///< of the key, never the key itself; empty without one
  std::string name;  ///< what its owner called it
  bool mayChat = true;
  bool mayManageModels = true;
  bool mayAdminister = true;
};

/// A whole request that the front door has let in: the sizes of all parts are bounded, the body is complete.
struct HttpRequest {
  std::string method;  ///< "POST"
  std::string path;    ///< "/v1/chat/completions": percent-decoded, without the query
  std::string query;   ///< as it came, without the "?"
  std::vector<Header> headers;
  std::string body;
  std::string remote;  ///< the other side's address, "192.168.1.7"
  std::string id;      ///< what the log calls this request, and "X-Request-Id" of the answer
  Caller caller;
  std::chrono::steady_clock::time_point arrived;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  /// The value of the first header of this name, in any case; empty where there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::vector<Header> headers;
  std::string body;
};

/// What an endpoint tells the log and the metrics about a request, as far as it has come.
struct RequestFacts {
  std::string model;
  int promptTokens = 0;
  int cachedTokens = 0;
  int completionTokens = 0;
  double queueMs = 0;
  double firstTokenMs = 0;
  std::string finish;  ///< "stop", "length", "abort" …
};

/// The way back. Every function may be called from any thread, an engine's among them, and none waits: what
/// the other side is too slow to take is kept up to a limit, and beyond that the other side counts as gone.
/// Either reply() once, or begin(), write() any number of times and finish(). Where the last pointer goes
/// before that, the request ends with status 500, or its connection is cut.
class Responder {
 public:
  virtual ~Responder() = default;
  virtual void reply(HttpResponse response) = 0;
  /// A body that comes in pieces.
  virtual void begin(int status, std::vector<Header> headers) = 0;
  /// False: the other side is gone, and nothing more needs to be written.
  virtual bool write(std::string bytes) = 0;
  virtual void finish() = 0;
  /// Calls `gone` once, from any thread, if the other side goes before all is sent; at once if it has gone.
  virtual void onGone(std::function<void()> gone) = 0;
  /// The last word counts. Before reply() or finish().
  virtual void note(const RequestFacts& facts) = 0;
};

/// Takes a request and returns at once; the answer comes through `responder`, now or later.
using Handler = std::function<void(HttpRequest request, std::shared_ptr<Responder> responder)>;

/// What a caller must be allowed to do.
enum class Scope { kNone, kChat, kModels, kAdmin };

/// Under which name a handler is found. A path that ends in "*" stands for all that begin like it.
struct Route {
  std::string method;
  std::string path;
  Scope scope = Scope::kChat;
  Handler handler;
};

}  // namespace quern::app::serve
