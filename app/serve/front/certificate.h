// An authority for one LAN and a certificate of its for this machine, so that other machines can talk to it
// by TLS once they trust the authority, or know the certificate's fingerprint.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace quern::app::serve::front {

struct CertificateOptions {
  std::filesystem::path folder;    ///< where the files go
  std::vector<std::string> names;  ///< host names and addresses of the server; the first is its common name
  int days = 825;                  ///< what Apple's systems accept at most
};

struct CertificateFiles {
  std::filesystem::path authority;    ///< ca.pem: what other machines trust
  std::filesystem::path certificate;  ///< server.pem, for --tls-cert
  std::filesystem::path key;          ///< server.key, for --tls-key
  std::string authorityFingerprint;   ///< SHA-256, "AB:CD:…"
  std::string certificateFingerprint;
  bool isNewAuthority = false;
};

/// Takes the folder's authority (ca.pem, ca.key), or makes one for ten years, and makes a new key and
/// certificate for the server. ECDSA on P-256. Keys are for their owner alone (mode 0600). Errors:
/// kInvalidArgument, kIo, kMalformed.
engine::base::Result<CertificateFiles> makeCertificate(const CertificateOptions& options);

/// Of the first certificate in a PEM file. Errors: kIo, kMalformed.
engine::base::Result<std::string> certificateFingerprint(const std::filesystem::path& file);

/// Host name, its ".local" form, "localhost", and the addresses of this machine's interfaces.
std::vector<std::string> namesOfThisMachine();
/// Where certificates of this user are: configFolder()/tls.
std::filesystem::path defaultCertificateFolder();

}  // namespace quern::app::serve::front
