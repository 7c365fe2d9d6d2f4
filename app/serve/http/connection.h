// One connection: reads requests, asks the site, writes answers, and gives up on the other side in time.
// Private to this room.
#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "app/serve/http/core.h"
#include "app/serve/http/exchange_state.h"
#include "app/serve/http/request_reader.h"

namespace quern::app::serve::http {

/// Everything but cut() runs on the socket's strand. A read is always under way, so that the other side's end
/// is seen while a handler works. One timer watches two deadlines: what the other side must send or an
/// endpoint must answer by, and what the other side must take by.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using TlsContext = boost::asio::ssl::context;

  /// `tls` may be null. `core` has let it enter(); it leaves at its end.
  Connection(std::shared_ptr<Core> core, Socket socket, std::shared_ptr<TlsContext> tls, std::string remote,
             bool isCapped);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Once, from any thread, when it is owned by a shared pointer.
  void open();
  /// Ends it soon, from any thread; a handler at work hears of it.
  void cut();

 private:
  using Clock = std::chrono::steady_clock;
  using ErrorCode = boost::system::error_code;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

  // connection.cpp: what comes in
  void start();
  void read();
  void onRead(const ErrorCode& error, std::size_t bytes);
  void advance();
  void awaitInput();
  bool onHead();
  void onComplete();
  bool isBodyWithinBudget();
  void refuse(int status, const std::string& code, const std::string& message);
  void watch();
  void onTimer();
  void onInputTimeout();

  // connection_output.cpp: what goes out
  std::shared_ptr<ExchangeState> startExchange(bool keepAlive);
  void respond(HttpResponse response, bool keepAlive);
  void sendContinue();
  void flush();
  void writeSome();
  void onWritten(const ErrorCode& error, std::size_t bytes);
  void endExchange(bool keepAlive);
  void releaseRequest();
  void linger();
  void end();

  enum class Phase { kHandshake, kIdle, kHead, kBody, kWorking, kLingering };

  // Above all else: what the rest refers to goes last.
  const std::shared_ptr<Core> core_;
  const std::shared_ptr<TlsContext> tlsContext_;
  Socket socket_;
  std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;
  boost::asio::steady_timer timer_;
  const std::string remote_;
  const bool isCapped_;

  RequestReader reader_;
  std::array<char, 8192> input_;
  Phase phase_ = Phase::kHandshake;
  std::unique_ptr<Admission> admission_;
  std::shared_ptr<ExchangeState> exchange_;
  std::string writing_;
  std::size_t written_ = 0;    ///< of writing_
  std::size_t heldBody_ = 0;   ///< counted in Core::bodyBytes
  std::size_t discarded_ = 0;  ///< came while there was no place for it
  Clock::time_point requestBegan_;
  Clock::time_point inputDeadline_ = kNever;
  Clock::time_point outputDeadline_ = kNever;
  Clock::time_point timerAt_ = kNever;
  bool isOpen_ = true;
  bool isReading_ = false;
  bool isWriting_ = false;
  bool writesExchange_ = false;  ///< writing_ came from exchange_
  bool hasInputEnded_ = false;
  bool isOverrun_ = false;  ///< pipelined bytes were lost: nothing can follow
};

}  // namespace quern::app::serve::http
