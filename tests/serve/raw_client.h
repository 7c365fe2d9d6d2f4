// A client that sends exactly the bytes it is told to, and never waits for ever.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace quern::test {

class RawClient {
 public:
  /// `receiveBytes`: of the socket's buffer, for readers that are slow on purpose; 0: the system's.
  explicit RawClient(std::uint16_t port, int receiveBytes = 0) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receiveBytes > 0) ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receiveBytes, sizeof receiveBytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    isConnected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)),
        isConnected_(other.isConnected_),
        received_(std::move(other.received_)) {}
  RawClient& operator=(RawClient&&) = delete;

  bool isConnected() const { return isConnected_; }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  /// Closes so that the other side gets a reset.
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }
  /// send() then returns when the other side has read all but what its own buffer takes.
  void keepLittleToSend() {
    const int bytes = 4096;
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  void endOutput() { ::shutdown(socket_, SHUT_WR); }

  /// False when the other side has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Reads until `text` has come; false at the other side's end, or when the time is over.
  bool waitFor(std::string_view text, std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (received_.find(text) == std::string::npos) {
      if (!receive(until)) return false;
    }
    return true;
  }
  /// Reads until the other side closes; false when it does not in time.
  bool waitForEnd(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (receive(until)) {
    }
    return hasEnded_;
  }

  /// One whole answer with "Content-Length", taken from what was received; empty when none comes.
  std::string answer(std::chrono::milliseconds limit = std::chrono::seconds(10)) {
    if (!waitFor("\r\n\r\n", limit)) return {};
    const std::size_t head = received_.find("\r\n\r\n") + 4;
    std::size_t body = 0;
    const std::size_t length = received_.find("Content-Length: ");
    if (length < head) body = std::strtoul(received_.c_str() + length + 16, nullptr, 10);
    const auto until = std::chrono::steady_clock::now() + limit;
    while (received_.size() < head + body) {
      if (!receive(until)) return {};
    }
    std::string whole = received_.substr(0, head + body);
    received_.erase(0, head + body);
    return whole;
  }
  const std::string& received() const { return received_; }

  static int statusOf(std::string_view answer) {
    if (!answer.starts_with("HTTP/1.1 ")) return 0;
    return std::atoi(std::string(answer.substr(9, 3)).c_str());
  }

 private:
  bool receive(std::chrono::steady_clock::time_point until) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd poll{socket_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&poll, 1, static_cast<int>(left.count())) <= 0) return false;
    char buffer[16384];
    const ssize_t got = ::recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) {
      hasEnded_ = true;
      return false;
    }
    received_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int socket_ = -1;
  bool isConnected_ = false;
  bool hasEnded_ = false;
  std::string received_;
};

}  // namespace quern::test
