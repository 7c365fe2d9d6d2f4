#include "app/serve/front/key_store.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "app/serve/http/request_target.h"
#include "engine/base/places.h"
#include "engine/base/private_file.h"
#include "engine/base/text.h"

namespace quern::app::serve::front {
namespace {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::base::Result;
using Json = nlohmann::ordered_json;

constexpr std::size_t kIdBytes = 6;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kLongestFile = 16UL * 1024 * 1024;
constexpr std::size_t kLongestName = 80;
/// What base64 without padding makes of kSecretBytes.
constexpr std::size_t kSecretCharacters = 43;

std::string quoted(const std::filesystem::path& path) {
  return "\"" + engine::base::printable(path.string(), 200) + "\"";
}

void needSodium() { QUERN_CHECK(sodium_init() >= 0, "libsodium finds no random numbers on this machine"); }

std::array<unsigned char, 32> hashOf(std::string_view key) {
  // 256 random bits need no salt and no slow hash: there is nothing to guess from.
  std::array<unsigned char, 32> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                     nullptr, 0);
  return hash;
}

std::string hex(std::span<const unsigned char> bytes) {
  std::string text(bytes.size() * 2 + 1, '\0');
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  text.pop_back();
  return text;
}

Json toJson(const KeyFacts& facts, std::span<const unsigned char> hash) {
  Json json = {{"id", facts.id},
               {"name", facts.name},
               {"hash", hex(hash)},
               {"scopes", scopeText(facts)},
               {"requests_per_minute", facts.requestsPerMinute},
               {"tokens_per_minute", facts.tokensPerMinute},
               {"concurrent", facts.concurrent},
               {"created_ms", facts.createdMs}};
  if (facts.expiresMs) json["expires_ms"] = *facts.expiresMs;
  if (facts.revokedMs) json["revoked_ms"] = *facts.revokedMs;
  return json;
}

/// Throws where a member is missing or of another type.
KeyFacts factsFrom(const Json& json) {
  KeyFacts facts;
  facts.id = json.at("id").get<std::string>();
  facts.name = json.at("name").get<std::string>();
  facts.requestsPerMinute = std::max<std::int64_t>(0, json.at("requests_per_minute").get<std::int64_t>());
  facts.tokensPerMinute = std::max<std::int64_t>(0, json.at("tokens_per_minute").get<std::int64_t>());
  facts.concurrent = std::max<std::int64_t>(0, json.at("concurrent").get<std::int64_t>());
  facts.createdMs = json.at("created_ms").get<std::int64_t>();
  if (json.contains("expires_ms")) facts.expiresMs = json.at("expires_ms").get<std::int64_t>();
  if (json.contains("revoked_ms")) facts.revokedMs = json.at("revoked_ms").get<std::int64_t>();
  if (!setScopes(facts, json.at("scopes").get<std::string>())) facts.mayChat = false;
  return facts;
}

/// Held while the file is read, changed and written, so that two commands lose no key.
class FileLock {
 public:
  static Result<FileLock> take(const std::filesystem::path& file) {
    std::filesystem::path path = file;
    path += ".lock";
    FileLock lock;
    lock.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock.descriptor_ < 0 || ::flock(lock.descriptor_, LOCK_EX) != 0) {
      return Error(ErrorCode::kIo, quoted(path) + " cannot be locked.");
    }
    return lock;
  }
  FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  FileLock() = default;
  int descriptor_ = -1;
};

Result<void> writeFile(const std::filesystem::path& file, const Json& document) {
  const std::string text = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  QUERN_ASSIGN(auto out, engine::base::PrivateFile::create(file));
  QUERN_TRY(out.append(std::as_bytes(std::span(text))));
  return out.publish(true);
}

bool isGoodName(const std::string& name) {
  return !name.empty() && name.size() <= kLongestName && engine::base::printable(name, kLongestName) == name;
}

}  // namespace

bool KeyFacts::may(Scope scope) const {
  switch (scope) {
    case Scope::kNone:
      return true;
    case Scope::kChat:
      return mayChat || mayAdminister;
    case Scope::kModels:
      return mayManageModels || mayAdminister;
    case Scope::kAdmin:
      return mayAdminister;
  }
  return false;
}

Result<void> setScopes(KeyFacts& facts, std::string_view scopes) {
  facts.mayChat = facts.mayManageModels = facts.mayAdminister = false;
  while (!scopes.empty()) {
    const std::size_t end = std::min(scopes.find(','), scopes.size());
    const std::string_view scope = http::trimmed(scopes.substr(0, end));
    scopes.remove_prefix(std::min(end + 1, scopes.size()));
    if (scope == "chat") {
      facts.mayChat = true;
    } else if (scope == "models") {
      facts.mayManageModels = true;
    } else if (scope == "admin") {
      facts.mayAdminister = true;
    } else {
      return Error(ErrorCode::kInvalidArgument, "\"" + engine::base::printable(scope) +
                                                    "\" is no scope. There are chat, models and admin.");
    }
  }
  if (facts.mayChat || facts.mayManageModels || facts.mayAdminister) return engine::base::ok();
  return Error(ErrorCode::kInvalidArgument, "A key needs a scope: chat, models or admin.");
}

std::string scopeText(const KeyFacts& facts) {
  std::string text;
  const auto add = [&](bool has, const char* name) {
    if (has) text += (text.empty() ? "" : ",") + std::string(name);
  };
  add(facts.mayChat, "chat");
  add(facts.mayManageModels, "models");
  add(facts.mayAdminister, "admin");
  return text;
}

/// What adding and revoking share: the file as JSON and what stands in it.
class KeyFile {
 public:
  static Result<KeyFile> read(const std::filesystem::path& file) {
    KeyFile all;
    auto opened = engine::base::PrivateFile::open(file);
    if (!opened && opened.error().code() == ErrorCode::kNotFound) return all;
    if (!opened) return std::move(opened).error();
    struct stat facts {};
    if (::stat(file.c_str(), &facts) != 0 || (facts.st_mode & 077) != 0) {
      return Error(ErrorCode::kInvalidArgument, "Others than you may read the API keys in " + quoted(file) +
                                                    ". Take that right away with \"chmod 600\".");
    }
    if (opened->sizeBytes() > kLongestFile) {
      return Error(ErrorCode::kMalformed, quoted(file) + " is too long for a list of API keys.");
    }
    std::string text(static_cast<std::size_t>(opened->sizeBytes()), '\0');
    QUERN_TRY(opened->readAt(0, std::as_writable_bytes(std::span(text))));
    try {
      all.parse(Json::parse(text));
    } catch (const nlohmann::json::exception& error) {
      return Error(
          ErrorCode::kMalformed,
          quoted(file) + " is no list of API keys. Move it away and make new ones with \"quern key add\".",
          {error.what()});
    }
    return all;
  }

  Result<void> write(const std::filesystem::path& file) const {
    Json keys = Json::array();
    for (std::size_t i = 0; i < ring.facts_.size(); ++i)
      keys.push_back(toJson(ring.facts_[i], ring.hashes_[i]));
    return writeFile(file, {{"version", 1}, {"keys", std::move(keys)}});
  }
  void add(KeyFacts facts, const KeyRing::Hash& hash) {
    ring.byId_[facts.id] = ring.facts_.size();
    ring.facts_.push_back(std::move(facts));
    ring.hashes_.push_back(hash);
  }
  KeyFacts* find(const std::string& idOrName) {
    KeyFacts* found = nullptr;
    for (KeyFacts& facts : ring.facts_) {
      if (facts.id == idOrName) return &facts;
      if (facts.name == idOrName && !facts.revokedMs) found = &facts;
    }
    return found;
  }

  KeyRing ring;

 private:
  void parse(const Json& document) {
    for (const Json& entry : document.at("keys")) {
      KeyRing::Hash hash{};
      const auto text = entry.at("hash").get<std::string>();
      std::size_t size = 0;
      const bool isHash =
          sodium_hex2bin(hash.data(), hash.size(), text.c_str(), text.size(), nullptr, &size, nullptr) == 0 &&
          size == hash.size() && text.size() == 2 * hash.size();
      // One line that somebody spoilt must not lock out everybody else.
      if (isHash) add(factsFrom(entry), hash);
    }
  }
};

Result<KeyRing> KeyRing::read(const std::filesystem::path& file) {
  needSodium();
  QUERN_ASSIGN(KeyFile all, KeyFile::read(file));
  return std::move(all.ring);
}

KeyRing::Finding KeyRing::find(std::string_view key, std::int64_t nowMs) const {
  static constexpr std::size_t kLength = kKeyPrefix.size() + 2 * kIdBytes + 1 + kSecretCharacters;
  if (key.size() != kLength || !key.starts_with(kKeyPrefix)) return {};
  const auto found = byId_.find(std::string(key.substr(kKeyPrefix.size(), 2 * kIdBytes)));
  if (found == byId_.end()) return {};
  const Hash given = hashOf(key);
  if (sodium_memcmp(given.data(), hashes_[found->second].data(), given.size()) != 0) return {};
  const KeyFacts& facts = facts_[found->second];
  if (facts.revokedMs) return {Verdict::kRevoked, &facts};
  if (facts.expiresMs && *facts.expiresMs <= nowMs) return {Verdict::kExpired, &facts};
  return {Verdict::kGood, &facts};
}

bool KeyRing::hasGoodKey(std::int64_t nowMs) const {
  return std::any_of(facts_.begin(), facts_.end(), [&](const KeyFacts& facts) {
    return !facts.revokedMs && (!facts.expiresMs || *facts.expiresMs > nowMs);
  });
}

Result<std::string> addKey(const std::filesystem::path& file, KeyFacts facts) {
  needSodium();
  if (!isGoodName(facts.name)) {
    return Error(ErrorCode::kInvalidArgument,
                 "A key's name has 1 to " + std::to_string(kLongestName) + " printable characters.");
  }
  QUERN_TRY(engine::base::makePrivateFolder(file.parent_path()));
  QUERN_ASSIGN(const auto lock, FileLock::take(file));
  QUERN_ASSIGN(KeyFile all, KeyFile::read(file));
  if (all.find(facts.name) != nullptr) {
    return Error(ErrorCode::kInvalidArgument,
                 "There is a key \"" + facts.name +
                     "\" already. Revoke it first with \"quern key revoke\", or choose another name.");
  }
  std::array<unsigned char, kIdBytes> id{};
  do {
    randombytes_buf(id.data(), id.size());
    facts.id = hex(id);
  } while (all.find(facts.id) != nullptr);
  std::array<unsigned char, kSecretBytes> secret{};
  randombytes_buf(secret.data(), secret.size());
  char text[kSecretCharacters + 1];
  sodium_bin2base64(text, sizeof text, secret.data(), secret.size(),
                    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  facts.createdMs = unixNowMs();
  std::string key = std::string(kKeyPrefix) + facts.id + "-" + text;
  all.add(std::move(facts), hashOf(key));
  QUERN_TRY(all.write(file));
  return key;
}

Result<KeyFacts> revokeKey(const std::filesystem::path& file, const std::string& idOrName) {
  needSodium();
  QUERN_TRY(engine::base::makePrivateFolder(file.parent_path()));
  QUERN_ASSIGN(const auto lock, FileLock::take(file));
  QUERN_ASSIGN(KeyFile all, KeyFile::read(file));
  KeyFacts* found = all.find(idOrName);
  if (found == nullptr) {
    return Error(ErrorCode::kNotFound, "There is no key \"" + engine::base::printable(idOrName) +
                                           "\". \"quern key list\" shows those that there are.");
  }
  if (!found->revokedMs) found->revokedMs = unixNowMs();
  KeyFacts revoked = *found;
  QUERN_TRY(all.write(file));
  return revoked;
}

std::filesystem::path defaultKeyFile() { return engine::base::configFolder() / "keys.json"; }

std::int64_t unixNowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace quern::app::serve::front
