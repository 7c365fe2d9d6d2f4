#include "app/serve/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <optional>
#include <utility>

#include "app/serve/http/chunked_body.h"
#include "app/serve/http/request_target.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace quern::app::serve::http {
namespace {

namespace beast = boost::beast;
using ErrorCode = beast::error_code;

/// Beast's parser for a head, its finds put into an HttpRequest. Bodies are read by this room.
class HeadParser final : public beast::http::basic_parser<true> {
 public:
  HttpRequest request;
  std::string target;
  int version = 11;

 private:
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target_, int version_,
                       ErrorCode& error) override {
    request.method.assign(method.data(), method.size());
    target.assign(target_.data(), target_.size());
    version = version_;
    error = {};
  }
  void on_response_impl(int, beast::string_view, int, ErrorCode& error) override {
    error = beast::http::error::bad_version;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value,
                     ErrorCode& error) override {
    request.headers.push_back(
        {std::string(name.data(), name.size()), std::string(value.data(), value.size())});
    error = {};
  }
  void on_header_impl(ErrorCode& error) override { error = {}; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, ErrorCode& error) override { error = {}; }
  std::size_t on_body_impl(beast::string_view, ErrorCode& error) override { return noBody(error); }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, ErrorCode& error) override { noBody(error); }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, ErrorCode& error) override {
    return noBody(error);
  }
  void on_finish_impl(ErrorCode& error) override { error = {}; }

  static std::size_t noBody(ErrorCode& error) {
    error = beast::http::error::unexpected_body;
    return 0;
  }
};

Refusal malformed(std::string message) { return {400, "malformed_request", std::move(message)}; }

/// What must hold of a head's bytes whoever reads them: lines end with CR LF and nothing else, no NUL, none
/// is folded, and no header's name ends with a blank.
std::optional<Refusal> checkHeadBytes(std::string_view head) {
  bool isFirst = true;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    for (const char c : line) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) {
        return malformed("The request's head holds a control character.");
      }
    }
    if (isFirst && std::count(line.begin(), line.end(), ' ') != 2) {
      return malformed("The first line is not a method, a target and a version.");
    }
    if (!isFirst && !line.empty()) {
      if (line.front() == ' ' || line.front() == '\t') {
        return malformed("A header is folded over several lines, which no longer is allowed.");
      }
      const std::size_t colon = line.find(':');
      if (colon == std::string_view::npos || colon == 0) {
        return malformed("A header has no name or no colon.");
      }
      if (line[colon - 1] == ' ' || line[colon - 1] == '\t') {
        return malformed("There is a blank between a header's name and its colon.");
      }
    }
    isFirst = false;
  }
  return std::nullopt;
}

/// Where the body ends must be beyond doubt before anything is read of it.
std::optional<Refusal> checkFraming(const HttpRequest& request, int version) {
  int lengths = 0;
  int encodings = 0;
  int hosts = 0;
  for (const Header& header : request.headers) {
    if (equalIgnoringCase(header.name, "Content-Length")) {
      ++lengths;
      if (header.value.empty() || header.value.size() > 19 ||
          header.value.find_first_not_of("0123456789") != std::string::npos) {
        return malformed("\"Content-Length\" is no number of bytes.");
      }
    } else if (equalIgnoringCase(header.name, "Transfer-Encoding")) {
      ++encodings;
      if (!equalIgnoringCase(header.value, "chunked")) {
        return Refusal{501, "unknown_transfer_encoding",
                       "The only \"Transfer-Encoding\" that this server knows is \"chunked\"."};
      }
    } else if (equalIgnoringCase(header.name, "Host")) {
      ++hosts;
    } else if (equalIgnoringCase(header.name, "Expect") && !equalIgnoringCase(header.value, "100-continue")) {
      return Refusal{417, "unknown_expectation", "\"Expect\" can only be \"100-continue\"."};
    }
  }
  if (lengths > 1) return malformed("\"Content-Length\" comes more than once.");
  if (encodings > 1) return malformed("\"Transfer-Encoding\" comes more than once.");
  if (lengths > 0 && encodings > 0) {
    return malformed("\"Content-Length\" and \"Transfer-Encoding\" contradict each other.");
  }
  if (encodings > 0 && version < 11) return malformed("HTTP/1.0 knows no \"Transfer-Encoding\".");
  if (hosts > 1) return malformed("\"Host\" comes more than once.");
  if (hosts == 0 && version >= 11) return malformed("\"Host\" is missing.");
  return std::nullopt;
}

Refusal bodyTooLarge(const Limits& limits) {
  return {413, "body_too_large",
          "The request's body is longer than " + engine::base::byteText(limits.bodyBytes) +
              ", which is the limit here."};
}

Refusal refusalOf(const ErrorCode& error) {
  if (error == beast::http::error::bad_version) {
    return {505, "unknown_http_version", "This server speaks HTTP/1.1 and HTTP/1.0."};
  }
  return malformed("The request is no well-formed HTTP (" + error.message() + ").");
}

}  // namespace

struct RequestReader::State {
  enum class Phase { kHead, kBody, kComplete, kRefused };

  explicit State(const Limits& given) : limits(given) {}

  Event refuse(Refusal why) {
    refused = std::move(why);
    phase = Phase::kRefused;
    kept.clear();
    read = 0;
    return Event::kRefused;
  }
  std::string_view rest() const { return std::string_view(kept).substr(read); }
  void consume(std::size_t bytes) {
    read += bytes;
    // Moved seldom, so that many small chunks cost no more than their bytes.
    if (read == kept.size()) {
      kept.clear();
      read = 0;
    } else if (read > 64 * 1024) {
      kept.erase(0, read);
      read = 0;
    }
  }

  Event head();
  std::optional<Refusal> parseHead(std::string_view bytes);
  Event body();

  Limits limits;
  std::string kept;
  std::size_t read = 0;          ///< of `kept`
  std::size_t scanned = 0;       ///< of rest(): holds no head's end
  bool isPastEmptyLine = false;  ///< that may come before a request
  Phase phase = Phase::kHead;
  HttpRequest request;
  std::optional<ChunkedBody> chunks;  ///< of a body that comes in chunks
  std::size_t bodyLeft = 0;           ///< of any other
  bool isHttp10 = false;
  bool keepAlive = false;
  bool expectsContinue = false;
  Refusal refused;
};

RequestReader::Event RequestReader::State::head() {
  // RFC 9112, section 2.2: an empty line before a request is forgiven, one.
  if (!isPastEmptyLine) {
    if (rest() == "\r") return Event::kNeedMore;
    if (rest().starts_with("\r\n")) consume(2);
    isPastEmptyLine = true;
  }
  const std::string_view bytes = rest();
  const std::size_t end = bytes.find("\r\n\r\n", scanned < 3 ? 0 : scanned - 3);
  const std::size_t size = end == std::string_view::npos ? bytes.size() : end + 4;
  if (size > limits.headBytes) {
    return refuse({431, "headers_too_large",
                   "The request's head is longer than " + engine::base::byteText(limits.headBytes) + "."});
  }
  // What cannot become HTTP is told so at once instead of after a timeout: TLS on a port without it, say.
  const auto isWrong = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\r' && c != '\n' && c != '\t';
  };
  if (std::any_of(bytes.begin() + static_cast<std::ptrdiff_t>(scanned),
                  bytes.begin() + static_cast<std::ptrdiff_t>(size), isWrong)) {
    return refuse(malformed("The request's head holds a control character."));
  }
  if (end == std::string_view::npos) {
    scanned = bytes.size();
    return Event::kNeedMore;
  }
  scanned = 0;
  if (auto refusal = parseHead(bytes.substr(0, size))) return refuse(std::move(*refusal));
  consume(size);
  phase = Phase::kBody;
  return Event::kHead;
}

std::optional<Refusal> RequestReader::State::parseHead(std::string_view bytes) {
  if (auto refusal = checkHeadBytes(bytes)) return refusal;
  HeadParser parser;
  parser.header_limit(static_cast<std::uint32_t>(limits.headBytes));
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  parser.eager(true);
  ErrorCode error;
  const std::size_t used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error == beast::http::error::need_more) error = {};  // of the body
  // Before Beast's own word, which is less clear about them.
  if (auto refusal = checkFraming(parser.request, parser.version); refusal && !parser.request.method.empty())
    return refusal;
  if (error) return refusalOf(error);
  if (!parser.is_header_done() || used != bytes.size()) {
    return malformed("The request's head does not end where its lines end.");
  }
  if (parser.request.headers.size() > limits.headers) {
    return Refusal{431, "headers_too_large",
                   "The request has more than " + std::to_string(limits.headers) + " headers."};
  }
  auto target = parseTarget(parser.target);
  if (!target) return malformed("The request's target is no path of this server.");
  if (!target->authority.empty() && !equalIgnoringCase(target->authority, parser.request.header("Host"))) {
    return malformed("The request's target and its \"Host\" name two servers.");
  }
  const auto length = parser.content_length();
  if (length && *length > limits.bodyBytes) return bodyTooLarge(limits);
  chunks.reset();
  if (parser.chunked()) chunks.emplace();
  bodyLeft = length ? static_cast<std::size_t>(*length) : 0;
  isHttp10 = parser.version < 11;
  keepAlive = parser.keep_alive();
  expectsContinue = !isHttp10 && !parser.request.header("Expect").empty() && (chunks || bodyLeft > 0);
  request = std::move(parser.request);
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  return std::nullopt;
}

RequestReader::Event RequestReader::State::body() {
  if (chunks) {
    std::string_view bytes = rest();
    const auto result = chunks->read(bytes, request.body, limits.bodyBytes);
    consume(rest().size() - bytes.size());
    if (result == ChunkedBody::Result::kNeedMore) return Event::kNeedMore;
    if (result == ChunkedBody::Result::kTooLong) return refuse(bodyTooLarge(limits));
    if (result == ChunkedBody::Result::kMalformed) {
      return refuse(malformed("The request's body is said to come in chunks, and does not."));
    }
  } else {
    const std::string_view bytes = rest().substr(0, bodyLeft);
    request.body += bytes;
    bodyLeft -= bytes.size();
    consume(bytes.size());
    if (bodyLeft > 0) return Event::kNeedMore;
  }
  phase = Phase::kComplete;
  return Event::kComplete;
}

RequestReader::RequestReader(const Limits& limits) : state_(std::make_unique<State>(limits)) {}
RequestReader::~RequestReader() = default;

void RequestReader::feed(std::string_view bytes) {
  if (state_->phase != State::Phase::kRefused) state_->kept += bytes;
}

RequestReader::Event RequestReader::advance() {
  switch (state_->phase) {
    case State::Phase::kHead:
      return state_->rest().empty() ? Event::kNeedMore : state_->head();
    case State::Phase::kBody:
      return state_->body();
    case State::Phase::kComplete:
      return Event::kComplete;
    case State::Phase::kRefused:
      return Event::kRefused;
  }
  return Event::kNeedMore;
}

HttpRequest& RequestReader::request() { return state_->request; }

HttpRequest RequestReader::take() {
  QUERN_CHECK(state_->phase == State::Phase::kComplete, "the request is not complete");
  HttpRequest request = std::exchange(state_->request, {});
  state_->phase = State::Phase::kHead;
  state_->scanned = 0;
  state_->isPastEmptyLine = false;
  return request;
}

const Refusal& RequestReader::refusal() const { return state_->refused; }
bool RequestReader::keepAlive() const { return state_->keepAlive; }
bool RequestReader::isHttp10() const { return state_->isHttp10; }
bool RequestReader::expectsContinue() const { return state_->expectsContinue; }
bool RequestReader::hasBegun() const {
  return state_->phase != State::Phase::kHead || !state_->rest().empty();
}
std::size_t RequestReader::keptBytes() const { return state_->rest().size(); }
std::size_t RequestReader::bodyBytes() const { return state_->request.body.size(); }

}  // namespace quern::app::serve::http
