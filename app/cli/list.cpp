// quern list

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "engine/base/places.h"
#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/scheduler/engine.h"

namespace quern::app {
namespace {

std::string dateText(std::int64_t unixMs) {
  const std::time_t seconds = unixMs / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%d %H:%M", &local);
  return buffer;
}

/// What the file says of itself; the error's sentence where it cannot be read.
engine::base::Result<engine::scheduler::ModelInfo> infoOf(const std::filesystem::path& path) {
  QUERN_ASSIGN(const auto file, engine::gguf::File::open(path));
  return engine::scheduler::inspect(*file);
}

int list(bool json) {
  const auto models = engine::hub::installedModels();
  if (!models) return fail(models.error());
  auto document = nlohmann::ordered_json::array();
  std::vector<std::vector<std::string>> rows = {{"NAME", "MODEL", "TYPE", "PARAMETERS", "SIZE", "CHANGED"}};
  for (const auto& model : *models) {
    const auto info = infoOf(model.path);
    nlohmann::ordered_json entry = {{"name", model.name},
                                    {"path", model.path.string()},
                                    {"size_bytes", model.sizeBytes},
                                    {"modified_ms", model.modifiedMs}};
    if (info) {
      entry["architecture"] = info->architecture;
      entry["quantization"] = info->quantization;
      entry["parameters"] = info->parameters;
    } else {
      entry["error"] = info.error().message();
    }
    document.push_back(std::move(entry));
    rows.push_back({model.name, info ? engine::base::printable(info->name, 40) : "cannot be read",
                    info ? info->quantization : "", info ? parameterText(info->parameters) : "",
                    engine::base::byteText(model.sizeBytes), dateText(model.modifiedMs)});
  }
  if (json) {
    printJson(document);
  } else if (models->empty()) {
    std::fprintf(stderr, "No models are installed in \"%s\".\n", engine::base::modelsFolder().c_str());
  } else {
    printTable(rows, {3, 4});
  }
  return kOk;
}

}  // namespace

void addListCommand(CLI::App& app, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("list", "The models that are installed");
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, &action] { action = [json] { return list(*json); }; });
}

}  // namespace quern::app
