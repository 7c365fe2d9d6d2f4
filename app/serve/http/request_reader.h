// Bytes of a connection in, whole requests out, or the reason why not. Knows no sockets, so that it can be
// tested and fuzzed without any. Boost.Beast parses heads; what it is lenient about, and what two programs in
// a row could read in two ways (request smuggling), is refused here.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "app/serve/exchange.h"
#include "app/serve/http/limits.h"

namespace quern::app::serve::http {

/// Why a request is refused. The connection ends after it: where the next request would begin is unknown.
struct Refusal {
  int status = 400;
  std::string code;     ///< "malformed_request"
  std::string message;  ///< a sentence
};

/// One connection's requests, one after the other. Not for several threads.
class RequestReader {
 public:
  enum class Event {
    kNeedMore,  ///< feed() more
    kHead,      ///< request() has everything but the body: the moment to refuse; comes once a request
    kComplete,  ///< request() is whole; take() it before anything else
    kRefused    ///< see refusal(); nothing more comes
  };

  explicit RequestReader(const Limits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// Keeps bytes; nothing is read from them before advance().
  void feed(std::string_view bytes);
  /// Goes on until something is to be told.
  Event advance();

  /// From kHead on: method, path, query and headers, at kComplete the body, too.
  HttpRequest& request();
  /// The whole request; the reader goes on with the next one.
  HttpRequest take();
  /// Where advance() said so.
  const Refusal& refusal() const;

  bool keepAlive() const;         ///< of the request whose head was told last: the client wants to go on
  bool isHttp10() const;          ///< likewise: knows no bodies in pieces
  bool expectsContinue() const;   ///< likewise: waits for "100 Continue" before it sends its body
  bool hasBegun() const;          ///< bytes of a request that is not complete are here
  std::size_t keptBytes() const;  ///< fed and not yet read
  std::size_t bodyBytes() const;  ///< of the request that is being read

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quern::app::serve::http
