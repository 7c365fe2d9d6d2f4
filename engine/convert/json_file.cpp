#include "engine/convert/json_file.h"

#include <set>

#include "engine/base/text.h"
#include "engine/gguf/mapping.h"

namespace quern::engine::convert {
namespace {

/// The largest tokenizer.json that models come with has 33 MB.
constexpr std::uint64_t kMostBytes = std::uint64_t{512} << 20;
/// The files' own nesting is below ten; the library recurses when it frees.
constexpr int kDeepest = 64;

}  // namespace

base::Result<Json> parseJson(std::string_view text, const std::string& name, bool unique) {
  bool tooDeep = false;
  std::set<std::string> names;
  std::string twice;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kDeepest) tooDeep = true;
    if (unique && event == Json::parse_event_t::key && depth == 1) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!names.insert(key).second) twice = key;
    }
    return !tooDeep;
  };
  Json parsed = Json::parse(text, check, false);
  if (tooDeep) {
    return base::Error(base::ErrorCode::kMalformed,
                       "\"" + base::printable(name) + "\" is nested more than 64 deep.");
  }
  if (!twice.empty()) {
    return base::Error(base::ErrorCode::kMalformed,
                       "\"" + base::printable(name) + "\" names \"" + base::printable(twice) + "\" twice.");
  }
  if (parsed.is_discarded()) {
    return base::Error(base::ErrorCode::kMalformed,
                       "\"" + base::printable(name) + "\" is not JSON; download it again.");
  }
  return parsed;
}

base::Result<std::string> readText(const std::filesystem::path& path, std::uint64_t limit) {
  QUERN_ASSIGN(const gguf::Mapping mapping, gguf::Mapping::open(path));
  const auto bytes = mapping.bytes();
  if (bytes.size() > limit) {
    return base::Error(base::ErrorCode::kLimit,
                       "\"" + path.string() + "\" has " + base::byteText(bytes.size()) +
                           "; Quern reads files of its kind up to " + base::byteText(limit) + ".");
  }
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

base::Result<Json> readJson(const std::filesystem::path& path) {
  QUERN_ASSIGN(const std::string text, readText(path, kMostBytes));
  return parseJson(text, path.filename().string());
}

base::Result<Json> readOptionalJson(const std::filesystem::path& path) {
  std::error_code code;
  if (!std::filesystem::exists(path, code)) return Json(Json::object());
  return readJson(path);
}

const Json& member(const Json& object, std::string_view name) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(std::string(name));
  return found == object.end() ? kNothing : *found;
}

std::string textOf(const Json& object, std::string_view name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

}  // namespace quern::engine::convert
