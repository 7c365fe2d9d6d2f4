#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "app/serve/http/connection.h"

namespace quern::app::serve::http {
namespace {

/// What one write may hand over: the pace that Limits::writeTime asks of a reader.
constexpr std::size_t kWriteBytes = 64 * 1024;

}  // namespace

std::shared_ptr<ExchangeState> Connection::startExchange(bool keepAlive) {
  AnswerForm form;
  form.outgoingBytes = core_->limits.outgoingBytes;
  form.keepAlive = keepAlive && !core_->site->isDraining();
  // Where no head was understood there is no telling what it asked for.
  if (phase_ == Phase::kBody) {
    form.isHead = reader_.request().method == "HEAD";
    form.isHttp10 = reader_.isHttp10();
  }
  const auto executor = socket_.get_executor();
  // `core` keeps what `executor` points to for who wakes at the moment when the server ends.
  exchange_ = std::make_shared<ExchangeState>(form, [core = core_, executor, weak = weak_from_this()] {
    boost::asio::post(executor, [weak] {
      if (const auto self = weak.lock()) self->flush();
    });
  });
  ++core_->busy;
  phase_ = Phase::kWorking;
  inputDeadline_ = kNever;
  return exchange_;
}

void Connection::respond(HttpResponse response, bool keepAlive) {
  startExchange(keepAlive)->reply(std::move(response));
}

void Connection::sendContinue() {
  // An answer before this one may not be under way: the reader stands still until it is written.
  writing_ = "HTTP/1.1 100 Continue\r\n\r\n";
  written_ = 0;
  writesExchange_ = false;
  writeSome();
}

void Connection::flush() {
  if (!isOpen_ || !exchange_) return;
  // Not only when the write that is under way ends: it may be the one that the other side never takes.
  if (exchange_->isOverrun()) return end();
  if (isWriting_) return;
  auto taken = exchange_->take();
  if (taken.bytes.empty()) {
    if (taken.isFinished) endExchange(taken.keepAlive);
    return;
  }
  writing_ = std::move(taken.bytes);
  written_ = 0;
  writesExchange_ = true;
  writeSome();
}

void Connection::writeSome() {
  isWriting_ = true;
  outputDeadline_ = Clock::now() + core_->limits.writeTime;
  watch();
  const auto buffer =
      boost::asio::buffer(writing_.data() + written_, std::min(kWriteBytes, writing_.size() - written_));
  auto done = [self = shared_from_this()](ErrorCode error, std::size_t bytes) {
    self->onWritten(error, bytes);
  };
  if (tls_) {
    boost::asio::async_write(*tls_, buffer, std::move(done));
  } else {
    boost::asio::async_write(socket_, buffer, std::move(done));
  }
}

void Connection::onWritten(const ErrorCode& error, std::size_t bytes) {
  isWriting_ = false;
  outputDeadline_ = kNever;
  if (!isOpen_) return;
  if (error) return end();
  if (writesExchange_ && exchange_) exchange_->sent(bytes);
  written_ += bytes;
  if (written_ < writing_.size()) return writeSome();
  // A large answer's memory goes back at once.
  writing_ = {};
  flush();
}

void Connection::endExchange(bool keepAlive) {
  releaseRequest();
  if (!keepAlive || hasInputEnded_ || isOverrun_ || core_->site->isDraining()) return linger();
  phase_ = Phase::kIdle;
  inputDeadline_ = Clock::now() + core_->limits.idleTime;
  watch();
  advance();
  read();
}

void Connection::releaseRequest() {
  core_->bodyBytes -= std::exchange(heldBody_, 0);
  admission_.reset();
  if (const auto exchange = std::exchange(exchange_, nullptr)) {
    --core_->busy;
    exchange->markGone();
  }
}

void Connection::linger() {
  phase_ = Phase::kLingering;
  if (hasInputEnded_) return end();
  // Closing at once while bytes of the other side are on their way would reset the connection, and the answer
  // with it, before it was read.
  inputDeadline_ = Clock::now() + core_->limits.lingerTime;
  watch();
  if (tls_) {
    tls_->async_shutdown([self = shared_from_this()](ErrorCode) { self->end(); });
  } else {
    ErrorCode ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }
  read();
}

void Connection::end() {
  if (!isOpen_) return;
  isOpen_ = false;
  inputDeadline_ = kNever;
  outputDeadline_ = kNever;
  timer_.cancel();
  ErrorCode ignored;
  socket_.close(ignored);
  releaseRequest();
}

}  // namespace quern::app::serve::http
