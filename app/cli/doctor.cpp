// quern doctor: what this machine is, what Quern would use of it and why.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "engine/base/places.h"
#include "engine/base/text.h"
#include "engine/hub/library.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/machine.h"

namespace quern::app {
namespace {

using Json = nlohmann::ordered_json;
using engine::base::byteText;

struct Report {
  engine::runtime::Machine machine;
  engine::runtime::KernelChoice kernels;
  std::int32_t threads = 1;
  double readBytesPerSecond = 0;
  double int8MacsPerSecond = 0;
  std::vector<std::string> models;
  std::string modelsError;
};

/// The GPU's line: this build has no device code, so that there is nothing to look for.
constexpr const char* kGpu = "none: this Quern was built without CUDA";

Report examine() {
  Report report;
  StatusLine line;
  line.show("Measuring memory bandwidth and multiply-adds …");
  report.machine = engine::runtime::describeMachine();
  report.kernels = engine::runtime::chosenKernels();
  report.threads = report.machine.physicalCores;
  report.readBytesPerSecond = engine::runtime::measuredReadBandwidth(report.threads);
  report.int8MacsPerSecond = engine::runtime::measuredInt8Peak(report.threads);
  const auto models = engine::hub::installedModels();
  if (!models) {
    report.modelsError = models.error().message();
    return report;
  }
  for (const auto& model : *models) report.models.push_back(model.name);
  return report;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string cachesText(const std::vector<engine::runtime::Cache>& caches) {
  std::string text;
  for (const auto& cache : caches) {
    const std::string kind = cache.kind == "data" ? "d" : cache.kind == "instruction" ? "i" : "";
    text += (text.empty() ? "" : ", ") + std::string("L") + std::to_string(cache.level) + kind + " " +
            std::to_string(cache.instances) + " × " + byteText(cache.sizeBytes);
  }
  return text;
}

void printText(const Report& report) {
  const auto& machine = report.machine;
  const std::string models = !report.modelsError.empty() ? report.modelsError
                             : report.models.empty()     ? "none"
                                                         : joined(report.models);
  printTable(
      {{"system", machine.system},
       {"processor", machine.cpu},
       {"cores", std::to_string(machine.physicalCores) + " physical, " +
                     std::to_string(machine.logicalCores) + " logical, " + std::to_string(machine.numaNodes) +
                     " NUMA node" + (machine.numaNodes == 1 ? "" : "s")},
       {"caches", cachesText(machine.caches)},
       {"features", joined(machine.features)},
       {"kernels", report.kernels.name + ": " + report.kernels.reason},
       {"GPU", kGpu},
       {"memory", byteText(machine.memoryBytes) + ", " + byteText(machine.availableBytes) + " available"},
       {"bandwidth", fixedText(report.readBytesPerSecond / 1e9, 1) + " GB/s read, measured with " +
                         std::to_string(report.threads) + " threads: the ceiling of decoding"},
       {"int8 peak", fixedText(report.int8MacsPerSecond / 1e9, 0) +
                         " G multiply-adds/s, measured: the ceiling of prompt processing"},
       {"settings", engine::base::configFolder().string()},
       {"data", engine::base::dataFolder().string()},
       {"cache", engine::base::cacheFolder().string()},
       {"models", models}});
}

Json toJson(const Report& report) {
  const auto& machine = report.machine;
  Json caches = Json::array();
  for (const auto& cache : machine.caches) {
    caches.push_back({{"level", cache.level},
                      {"kind", cache.kind},
                      {"size_bytes", cache.sizeBytes},
                      {"instances", cache.instances}});
  }
  return {{"system", machine.system},
          {"cpu",
           {{"name", machine.cpu},
            {"physical_cores", machine.physicalCores},
            {"logical_cores", machine.logicalCores},
            {"numa_nodes", machine.numaNodes},
            {"caches", caches},
            {"features", machine.features}}},
          {"kernels", {{"name", report.kernels.name}, {"reason", report.kernels.reason}}},
          {"gpu", {{"built", false}, {"devices", Json::array()}}},
          {"memory", {{"total_bytes", machine.memoryBytes}, {"available_bytes", machine.availableBytes}}},
          {"limits",
           {{"threads", report.threads},
            {"read_gb_s", report.readBytesPerSecond / 1e9},
            {"int8_gmac_s", report.int8MacsPerSecond / 1e9}}},
          {"places",
           {{"config", engine::base::configFolder().string()},
            {"data", engine::base::dataFolder().string()},
            {"models", engine::base::modelsFolder().string()},
            {"cache", engine::base::cacheFolder().string()}}},
          {"models", report.models}};
}

}  // namespace

void addDoctorCommand(CLI::App& app, Action& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("doctor", "The hardware found, the kernels chosen and why");
  command->add_flag("--json", *json, "As JSON");
  command->callback([json, &action] {
    action = [json] {
      const Report report = examine();
      if (*json) {
        printJson(toJson(report));
      } else {
        printText(report);
      }
      return kOk;
    };
  });
}

}  // namespace quern::app
