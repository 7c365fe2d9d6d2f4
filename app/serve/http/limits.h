// What one connection, one address and all of them together may take of the server. Every wait has an end.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace quern::app::serve::http {

struct Limits {
  std::size_t headBytes = 16 * 1024;              ///< request line and headers; more is 431
  std::size_t headers = 100;                      ///< more is 431
  std::size_t bodyBytes = 16 * 1024 * 1024;       ///< of one request; more is 413
  std::size_t bodiesBytes = 256UL * 1024 * 1024;  ///< of all requests together; more is 503
  /// Requests that a client sends before it has its answer are kept up to this size and answered in turn;
  /// beyond it the connection ends after the answer that is being made.
  std::size_t pipelinedBytes = 32 * 1024;
  /// Of a body in pieces that the other side has not taken yet: a slow reader is cut beyond it.
  std::size_t outgoingBytes = 1024 * 1024;

  int connections = 4096;
  int connectionsOfAddress = 256;
  bool loopbackIsCapped = false;  ///< programs of this machine, proxies among them, share one address

  std::chrono::milliseconds handshakeTime{10'000};
  std::chrono::milliseconds headTime{10'000};  ///< from its first byte (or the connection's start) to its end
  std::chrono::milliseconds bodyTime{60'000};  ///< from the head's end to the body's
  std::chrono::milliseconds idleTime{75'000};  ///< between two requests
  std::chrono::milliseconds writeTime{30'000};  ///< for 64 KiB to be taken by the other side
  std::chrono::milliseconds lingerTime{2'000};  ///< for the other side to read the last answer
  /// An endpoint that has not answered so long after a request's deadline is answered for (504).
  std::chrono::milliseconds deadlineGrace{5'000};
};

}  // namespace quern::app::serve::http
