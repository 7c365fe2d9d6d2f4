// quern cert: an authority for the LAN and a certificate for this machine.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/serve/front/certificate.h"

namespace quern::app {
namespace {

struct Arguments {
  serve::front::CertificateOptions options;
  std::string folder;
  bool json = false;
};

int cert(const Arguments& arguments) {
  auto options = arguments.options;
  options.folder = arguments.folder.empty() ? serve::front::defaultCertificateFolder()
                                            : std::filesystem::path(arguments.folder);
  const bool isNamed = !options.names.empty();
  if (!isNamed) options.names = serve::front::namesOfThisMachine();
  const auto files = serve::front::makeCertificate(options);
  if (!files) return fail(files.error());
  if (arguments.json) {
    printJson({{"certificate", files->certificate.string()},
               {"key", files->key.string()},
               {"authority", files->authority.string()},
               {"names", options.names},
               {"sha256", files->certificateFingerprint},
               {"authority_sha256", files->authorityFingerprint}});
    return kOk;
  }
  std::string names;
  for (const std::string& name : options.names) names += (names.empty() ? "" : ", ") + name;
  std::printf("certificate  %s\nkey          %s\nnames        %s\nSHA-256      %s\n\n",
              files->certificate.c_str(), files->key.c_str(), names.c_str(),
              files->certificateFingerprint.c_str());
  std::printf("authority    %s%s\nSHA-256      %s\n", files->authority.c_str(),
              files->isNewAuthority ? " (new)" : "", files->authorityFingerprint.c_str());
  std::fprintf(
      stderr,
      "Start the server with --tls-cert and --tls-key. Give other machines the authority's file to trust "
      "(curl --cacert), or let them compare the certificate's SHA-256.\n");
  return kOk;
}

}  // namespace

void addCertCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("cert", "Make a certificate, so that others reach the server by TLS");
  command->add_option("--name", arguments->options.names,
                      "A host name or an address of this machine; may be given again (default: all it has)");
  command->add_option("--days", arguments->options.days, "How long it is good")
      ->check(CLI::Range(1, 3650))
      ->capture_default_str();
  command->add_option("--folder", arguments->folder,
                      "Where the files go (default: the configuration's tls folder)");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, &action] { action = [arguments] { return cert(*arguments); }; });
}

}  // namespace quern::app
