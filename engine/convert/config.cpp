#include "engine/convert/config.h"

#include <cmath>

#include "engine/base/text.h"

namespace quern::engine::convert {
namespace {

constexpr std::uint64_t kMostCount = 0x7FFFFFFF;

base::Error wrongValue(std::string_view name, const Json& value, const std::string& wanted) {
  return {base::ErrorCode::kMalformed,
          "The model's config.json says \"" + std::string(name) +
              "\": " + base::printable(value.dump(-1, ' ', true, Json::error_handler_t::replace)) +
              "; it must be " + wanted + "."};
}

}  // namespace

base::Result<Config> Config::read(const std::filesystem::path& folder) {
  QUERN_ASSIGN(Json json, readJson(folder / "config.json"));
  return fromJson(std::move(json));
}

base::Result<Config> Config::fromJson(Json json) {
  if (!json.is_object()) {
    return base::Error(base::ErrorCode::kMalformed, "The model's config.json is no JSON object.");
  }
  Config config;
  const Json& names = member(json, "architectures");
  if (names.is_array() && !names.empty() && names[0].is_string()) {
    config.architecture_ = names[0].get<std::string>();
  }
  config.modelType_ = textOf(json, "model_type");
  if (const Json text = member(json, "text_config"); text.is_object()) {
    for (const auto& [key, value] : text.items()) json[key] = value;
  }
  config.json_ = std::move(json);
  return config;
}

void Config::addDefaults(std::string_view json) {
  const Json defaults = Json::parse(json);
  for (const auto& [key, value] : defaults.items()) {
    if (!has(key)) json_[key] = value;
  }
}

const Json* Config::find(const Names& names, std::string_view* found) const {
  for (const std::string_view name : names) {
    const Json& value = member(json_, name);
    if (value.is_null()) continue;
    if (found != nullptr) *found = name;
    return &value;
  }
  return nullptr;
}

base::Result<std::optional<std::uint64_t>> Config::count(const Names& names) const {
  std::string_view name;
  const Json* value = find(names, &name);
  if (value == nullptr) return std::optional<std::uint64_t>();
  std::optional<std::uint64_t> number;
  if (value->is_number_unsigned()) number = value->get<std::uint64_t>();
  // Some files write 4096.0.
  if (value->is_number_float() && value->get<double>() == std::floor(value->get<double>()) &&
      value->get<double>() >= 0 && value->get<double>() <= static_cast<double>(kMostCount)) {
    number = static_cast<std::uint64_t>(value->get<double>());
  }
  if (!number || *number > kMostCount) return wrongValue(name, *value, "a whole number");
  return number;
}

base::Result<std::optional<double>> Config::real(const Names& names) const {
  std::string_view name;
  const Json* value = find(names, &name);
  if (value == nullptr) return std::optional<double>();
  if (!value->is_number() || !std::isfinite(value->get<double>()))
    return wrongValue(name, *value, "a number");
  return std::optional(value->get<double>());
}

std::optional<bool> Config::flag(std::string_view name) const {
  const Json& value = member(json_, name);
  return value.is_boolean() ? std::optional(value.get<bool>()) : std::nullopt;
}

base::Result<std::uint64_t> Config::neededCount(const Names& names) const {
  QUERN_ASSIGN(const auto value, count(names));
  if (!value) {
    return base::Error(base::ErrorCode::kMalformed, "The model's config.json says nothing of \"" +
                                                        std::string(names.front()) +
                                                        "\", which its architecture needs.");
  }
  return *value;
}

base::Result<std::uint64_t> Config::bounded(const Names& names, std::uint64_t least,
                                            std::uint64_t most) const {
  QUERN_ASSIGN(const auto value, neededCount(names));
  if (value < least || value > most) {
    return wrongValue(names.front(), value,
                      "between " + base::grouped(least) + " and " + base::grouped(most));
  }
  return value;
}

base::Result<std::uint64_t> Config::layers() const {
  return bounded({"num_hidden_layers", "n_layer", "n_layers", "num_layers"}, 1, 1024);
}

base::Result<std::uint64_t> Config::heads() const {
  return bounded({"num_attention_heads", "n_head", "n_heads"}, 1, 1024);
}

base::Result<std::uint64_t> Config::kvHeads() const {
  QUERN_ASSIGN(const auto all, heads());
  const Names names = {"num_key_value_heads", "n_kv_heads"};
  return find(names) == nullptr ? base::Result<std::uint64_t>(all) : bounded(names, 1, all);
}

base::Result<std::uint64_t> Config::experts() const {
  const Names names = {"num_local_experts", "num_experts", "n_routed_experts"};
  return find(names) == nullptr ? base::Result<std::uint64_t>(0) : bounded(names, 0, 4096);
}

base::Result<std::uint64_t> Config::headDim() const {
  QUERN_ASSIGN(const auto stated, count({"head_dim"}));
  if (stated) return *stated;
  QUERN_ASSIGN(const auto width, neededCount({"hidden_size", "n_embd", "dim"}));
  QUERN_ASSIGN(const auto all, heads());
  return width / all;
}

base::Result<RopeSettings> Config::rope() const {
  RopeSettings rope;
  const Json* stated = find({"rope_parameters", "rope_scaling"});
  if (stated != nullptr && stated->is_object()) rope.values = *stated;
  // Models whose layers differ have one set of numbers a kind of layer.
  const Json sliding = member(rope.values, "sliding_attention");
  const Json full = member(rope.values, "full_attention");
  if (full.is_object()) rope.values = full;
  rope.kind = textOf(rope.values, "rope_type");
  if (rope.kind.empty()) rope.kind = textOf(rope.values, "type");

  const auto number = [&](const char* inside, const Names& outside) -> base::Result<std::optional<double>> {
    const Json& value = member(rope.values, inside);
    if (value.is_number()) return std::optional(value.get<double>());
    return real(outside);
  };
  QUERN_ASSIGN(rope.base, number("rope_theta", {"global_rope_theta", "rope_global_theta", "rope_theta_global",
                                                "rope_theta", "rotary_emb_base"}));
  QUERN_ASSIGN(rope.partial,
               number("partial_rotary_factor", {"partial_rotary_factor", "rope_pct", "rope_percent"}));
  QUERN_ASSIGN(rope.localBase, real({"local_rope_theta", "rope_local_theta", "rope_theta_local",
                                     "swa_rope_theta", "rope_local_base_freq"}));
  if (const Json& local = member(sliding, "rope_theta"); local.is_number())
    rope.localBase = local.get<double>();
  const Json& original = member(rope.values, "original_max_position_embeddings");
  if (original.is_number_unsigned()) {
    rope.originalContext = original.get<std::uint64_t>();
  } else {
    QUERN_ASSIGN(rope.originalContext, count({"original_max_position_embeddings"}));
  }
  return rope;
}

}  // namespace quern::engine::convert
