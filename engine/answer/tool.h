// The tools that a request offers, and how the model may choose among them.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::answer {

/// What a parameter's schema lets its value be, as far as it matters where values are written without quotes.
enum class ParameterKind : std::uint8_t {
  kString,  ///< nothing but a string
  kOther,   ///< never a string
  kAny      ///< either, or not known
};

struct Tool {
  std::string name;
  std::string description;
  nlohmann::ordered_json parameters;  ///< a JSON schema; an object

  ParameterKind kindOf(std::string_view parameter) const;
  /// The name of the parameter at `position` in the schema's order; empty behind the last.
  std::string parameterAt(std::size_t position) const;
};

/// Which calls an answer may or must hold.
struct ToolChoice {
  enum class Kind : std::uint8_t { kNone, kAuto, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name;  ///< kNamed
};

/// Tools as OpenAI's API has them: a list of {"type": "function", "function": {"name", "description",
/// "parameters"}}; the inner object alone is taken, too. Errors: kInvalidArgument (which tool, and what is
/// wrong with it), kLimit (more than 512, or a schema nested more than 64 deep).
base::Result<std::vector<Tool>> parseTools(const nlohmann::ordered_json& tools);
/// The same list once more, in the form that chat templates read.
nlohmann::ordered_json toolsJson(const std::vector<Tool>& tools);

/// "none", "auto", "required", or {"type": "function", "function": {"name": NAME}}; null is auto. Errors:
/// kInvalidArgument, also for a name that no tool has and for required without tools.
base::Result<ToolChoice> parseToolChoice(const nlohmann::ordered_json& choice,
                                         const std::vector<Tool>& tools);

/// Whether lists and objects of `json` are nested more than `depth` deep.
bool isDeeperThan(const nlohmann::ordered_json& json, std::size_t depth);

const Tool* findTool(const std::vector<Tool>& tools, std::string_view name);

}  // namespace quern::engine::answer
