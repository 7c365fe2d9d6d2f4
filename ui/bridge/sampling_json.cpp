#include "ui/bridge/sampling_json.h"

#include <cmath>
#include <limits>
#include <string>

namespace quern::ui {
namespace {

using engine::sampling::Parameters;
using engine::sampling::Stage;
using nlohmann::json;

constexpr int kStages = 8;

/// Calls `visit(name, member)` for every number that a person may set.
template <class P, class Visit>
void eachNumber(P& parameters, Visit&& visit) {
  visit("temperature", parameters.temperature);
  visit("topK", parameters.topK);
  visit("topP", parameters.topP);
  visit("minP", parameters.minP);
  visit("typicalP", parameters.typicalP);
  visit("xtcProbability", parameters.xtcProbability);
  visit("xtcThreshold", parameters.xtcThreshold);
  visit("repeatPenalty", parameters.repeatPenalty);
  visit("frequencyPenalty", parameters.frequencyPenalty);
  visit("presencePenalty", parameters.presencePenalty);
  visit("penaltyWindow", parameters.penaltyWindow);
  visit("dryMultiplier", parameters.dryMultiplier);
  visit("dryBase", parameters.dryBase);
  visit("dryAllowedLength", parameters.dryAllowedLength);
  visit("dryWindow", parameters.dryWindow);
  visit("mirostat", parameters.mirostat);
  visit("mirostatTau", parameters.mirostatTau);
  visit("mirostatEta", parameters.mirostatEta);
}

template <class Number>
void readNumber(const json& object, const char* name, Number& into) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return;
  const double value = found->template get<double>();
  if (std::isfinite(value) && std::abs(value) <= 1e9) into = static_cast<Number>(value);
}

}  // namespace

json samplingToJson(const Parameters& parameters) {
  json object = json::object();
  Parameters defaults;
  json plain = json::object();
  eachNumber(defaults, [&](const char* name, const auto& value) { plain[name] = value; });
  eachNumber(parameters, [&](const char* name, const auto& value) {
    if (plain[name] != json(value)) object[name] = value;
  });
  if (!parameters.randomSeed) object["seed"] = parameters.seed;
  if (parameters.dryBreakers != defaults.dryBreakers) object["dryBreakers"] = parameters.dryBreakers;
  for (const auto& [token, bias] : parameters.logitBias) {
    // JSON has no -inf; null stands for a banned token.
    object["logitBias"].push_back({token, std::isfinite(bias) ? json(bias) : json(nullptr)});
  }
  if (parameters.order != defaults.order) {
    for (const Stage stage : parameters.order) object["order"].push_back(static_cast<int>(stage));
  }
  return object;
}

Parameters samplingFromJson(const json& object) {
  Parameters parameters;
  if (!object.is_object()) return parameters;
  eachNumber(parameters, [&](const char* name, auto& value) { readNumber(object, name, value); });
  if (const auto seed = object.find("seed"); seed != object.end() && seed->is_number_unsigned()) {
    parameters.seed = seed->get<std::uint64_t>();
    parameters.randomSeed = false;
  }
  if (const auto breakers = object.find("dryBreakers"); breakers != object.end() && breakers->is_array()) {
    parameters.dryBreakers.clear();
    for (const json& entry : *breakers) {
      if (entry.is_string()) parameters.dryBreakers.push_back(entry.get<std::string>());
    }
  }
  if (const auto bias = object.find("logitBias"); bias != object.end() && bias->is_array()) {
    for (const json& entry : *bias) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number_unsigned()) continue;
      if (entry[0].get<std::uint64_t>() > std::numeric_limits<std::int32_t>::max()) continue;
      const float value =
          entry[1].is_number() ? entry[1].get<float>() : -std::numeric_limits<float>::infinity();
      parameters.logitBias.emplace_back(entry[0].get<std::int32_t>(), value);
    }
  }
  if (const auto order = object.find("order"); order != object.end() && order->is_array()) {
    std::vector<Stage> stages;
    bool valid = order->size() <= kStages;
    for (const json& entry : *order) {
      valid = valid && entry.is_number_unsigned() && entry.get<std::uint64_t>() < kStages;
      if (valid) stages.push_back(static_cast<Stage>(entry.get<int>()));
    }
    if (valid) parameters.order = std::move(stages);
  }
  return parameters;
}

}  // namespace quern::ui
