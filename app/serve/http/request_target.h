// What a request line asks for, taken apart and proven.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quern::app::serve::http {

struct RequestTarget {
  std::string path;       ///< percent-decoded; "*" for a request of the server as a whole
  std::string query;      ///< as it came, without the "?"
  std::string authority;  ///< of a target in absolute form ("http://host:port/…"), otherwise empty
};

/// RFC 9112, section 3.2: origin form, absolute form and "*". Nothing where it is neither, where a percent
/// sign is not followed by two digits, or where the decoded path holds control characters, bytes that are not
/// UTF-8, a backslash, or a segment "." or "..": no resource here has such a name, and who asks for one hopes
/// that two programs read it in two ways.
std::optional<RequestTarget> parseTarget(std::string_view target);

/// "Bearer" equals "bearer"; ASCII only.
bool equalIgnoringCase(std::string_view a, std::string_view b);
/// Without blanks and tabs at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace quern::app::serve::http
