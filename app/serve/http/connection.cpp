#include "app/serve/http/connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <string_view>
#include <utility>

#include "app/serve/http/error_response.h"

namespace quern::app::serve::http {

Connection::Connection(std::shared_ptr<Core> core, Socket socket, std::shared_ptr<TlsContext> tls,
                       std::string remote, bool isCapped)
    : core_(std::move(core)),
      tlsContext_(std::move(tls)),
      socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      remote_(std::move(remote)),
      isCapped_(isCapped),
      reader_(core_->limits),
      requestBegan_(Clock::now()) {
  if (tlsContext_) tls_ = std::make_unique<boost::asio::ssl::stream<Socket&>>(socket_, *tlsContext_);
}

Connection::~Connection() {
  releaseRequest();
  core_->forget(this);
  core_->leave(remote_, isCapped_);
}

void Connection::open() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->start(); });
}

void Connection::start() {
  if (!isOpen_) return;
  ErrorCode ignored;
  // Tokens are small and each is wanted at once.
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
  if (!tls_) {
    phase_ = Phase::kIdle;
    inputDeadline_ = Clock::now() + core_->limits.headTime;
    watch();
    read();
    return;
  }
  inputDeadline_ = Clock::now() + core_->limits.handshakeTime;
  watch();
  tls_->async_handshake(boost::asio::ssl::stream_base::server, [self = shared_from_this()](ErrorCode error) {
    if (!self->isOpen_) return;
    if (error) return self->end();
    self->phase_ = Phase::kIdle;
    self->inputDeadline_ = Clock::now() + self->core_->limits.headTime;
    self->watch();
    self->read();
  });
}

void Connection::cut() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->end(); });
}

void Connection::read() {
  if (!isOpen_ || isReading_ || hasInputEnded_) return;
  isReading_ = true;
  const auto buffer = boost::asio::buffer(input_);
  auto done = [self = shared_from_this()](ErrorCode error, std::size_t bytes) { self->onRead(error, bytes); };
  if (tls_) {
    tls_->async_read_some(buffer, std::move(done));
  } else {
    socket_.async_read_some(buffer, std::move(done));
  }
}

void Connection::onRead(const ErrorCode& error, std::size_t bytes) {
  isReading_ = false;
  if (!isOpen_) return;
  if (error) {
    hasInputEnded_ = true;
    // Who sends its end with the request (printf … | nc) still gets an answer that is ready. Anyone else who
    // ends while an answer is being made is gone.
    if (!exchange_ || !exchange_->isFinished()) end();
    return;
  }
  const std::string_view text(input_.data(), bytes);
  if (phase_ == Phase::kWorking && !isOverrun_ &&
      reader_.keptBytes() + bytes <= core_->limits.pipelinedBytes) {
    reader_.feed(text);
  } else if (phase_ == Phase::kWorking || phase_ == Phase::kLingering) {
    discarded_ += bytes;
    if (exchange_ && !isOverrun_) {
      isOverrun_ = true;
      exchange_->endConnection();
    }
    if (discarded_ > core_->limits.bodyBytes + core_->limits.headBytes) return end();
  } else {
    reader_.feed(text);
    advance();
  }
  read();
}

void Connection::advance() {
  while (isOpen_ && phase_ != Phase::kWorking && phase_ != Phase::kLingering) {
    const auto event = reader_.advance();
    if (!isBodyWithinBudget()) {
      core_->site->refused(remote_, reader_.request().path, 503, "too many bodies at once");
      return refuse(503, "overloaded", "Too many large requests are here already. Try again in a moment.");
    }
    switch (event) {
      case RequestReader::Event::kNeedMore:
        return awaitInput();
      case RequestReader::Event::kHead:
        if (!onHead()) return;
        break;
      case RequestReader::Event::kComplete:
        return onComplete();
      case RequestReader::Event::kRefused: {
        const Refusal& refusal = reader_.refusal();
        core_->site->refused(remote_, "", refusal.status, refusal.message);
        return refuse(refusal.status, refusal.code, refusal.message);
      }
    }
  }
}

void Connection::awaitInput() {
  if (phase_ == Phase::kIdle && reader_.hasBegun()) {
    phase_ = Phase::kHead;
    requestBegan_ = Clock::now();
    // The first request's time began with the connection.
    inputDeadline_ = std::min(inputDeadline_, requestBegan_ + core_->limits.headTime);
  }
  watch();
}

bool Connection::onHead() {
  if (phase_ == Phase::kIdle) requestBegan_ = Clock::now();
  phase_ = Phase::kBody;
  inputDeadline_ = Clock::now() + core_->limits.bodyTime;
  HttpRequest& request = reader_.request();
  request.remote = remote_;
  request.arrived = requestBegan_;
  auto verdict = core_->site->admit(request);
  if (auto* response = std::get_if<HttpResponse>(&verdict)) {
    const bool keepAlive = reader_.keepAlive();
    // A body that is here already costs nothing to skip; for one that is yet to come nobody waits.
    if (reader_.advance() == RequestReader::Event::kComplete) {
      auto exchange = startExchange(keepAlive);
      (void)reader_.take();
      exchange->reply(std::move(*response));
    } else {
      respond(std::move(*response), false);
    }
    return false;
  }
  admission_ = std::get<std::unique_ptr<Admission>>(std::move(verdict));
  if (reader_.expectsContinue()) sendContinue();
  return true;
}

void Connection::onComplete() {
  auto exchange = startExchange(reader_.keepAlive());
  HttpRequest request = reader_.take();
  inputDeadline_ = request.deadline ? *request.deadline + core_->limits.deadlineGrace : kNever;
  watch();
  try {
    core_->site->handle(std::move(request), std::move(admission_), makeResponder(exchange));
  } catch (const std::exception& error) {
    // The responder went with the stack, so that the other side has status 500 now.
    core_->site->refused(remote_, "", 500, error.what());
  }
}

bool Connection::isBodyWithinBudget() {
  const std::size_t now = reader_.bodyBytes();
  if (now <= heldBody_) return true;
  const std::size_t more = now - heldBody_;
  heldBody_ = now;
  return core_->bodyBytes.fetch_add(more) + more <= core_->limits.bodiesBytes;
}

void Connection::refuse(int status, const std::string& code, const std::string& message) {
  admission_.reset();
  respond(errorResponse(status, "", code, message), false);
}

void Connection::watch() {
  const Clock::time_point next = std::min(inputDeadline_, outputDeadline_);
  // A timer that fires too early looks again; moving it for every token would cost more.
  if (!isOpen_ || next >= timerAt_) return;
  timerAt_ = next;
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (!error) self->onTimer();
  });
}

void Connection::onTimer() {
  if (!isOpen_) return;
  timerAt_ = kNever;
  const Clock::time_point now = Clock::now();
  if (outputDeadline_ <= now) return end();
  if (inputDeadline_ <= now) {
    inputDeadline_ = kNever;
    onInputTimeout();
  }
  watch();
}

void Connection::onInputTimeout() {
  switch (phase_) {
    case Phase::kHandshake:
    case Phase::kIdle:
    case Phase::kLingering:
      return end();
    case Phase::kHead:
    case Phase::kBody:
      core_->site->refused(remote_, phase_ == Phase::kBody ? reader_.request().path : "", 408,
                           "the request did not come in time");
      return refuse(408, "request_timeout", "The request did not come in time.");
    case Phase::kWorking:
      exchange_->endConnection();
      exchange_->expire(errorResponse(504, "", "deadline_exceeded",
                                      "The answer was not ready before the request's deadline."));
      return;
  }
}

}  // namespace quern::app::serve::http
