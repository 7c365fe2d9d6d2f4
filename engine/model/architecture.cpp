#include "engine/model/architecture.h"

#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/model/architectures.h"
#include "engine/model/builder.h"

namespace quern::engine::model {
namespace {

struct Family {
  std::string_view name;
  base::Result<void> (*build)(Builder&);
};

constexpr Family kFamilies[] = {
    {"gemma2", buildGemma2},         {"gemma3", buildGemma3},     {"gpt-oss", buildGptOss},
    {"granitemoe", buildGraniteMoe}, {"llama", buildLlama},       {"phi3", buildPhi3},
    {"qwen2", buildQwen2},           {"qwen2moe", buildQwen2Moe}, {"qwen3", buildQwen3},
    {"qwen3moe", buildQwen3Moe},
};

}  // namespace

std::vector<std::string_view> supportedArchitectures() {
  std::vector<std::string_view> names;
  for (const Family& family : kFamilies) names.push_back(family.name);
  return names;
}

base::Result<Program> buildProgram(const gguf::File& file) {
  QUERN_ASSIGN(const std::string_view name, file.stringAt("general.architecture"));
  for (const Family& family : kFamilies) {
    if (family.name != name) continue;
    Builder builder(file, name);
    QUERN_TRY(builder.readCommon());
    QUERN_TRY(family.build(builder));
    return std::move(builder.program());
  }
  std::string known;
  for (const Family& family : kFamilies) known += (known.empty() ? "" : ", ") + std::string(family.name);
  return base::Error(base::ErrorCode::kUnsupported, "The model's architecture \"" + base::printable(name) +
                                                        "\" is not one that Quern knows (" + known + ").");
}

}  // namespace quern::engine::model
