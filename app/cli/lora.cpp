#include "app/cli/lora.h"

#include <charconv>
#include <filesystem>
#include <system_error>

namespace quern::app {

using engine::base::Result;
using engine::scheduler::AdapterChoice;

Result<AdapterChoice> parseLora(const std::string& text) {
  AdapterChoice choice;
  choice.path = text;
  std::error_code code;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string::npos && !std::filesystem::exists(choice.path, code)) {
    float scale = 1.0F;
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + colon + 1, end, scale);
    if (read.ec == std::errc() && read.ptr == end) {
      choice.path = text.substr(0, colon);
      choice.scale = scale;
    }
  }
  if (choice.path.empty()) {
    return engine::base::Error(engine::base::ErrorCode::kInvalidArgument,
                               "--lora takes FILE or FILE:SCALE; the file is missing.");
  }
  return choice;
}

Result<std::vector<AdapterChoice>> loadLoras(engine::scheduler::Engine& engine,
                                             const std::vector<std::string>& texts) {
  std::vector<AdapterChoice> choices;
  for (const std::string& text : texts) {
    QUERN_ASSIGN(AdapterChoice choice, parseLora(text));
    QUERN_ASSIGN(choice.adapter, engine.loadAdapter(choice.path));
    choices.push_back(std::move(choice));
  }
  return choices;
}

}  // namespace quern::app
