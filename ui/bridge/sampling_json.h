// Sampling parameters as JSON, for presets and for what a chat keeps.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/sampling/sampler.h"

namespace quern::ui {

/// The members have the names of the fields; those that hold the default are left out.
nlohmann::json samplingToJson(const engine::sampling::Parameters& parameters);
/// Members that are missing, of the wrong type or out of range keep their default.
engine::sampling::Parameters samplingFromJson(const nlohmann::json& json);

}  // namespace quern::ui
