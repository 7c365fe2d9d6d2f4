// Any bytes as a connection's input, cut anywhere: the requests that are read are the same however the bytes
// arrive, and keep within the limits. The first two bytes choose the cuts.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "app/serve/http/request_reader.h"

namespace {

using namespace quern::app::serve;

std::string transcript(std::string_view bytes, std::size_t piece) {
  http::Limits limits;
  limits.headBytes = 1024;
  limits.bodyBytes = 2048;
  http::RequestReader reader(limits);
  std::string all;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    reader.feed(bytes.substr(at, piece));
    for (bool goesOn = true; goesOn;) {
      switch (reader.advance()) {
        case http::RequestReader::Event::kNeedMore:
          goesOn = false;
          break;
        case http::RequestReader::Event::kHead:
          break;
        case http::RequestReader::Event::kComplete: {
          const HttpRequest request = reader.take();
          if (request.body.size() > limits.bodyBytes || request.headers.size() > limits.headers)
            __builtin_trap();
          if (request.path.empty() || request.path.find('\0') != std::string::npos) __builtin_trap();
          all += request.method + " " + request.path + "?" + request.query + "\n";
          for (const Header& header : request.headers) all += header.name + ":" + header.value + "\n";
          all += request.body + "\n";
          break;
        }
        case http::RequestReader::Event::kRefused:
          if (reader.refusal().status < 400 || reader.refusal().message.empty()) __builtin_trap();
          return all + "refused";
      }
    }
  }
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3 || size > 16 * 1024) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t piece = 1 + (data[0] | data[1] << 8) % 512;
  if (transcript(bytes, bytes.size()) != transcript(bytes, piece)) __builtin_trap();
  return 0;
}
