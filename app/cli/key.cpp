// quern key: who may use the server.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/serve/front/key_store.h"
#include "engine/base/text.h"

namespace quern::app {
namespace {

using serve::front::KeyFacts;
using serve::front::KeyRing;

constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;

struct Arguments {
  KeyFacts facts;
  std::string scopes = "chat";
  int expiresDays = 0;
  std::string idOrName;
  bool json = false;
};

std::string dateText(std::int64_t unixMs) {
  const std::time_t seconds = unixMs / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M", &local);
  return buffer;
}

const char* stateOf(const KeyFacts& facts, std::int64_t nowMs) {
  if (facts.revokedMs) return "revoked";
  return facts.expiresMs && *facts.expiresMs <= nowMs ? "expired" : "good";
}

nlohmann::ordered_json toJson(const KeyFacts& facts, std::int64_t nowMs) {
  nlohmann::ordered_json json = {{"id", facts.id},
                                 {"name", facts.name},
                                 {"state", stateOf(facts, nowMs)},
                                 {"scopes", serve::front::scopeText(facts)},
                                 {"requests_per_minute", facts.requestsPerMinute},
                                 {"tokens_per_minute", facts.tokensPerMinute},
                                 {"concurrent", facts.concurrent},
                                 {"created_ms", facts.createdMs}};
  if (facts.expiresMs) json["expires_ms"] = *facts.expiresMs;
  if (facts.revokedMs) json["revoked_ms"] = *facts.revokedMs;
  return json;
}

int add(Arguments arguments) {
  if (auto scoped = serve::front::setScopes(arguments.facts, arguments.scopes); !scoped) {
    (void)fail(scoped.error());
    return kWrongUse;
  }
  if (arguments.expiresDays > 0) {
    arguments.facts.expiresMs = serve::front::unixNowMs() + arguments.expiresDays * kDayMs;
  }
  const auto key = serve::front::addKey(serve::front::defaultKeyFile(), arguments.facts);
  if (!key) return fail(key.error());
  if (arguments.json) {
    printJson({{"name", arguments.facts.name}, {"key", *key}});
    return kOk;
  }
  std::puts(key->c_str());
  std::fprintf(
      stderr,
      "This is the only time that the key of \"%s\" is shown. A running server knows it after SIGHUP, "
      "or once it is started again.\n",
      arguments.facts.name.c_str());
  return kOk;
}

std::string limitText(std::int64_t limit) {
  return limit > 0 ? engine::base::grouped(static_cast<std::uint64_t>(limit)) : "-";
}

int list(const Arguments& arguments) {
  const auto ring = KeyRing::read(serve::front::defaultKeyFile());
  if (!ring) return fail(ring.error());
  const std::int64_t now = serve::front::unixNowMs();
  auto document = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows = {
      {"ID", "NAME", "STATE", "SCOPES", "REQUESTS/MIN", "TOKENS/MIN", "AT ONCE", "CREATED", "EXPIRES"}};
  for (const KeyFacts& facts : ring->all()) {
    document.push_back(toJson(facts, now));
    rows.push_back({facts.id, engine::base::printable(facts.name, 40), stateOf(facts, now),
                    serve::front::scopeText(facts), limitText(facts.requestsPerMinute),
                    limitText(facts.tokensPerMinute), limitText(facts.concurrent), dateText(facts.createdMs),
                    facts.expiresMs ? dateText(*facts.expiresMs) : "never"});
  }
  if (arguments.json) {
    printJson(document);
  } else if (document.empty()) {
    std::fputs("There are no API keys. \"quern key add NAME\" makes one.\n", stderr);
  } else {
    printTable(rows, {4, 5, 6});
  }
  return kOk;
}

int revoke(const Arguments& arguments) {
  const auto revoked = serve::front::revokeKey(serve::front::defaultKeyFile(), arguments.idOrName);
  if (!revoked) return fail(revoked.error());
  std::fprintf(stderr,
               "The key %s of \"%s\" is good no more. A running server takes it until it gets SIGHUP or is "
               "started again.\n",
               revoked->id.c_str(), engine::base::printable(revoked->name).c_str());
  return kOk;
}

}  // namespace

void addKeyCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("key", "API keys of the server");
  command->require_subcommand(1);

  CLI::App* adding = command->add_subcommand("add", "Make a key; it is shown once");
  KeyFacts& facts = arguments->facts;
  adding->add_option("NAME", facts.name, "Whose it is")->required();
  adding->add_option("--scope", arguments->scopes, "What it may: chat, models, admin, separated by commas")
      ->capture_default_str();
  adding->add_option("--requests-per-minute", facts.requestsPerMinute, "0: as many as it likes")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}));
  adding->add_option("--tokens-per-minute", facts.tokensPerMinute, "Of prompts and answers; 0: no limit")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}));
  adding->add_option("--concurrent", facts.concurrent, "Requests at once; 0: no limit")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{100'000}));
  adding->add_option("--expires", arguments->expiresDays, "Days until it is good no more; 0: never")
      ->check(CLI::Range(0, 36'500));
  adding->add_flag("--json", arguments->json, "As JSON");
  adding->callback([arguments, &action] { action = [arguments] { return add(*arguments); }; });

  CLI::App* listing = command->add_subcommand("list", "The keys, without what is secret of them");
  listing->add_flag("--json", arguments->json, "As JSON");
  listing->callback([arguments, &action] { action = [arguments] { return list(*arguments); }; });

  CLI::App* revoking = command->add_subcommand("revoke", "Make a key useless");
  revoking->add_option("KEY", arguments->idOrName, "Its name or its id")->required();
  revoking->callback([arguments, &action] { action = [arguments] { return revoke(*arguments); }; });
}

}  // namespace quern::app
