// Files that are a part of the program; written by packaging/cmake/QuernEmbed.cmake.
#pragma once

#include <cstddef>
#include <string_view>

namespace quern::app::serve {

struct EmbeddedFile {
  std::string_view name;  ///< "style.css"
  std::string_view hash;  ///< of its bytes
  std::string_view text;
};

/// The web page: resources/web.
extern const EmbeddedFile kWebFiles[];
extern const std::size_t kWebFilesCount;

}  // namespace quern::app::serve
