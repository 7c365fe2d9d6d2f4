// API keys: who may ask, for what, and how much. A key is shown once, when it is made; kept is its hash.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/serve/exchange.h"
#include "engine/base/result.h"

namespace quern::app::serve::front {

struct KeyFacts {
  std::string id;    ///< 12 hexadecimal digits, part of the key and no secret
  std::string name;  ///< whose it is; unique among those that are not revoked
  bool mayChat = true;
  bool mayManageModels = false;
  bool mayAdminister = false;          ///< includes the others
  std::int64_t requestsPerMinute = 0;  ///< 0: no limit, as for the next two
  std::int64_t tokensPerMinute = 0;
  std::int64_t concurrent = 0;
  std::int64_t createdMs = 0;             ///< Unix time
  std::optional<std::int64_t> expiresMs;  ///< none: never
  std::optional<std::int64_t> revokedMs;

  bool may(Scope scope) const;
};

/// "chat", "models", "admin", separated by commas. Errors: kInvalidArgument.
engine::base::Result<void> setScopes(KeyFacts& facts, std::string_view scopes);
std::string scopeText(const KeyFacts& facts);

/// The keys of a file as they were when it was read. Cheap to share between threads, never changed.
class KeyRing {
 public:
  /// No file is no keys. Errors: kIo, kMalformed; kInvalidArgument where others than its owner may read it.
  static engine::base::Result<KeyRing> read(const std::filesystem::path& file);

  enum class Verdict { kGood, kUnknown, kExpired, kRevoked };
  struct Finding {
    Verdict verdict = Verdict::kUnknown;
    const KeyFacts* facts = nullptr;  ///< of this ring; null where it is unknown
  };
  /// Takes the same time whether a key's secret part is right or wrong.
  Finding find(std::string_view key, std::int64_t nowMs) const;

  const std::vector<KeyFacts>& all() const { return facts_; }
  /// At least one that is neither revoked nor expired.
  bool hasGoodKey(std::int64_t nowMs) const;

 private:
  friend class KeyFile;
  using Hash = std::array<unsigned char, 32>;
  std::vector<KeyFacts> facts_;
  std::vector<Hash> hashes_;  ///< of facts_, in their order
  std::unordered_map<std::string, std::size_t> byId_;
};

/// What every key of Quern's begins with.
inline constexpr std::string_view kKeyPrefix = "qk-";

/// Makes a key of 256 random bits and returns it; `facts.id` and `createdMs` are filled in. Several processes
/// may do so at once. Errors: kInvalidArgument (the name is taken or unfit), kIo, those of read().
engine::base::Result<std::string> addKey(const std::filesystem::path& file, KeyFacts facts);
/// By id or by name. Errors: kNotFound, those of read().
engine::base::Result<KeyFacts> revokeKey(const std::filesystem::path& file, const std::string& idOrName);

/// Where the keys of this user are: configFolder()/keys.json.
std::filesystem::path defaultKeyFile();
std::int64_t unixNowMs();

}  // namespace quern::app::serve::front
