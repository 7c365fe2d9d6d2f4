// Fields that OpenAI's endpoints share, and Quern's own beside them, read into a plan.
#pragma once

#include <span>

#include "app/serve/api/fields.h"
#include "app/serve/api/generation.h"

namespace quern::app::serve {

/// A sampling parameter by its name in an API, with its range there.
struct NumberField {
  std::string_view name;
  float engine::sampling::Parameters::*target;
  double low;
  double high;
};
struct IntegerField {
  std::string_view name;
  std::int32_t engine::sampling::Parameters::*target;
  std::int64_t low;
  std::int64_t high;
};

void readNumbers(Fields& fields, std::span<const NumberField> table,
                 engine::sampling::Parameters& parameters);
void readIntegers(Fields& fields, std::span<const IntegerField> table,
                  engine::sampling::Parameters& parameters);

/// temperature, top_p, seed, penalties, logit_bias, stop; top_k, min_p and others that OpenAI's API does not
/// have; "cache_prompt", "ignore_eos", "priority". What is not given stays as the plan has it.
void readSampling(Fields& fields, GenerationPlan& plan);
/// "stop", of at most 16 texts, none of them empty.
void readStop(Fields& fields, std::string_view name, engine::scheduler::Request& request);
/// A seed: any whole number of 63 bits.
void readSeed(Fields& fields, engine::sampling::Parameters& parameters);
/// How far an answer may go: each of `names` where given; that they differ is refused.
void readMaxTokens(Fields& fields, std::initializer_list<std::string_view> names, GenerationPlan& plan);

/// response_format, grammar, regex (vLLM's guided_…, too): at most one of them.
void readFormat(Fields& fields, GenerationPlan& plan);
/// {"type": "text" | "json_object" | "json_schema", …}; `schemaAt`: the object that "schema" is in.
void readFormatObject(Fields& fields, std::string_view name, const Json& format, const Json& schemaAt,
                      GenerationPlan& plan);
/// A list of tools in OpenAI's form (parallel_tool_calls, too), and the choice among them.
void readTools(Fields& fields, const Json* tools, const Json& choice, GenerationPlan& plan);
/// An answer cannot both match a format and call tools.
void refuseContradictions(Fields& fields, const GenerationPlan& plan);

/// stream and stream_options.include_usage; the latter is returned.
bool readStream(Fields& fields, GenerationPlan& plan);

inline constexpr std::int64_t kMostTokens = 1 << 30;
inline constexpr std::int64_t kMostAnswers = 128;

}  // namespace quern::app::serve
