// A body that comes in chunks (RFC 9112, section 7.1), read strictly. Boost.Beast's parser lets a chunk's
// extension run over line ends inside quotes, so that it and a proxy in front could see different chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace quern::app::serve::http {

/// One body's chunks, as their bytes come. Extensions and trailers are read over. Not for several threads.
class ChunkedBody {
 public:
  enum class Result {
    kNeedMore,  ///< all bytes that could be read have been
    kDone,      ///< the last chunk and its trailers have been read
    kTooLong,   ///< the body would be longer than the limit
    kMalformed  ///< these are no chunks
  };

  /// Reads from the front of `bytes`, which then starts behind what was read, and appends to `body`, which
  /// gets no longer than `limit` bytes. Bytes of a line that has not ended stay in `bytes`: give them again.
  Result read(std::string_view& bytes, std::string& body, std::size_t limit);

 private:
  enum class Phase { kSize, kData, kDataEnd, kTrailers, kDone };

  Result readSize(std::string_view line, const std::string& body, std::size_t limit);

  Phase phase_ = Phase::kSize;
  std::size_t left_ = 0;      ///< of the chunk
  std::size_t trailers_ = 0;  ///< bytes
};

}  // namespace quern::app::serve::http
