#include "app/serve/front/certificate.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>

#include "engine/base/places.h"
#include "engine/base/private_file.h"
#include "engine/base/text.h"

namespace quern::app::serve::front {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;

template <auto kFree>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

constexpr int kAuthorityDays = 3650;
constexpr std::size_t kLongestPem = 1024 * 1024;

/// OpenSSL's own words, as the technical end of ours.
Error opensslError(std::string sentence) {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_get_error(), text.data(), text.size());
  ERR_clear_error();
  return {ErrorCode::kInternal, std::move(sentence), {text.data()}};
}

std::string quoted(const std::filesystem::path& path) {
  return "\"" + engine::base::printable(path.string(), 200) + "\"";
}

Result<std::string> readText(const std::filesystem::path& path) {
  QUERN_ASSIGN(const auto file, engine::base::PrivateFile::open(path));
  if (file.sizeBytes() > kLongestPem) return Error(ErrorCode::kMalformed, quoted(path) + " is no PEM file.");
  std::string text(static_cast<std::size_t>(file.sizeBytes()), '\0');
  QUERN_TRY(file.readAt(0, std::as_writable_bytes(std::span(text))));
  return text;
}

Result<void> writeBio(const std::filesystem::path& path, BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  QUERN_ASSIGN(auto file, engine::base::PrivateFile::create(path));
  QUERN_TRY(file.append(std::as_bytes(std::span(data, static_cast<std::size_t>(size)))));
  return file.publish(true);
}

Result<void> writeKey(const std::filesystem::path& path, EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return opensslError("The key cannot be written.");
  }
  return writeBio(path, bio.get());
}

Result<void> writeCertificates(const std::filesystem::path& path, std::initializer_list<X509*> chain) {
  const Bio bio(BIO_new(BIO_s_mem()));
  for (X509* certificate : chain) {
    if (PEM_write_bio_X509(bio.get(), certificate) != 1)
      return opensslError("The certificate cannot be written.");
  }
  return writeBio(path, bio.get());
}

Result<Certificate> readCertificate(const std::filesystem::path& path) {
  QUERN_ASSIGN(const std::string text, readText(path));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (certificate) return certificate;
  ERR_clear_error();
  return Error(ErrorCode::kMalformed, quoted(path) + " holds no certificate in PEM form.");
}

Result<Key> readKey(const std::filesystem::path& path) {
  QUERN_ASSIGN(const std::string text, readText(path));
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // A password is answered with none, instead of a question on the terminal.
  const auto noPassword = [](char*, int, int, void*) { return 0; };
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, noPassword, nullptr));
  if (key) return key;
  ERR_clear_error();
  return Error(ErrorCode::kMalformed, quoted(path) + " holds no unencrypted key in PEM form.");
}

Result<std::string> fingerprintOf(const X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) {
    return opensslError("The certificate's fingerprint cannot be computed.");
  }
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02X", digest.at(i));
    text += (i > 0 ? ":" : "") + std::string(digits);
  }
  return text;
}

bool addExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// Version 3, a random serial number, from an hour ago (clocks differ) until `days` from now.
Result<Certificate> blank(EVP_PKEY* key, const std::string& commonName, int days) {
  Certificate certificate(X509_new());
  std::array<unsigned char, 16> serial{};
  if (!certificate || RAND_bytes(serial.data(), serial.size()) != 1) {
    return opensslError("A certificate cannot be made.");
  }
  serial[0] &= 0x7f;  // positive
  const std::unique_ptr<BIGNUM, Freer<BN_free>> number(BN_bin2bn(serial.data(), serial.size(), nullptr));
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const bool isGood =
      X509_set_version(certificate.get(), X509_VERSION_3) == 1 && number &&
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr &&
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600) != nullptr &&
      X509_time_adj_ex(X509_getm_notAfter(certificate.get()), days, 0, nullptr) != nullptr &&
      X509_set_pubkey(certificate.get(), key) == 1 &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(commonName.c_str()), -1, -1, 0) == 1;
  if (!isGood)
    return opensslError("A certificate cannot be made for \"" + engine::base::printable(commonName) + "\".");
  return certificate;
}

Result<Certificate> makeAuthority(EVP_PKEY* key, const std::string& host) {
  // A common name has 64 characters at most (RFC 5280, ub-common-name).
  QUERN_ASSIGN(Certificate authority,
               blank(key, ("Quern LAN authority of " + host).substr(0, 64), kAuthorityDays));
  X509* raw = authority.get();
  const bool isGood = X509_set_issuer_name(raw, X509_get_subject_name(raw)) == 1 &&
                      addExtension(raw, raw, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                      addExtension(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                      addExtension(raw, raw, NID_subject_key_identifier, "hash") &&
                      X509_sign(raw, key, EVP_sha256()) > 0;
  if (!isGood) return opensslError("The authority's certificate cannot be made.");
  return authority;
}

bool isAddress(const std::string& name) {
  std::array<unsigned char, 16> bytes{};
  return ::inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

/// "DNS:…,IP:…". Errors: kInvalidArgument where a name is none: commas would begin another entry.
Result<std::string> alternativeNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    const bool isFit =
        !name.empty() && name.size() <= 253 &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:*") ==
            std::string::npos;
    const bool isIp = isAddress(name);
    if (!isFit || (!isIp && name.find(':') != std::string::npos)) {
      return Error(ErrorCode::kInvalidArgument,
                   "\"" + engine::base::printable(name) + "\" is no host name and no address.");
    }
    text += (text.empty() ? "" : ",") + std::string(isIp ? "IP:" : "DNS:") + name;
  }
  return text;
}

Result<Certificate> makeServer(EVP_PKEY* key, X509* authority, EVP_PKEY* authorityKey,
                               const CertificateOptions& options) {
  QUERN_ASSIGN(const std::string names, alternativeNames(options.names));
  QUERN_ASSIGN(Certificate server, blank(key, options.names.front().substr(0, 64), options.days));
  X509* raw = server.get();
  const bool isGood = X509_set_issuer_name(raw, X509_get_subject_name(authority)) == 1 &&
                      addExtension(raw, authority, NID_basic_constraints, "critical,CA:FALSE") &&
                      addExtension(raw, authority, NID_key_usage, "critical,digitalSignature") &&
                      addExtension(raw, authority, NID_ext_key_usage, "serverAuth") &&
                      addExtension(raw, authority, NID_subject_key_identifier, "hash") &&
                      addExtension(raw, authority, NID_authority_key_identifier, "keyid:always") &&
                      addExtension(raw, authority, NID_subject_alt_name, names) &&
                      X509_sign(raw, authorityKey, EVP_sha256()) > 0;
  if (!isGood) return opensslError("The server's certificate cannot be made.");
  return server;
}

Result<Key> makeKey() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return opensslError("A key cannot be made.");
  return key;
}

}  // namespace

Result<CertificateFiles> makeCertificate(const CertificateOptions& options) {
  if (options.names.empty() || options.days < 1 || options.days > kAuthorityDays) {
    return Error(ErrorCode::kInvalidArgument, "A certificate needs a name and is good for 1 to " +
                                                  std::to_string(kAuthorityDays) + " days.");
  }
  QUERN_TRY(alternativeNames(options.names));
  QUERN_TRY(engine::base::makePrivateFolder(options.folder));
  CertificateFiles files;
  files.authority = options.folder / "ca.pem";
  files.certificate = options.folder / "server.pem";
  files.key = options.folder / "server.key";
  const auto authorityKeyFile = options.folder / "ca.key";
  Key authorityKey;
  Certificate authority;
  std::error_code ignored;
  files.isNewAuthority = !std::filesystem::exists(files.authority, ignored);
  if (files.isNewAuthority) {
    QUERN_ASSIGN(authorityKey, makeKey());
    QUERN_ASSIGN(authority, makeAuthority(authorityKey.get(), options.names.front()));
    QUERN_TRY(writeKey(authorityKeyFile, authorityKey.get()));
    QUERN_TRY(writeCertificates(files.authority, {authority.get()}));
  } else {
    QUERN_ASSIGN(authorityKey, readKey(authorityKeyFile));
    QUERN_ASSIGN(authority, readCertificate(files.authority));
    if (X509_check_private_key(authority.get(), authorityKey.get()) != 1) {
      ERR_clear_error();
      return Error(ErrorCode::kMalformed, quoted(authorityKeyFile) + " is not the key of " +
                                              quoted(files.authority) +
                                              ". Move both away to make a new authority.");
    }
  }
  QUERN_ASSIGN(const Key key, makeKey());
  QUERN_ASSIGN(const Certificate server, makeServer(key.get(), authority.get(), authorityKey.get(), options));
  QUERN_TRY(writeKey(files.key, key.get()));
  QUERN_TRY(writeCertificates(files.certificate, {server.get(), authority.get()}));
  QUERN_ASSIGN(files.authorityFingerprint, fingerprintOf(authority.get()));
  QUERN_ASSIGN(files.certificateFingerprint, fingerprintOf(server.get()));
  return files;
}

Result<std::string> certificateFingerprint(const std::filesystem::path& file) {
  QUERN_ASSIGN(const Certificate certificate, readCertificate(file));
  return fingerprintOf(certificate.get());
}

std::vector<std::string> namesOfThisMachine() {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) == 0) {
    const std::string name = host.data();
    add(name);
    if (!name.empty()) add(name.substr(0, name.find('.')) + ".local");
  }
  add("localhost");
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return names;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || (each->ifa_flags & IFF_UP) == 0) continue;
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (each->ifa_addr->sa_family == AF_INET) {
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(each->ifa_addr)->sin_addr, text.data(),
                  text.size());
    } else if (each->ifa_addr->sa_family == AF_INET6) {
      const auto& address = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr)->sin6_addr;
      // Link-local addresses need a zone, which certificates cannot say.
      if (!IN6_IS_ADDR_LINKLOCAL(&address)) ::inet_ntop(AF_INET6, &address, text.data(), text.size());
    }
    add(text.data());
  }
  ::freeifaddrs(all);
  return names;
}

std::filesystem::path defaultCertificateFolder() { return engine::base::configFolder() / "tls"; }

}  // namespace quern::app::serve::front
