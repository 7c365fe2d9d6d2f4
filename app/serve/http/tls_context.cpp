#include "app/serve/http/tls_context.h"

#include <openssl/ssl.h>

#include <string>
#include <system_error>

#include "engine/base/text.h"

namespace quern::app::serve::http {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;

std::string quoted(const std::filesystem::path& path) {
  return "\"" + engine::base::printable(path.string(), 200) + "\"";
}

/// Of what the client offers we take HTTP/1.1 and nothing else; a client that offers none gets it as well.
int chooseProtocol(SSL*, const unsigned char** chosen, unsigned char* length, const unsigned char* offered,
                   unsigned int offeredLength, void*) {
  static constexpr unsigned char kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, length, kHttp11, sizeof kHttp11, offered, offeredLength) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

engine::base::Result<std::shared_ptr<boost::asio::ssl::context>> makeTlsContext(
    const std::filesystem::path& certificate, const std::filesystem::path& key) {
  namespace ssl = boost::asio::ssl;
  for (const auto& path : {certificate, key}) {
    std::error_code failed;
    if (!std::filesystem::is_regular_file(path, failed)) {
      return Error(ErrorCode::kNotFound,
                   quoted(path) + " is no file. \"quern cert\" makes a certificate and its key.");
    }
  }
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  boost::system::error_code failed;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_compression, failed);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  if (SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1) {
    return Error(ErrorCode::kUnsupported, "This machine's OpenSSL knows no TLS 1.2.");
  }
  SSL_CTX_set_alpn_select_cb(native, chooseProtocol, nullptr);
  // A key with a password would ask for it on a terminal that a server does not have.
  context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); },
                                 failed);
  context->use_certificate_chain_file(certificate.string(), failed);
  if (failed) {
    return Error(ErrorCode::kMalformed, quoted(certificate) + " holds no certificate in PEM form.",
                 {failed.message()});
  }
  context->use_private_key_file(key.string(), ssl::context::pem, failed);
  if (failed) {
    return Error(ErrorCode::kMalformed,
                 quoted(key) + " is not the key of the certificate " + quoted(certificate) +
                     ", or it is no unencrypted PEM file.",
                 {failed.message()});
  }
  if (SSL_CTX_check_private_key(native) != 1) {
    return Error(ErrorCode::kMalformed,
                 quoted(key) + " is not the key of the certificate " + quoted(certificate) + ".");
  }
  return context;
}

}  // namespace quern::app::serve::http
