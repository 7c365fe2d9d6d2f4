#include "app/serve/http/response_head.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "app/serve/http/error_response.h"
#include "app/serve/http/request_target.h"

namespace quern::app::serve::http {
namespace {

/// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale.
std::string dateText() {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT",
                kDays.at(static_cast<std::size_t>(utc.tm_wday)), utc.tm_mday,
                kMonths.at(static_cast<std::size_t>(utc.tm_mon)), utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
                utc.tm_sec);
  return text;
}

bool isOurAffair(std::string_view name) {
  static constexpr std::array kNames = {"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive",
                                        "Date"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](const char* ours) { return equalIgnoringCase(name, ours); });
}

void appendPlain(std::string& to, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    to += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
}

}  // namespace

std::string responseHead(int status, const std::vector<Header>& headers, BodyFraming framing,
                         std::uint64_t bodyBytes, bool keepAlive) {
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head += statusName(status);
  head += "\r\nDate: " + dateText() + "\r\n";
  for (const Header& header : headers) {
    if (isOurAffair(header.name)) continue;
    appendPlain(head, header.name);
    head += ": ";
    appendPlain(head, header.value);
    head += "\r\n";
  }
  if (framing == BodyFraming::kLength) head += "Content-Length: " + std::to_string(bodyBytes) + "\r\n";
  if (framing == BodyFraming::kChunked) head += "Transfer-Encoding: chunked\r\n";
  head += keepAlive && framing != BodyFraming::kClose ? "Connection: keep-alive\r\n\r\n"
                                                      : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace quern::app::serve::http
