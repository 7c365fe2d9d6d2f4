// A certificate and its key as what TLS connections are made from. Private to this room.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <filesystem>
#include <memory>

#include "engine/base/result.h"

namespace quern::app::serve::http {

/// TLS 1.2 or later, HTTP/1.1 by ALPN. `certificate` is a PEM file: the server's own first, then those
/// between it and its authority. Errors: kNotFound, kIo, kMalformed (also where key and certificate are no
/// pair).
engine::base::Result<std::shared_ptr<boost::asio::ssl::context>> makeTlsContext(
    const std::filesystem::path& certificate, const std::filesystem::path& key);

}  // namespace quern::app::serve::http
