// quern doctor: what this machine is, what Quern would use of it and why; with a model, what each of its
// tensors is multiplied with.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "app/cli/tensor_families.h"
#include "engine/base/places.h"
#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/kernel_choice.h"
#include "engine/runtime/machine.h"

namespace quern::app {
namespace {

using Json = nlohmann::ordered_json;
using engine::base::byteText;
using engine::runtime::KernelTable;
using engine::runtime::TypeService;

struct Report {
  engine::runtime::Machine machine;
  std::vector<KernelTable> tables;
  std::vector<std::string> unused;
  std::vector<TypeService> types;      ///< all of them; empty with a model
  std::vector<TensorFamily> families;  ///< of the model
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
  report.tables = engine::runtime::kernelTables(report.machine);
  report.unused = engine::runtime::unusedFeatures(report.machine);
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

std::string joined(const std::vector<std::string>& words, const char* between = " ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

std::string cacheName(const engine::runtime::Cache& cache) {
  const std::string kind = cache.kind == "data" ? "d" : cache.kind == "instruction" ? "i" : "";
  return "L" + std::to_string(cache.level) + kind;
}

std::string cachesText(const std::vector<engine::runtime::Cache>& caches) {
  std::string text;
  for (const auto& cache : caches) {
    text += (text.empty() ? "" : ", ") + cacheName(cache) + " " + std::to_string(cache.instances) + " × " +
            byteText(cache.sizeBytes);
  }
  return text;
}

std::string coresText(const engine::runtime::Machine& machine) {
  std::string text = std::to_string(machine.physicalCores) + " physical, " +
                     std::to_string(machine.logicalCores) + " logical";
  text += machine.logicalCores > machine.physicalCores ? " (hyper-threads; one thread a core is used)"
                                                       : " (no hyper-threads)";
  if (machine.cpuQuota > 0) {
    text += "; the container grants the time of " + fixedText(machine.cpuQuota, 1);
  }
  return text;
}

/// What shares a last-level cache, and what is near to which memory.
std::string clustersText(const engine::runtime::Machine& machine) {
  if (machine.caches.empty()) return "unknown";
  const auto& last = machine.caches.back();
  return cacheName(last) + " shared by processors " + joined(last.sharers, " | ");
}

std::string nodesText(const engine::runtime::Machine& machine) {
  if (machine.nodes.empty()) return "1";
  std::string text;
  for (const auto& node : machine.nodes) {
    text += (text.empty() ? "" : "; ") + std::to_string(node.id) + ": processors " +
            (node.cpus.empty() ? "none" : node.cpus) + ", " + byteText(node.memoryBytes);
  }
  return text;
}

std::string bitsText(const TypeService& service) {
  return fixedText(service.fileBits, 2) + " → " + fixedText(service.packedBits, 2);
}
std::string usesText(const TypeService& service) {
  if (!service.runs) return "not served: a model with such matrices is refused";
  return std::string(service.int8 ? "int8" : "float32") + " activations, " + service.instruction +
         (service.panels ? "; prompts in int8 panels" : "");
}

void printTypes(const std::vector<TypeService>& types) {
  std::vector<std::vector<std::string>> rows = {{"TYPE", "BITS FILE → PACKED", "KERNELS", "HOW"}};
  for (const TypeService& service : types) {
    rows.push_back({service.type, bitsText(service), service.table, usesText(service)});
  }
  std::puts("");
  printTable(rows);
}

void printFamilies(const std::vector<TensorFamily>& families) {
  std::vector<std::vector<std::string>> rows = {
      {"TENSORS", "COUNT", "SIZE", "TYPE", "BITS FILE → PACKED", "KERNELS", "HOW"}};
  for (const TensorFamily& family : families) {
    std::vector<std::string> row = {family.name, std::to_string(family.tensors), byteText(family.bytes),
                                    family.service.type};
    if (family.use == TensorUse::kMultiplied) {
      row.insert(row.end(), {bitsText(family.service), family.service.table, usesText(family.service)});
    } else {
      row.insert(row.end(),
                 {"", "",
                  family.use == TensorUse::kLookedUp ? "rows are looked up in the file" : "float32 vectors"});
    }
    rows.push_back(std::move(row));
  }
  std::puts("");
  printTable(rows, {1, 2});
}

void printText(const Report& report) {
  const auto& machine = report.machine;
  const std::string models = !report.modelsError.empty() ? report.modelsError
                             : report.models.empty()     ? "none"
                                                         : joined(report.models);
  std::vector<std::vector<std::string>> rows = {{"system", machine.system},
                                                {"processor", machine.cpu},
                                                {"cores", coresText(machine)},
                                                {"caches", cachesText(machine.caches)},
                                                {"clusters", clustersText(machine)},
                                                {"NUMA nodes", nodesText(machine)},
                                                {"features", joined(machine.features)}};
  if (!report.unused.empty())
    rows.push_back({"unused", joined(report.unused) + ": no kernel asks for them yet"});
  for (const KernelTable& table : report.tables) {
    rows.push_back({&table == &report.tables.front() ? "kernels" : "", table.name + " " + table.reason});
  }
  const std::vector<std::vector<std::string>> rest = {
      {"GPU", kGpu},
      {"memory", byteText(machine.memoryBytes) + ", " + byteText(machine.availableBytes) + " available"},
      {"huge pages", machine.hugePages.empty() ? "unknown" : machine.hugePages},
      {"bandwidth", fixedText(report.readBytesPerSecond / 1e9, 1) + " GB/s read, measured with " +
                        std::to_string(report.threads) + " threads: the ceiling of decoding"},
      {"int8 peak", fixedText(report.int8MacsPerSecond / 1e9, 0) +
                        " G multiply-adds/s, measured: the ceiling of prompt processing"},
      {"settings", engine::base::configFolder().string()},
      {"data", engine::base::dataFolder().string()},
      {"cache", engine::base::cacheFolder().string()},
      {"models", models}};
  rows.insert(rows.end(), rest.begin(), rest.end());
  printTable(rows);
  if (!report.families.empty()) printFamilies(report.families);
  if (!report.types.empty()) printTypes(report.types);
}

Json serviceJson(const TypeService& service) {
  return {{"type", service.type},
          {"runs", service.runs},
          {"kernels", service.table},
          {"activations", service.int8 ? "int8" : "float32"},
          {"prompt_panels", service.panels},
          {"instruction", service.instruction},
          {"file_bits", service.fileBits},
          {"packed_bits", service.packedBits}};
}

Json toJson(const Report& report) {
  const auto& machine = report.machine;
  Json caches = Json::array();
  for (const auto& cache : machine.caches) {
    caches.push_back({{"level", cache.level},
                      {"kind", cache.kind},
                      {"size_bytes", cache.sizeBytes},
                      {"instances", cache.instances},
                      {"shared_by", cache.sharers}});
  }
  Json nodes = Json::array();
  for (const auto& node : machine.nodes) {
    nodes.push_back({{"id", node.id}, {"cpus", node.cpus}, {"memory_bytes", node.memoryBytes}});
  }
  Json tables = Json::array();
  Json chosen;
  for (const KernelTable& table : report.tables) {
    tables.push_back(
        {{"name", table.name}, {"usable", table.usable}, {"chosen", table.chosen}, {"reason", table.reason}});
    if (table.chosen) chosen = {{"name", table.name}, {"reason", table.reason}};
  }
  chosen["tables"] = std::move(tables);
  Json document = {{"system", machine.system},
                   {"cpu",
                    {{"name", machine.cpu},
                     {"physical_cores", machine.physicalCores},
                     {"logical_cores", machine.logicalCores},
                     {"quota", machine.cpuQuota > 0 ? Json(machine.cpuQuota) : Json()},
                     {"numa_nodes", machine.numaNodes},
                     {"nodes", nodes},
                     {"caches", caches},
                     {"features", machine.features},
                     {"unused_features", report.unused}}},
                   {"kernels", chosen},
                   {"gpu", {{"built", false}, {"devices", Json::array()}}},
                   {"memory",
                    {{"total_bytes", machine.memoryBytes},
                     {"available_bytes", machine.availableBytes},
                     {"huge_pages", machine.hugePages}}},
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
  for (const TypeService& service : report.types) document["types"].push_back(serviceJson(service));
  for (const TensorFamily& family : report.families) {
    Json entry = {{"family", family.name}, {"tensors", family.tensors}, {"bytes", family.bytes}};
    if (family.use == TensorUse::kMultiplied) {
      entry.update(serviceJson(family.service));
    } else {
      entry["type"] = family.service.type;
    }
    document["tensor_families"].push_back(std::move(entry));
  }
  return document;
}

int doctor(const std::string& model, bool json) {
  std::vector<TensorFamily> families;
  if (!model.empty()) {
    const auto path = engine::hub::resolveModel(model);
    if (!path) return fail(path.error());
    const auto file = engine::gguf::File::open(*path);
    if (!file) return fail(file.error());
    families = tensorFamilies(**file);
  }
  Report report = examine();
  report.families = std::move(families);
  if (report.families.empty()) report.types = engine::runtime::allServices();
  if (json) {
    printJson(toJson(report));
  } else {
    printText(report);
  }
  return kOk;
}

}  // namespace

void addDoctorCommand(CLI::App& app, Action& action) {
  struct Arguments {
    std::string model;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("doctor", "The hardware found, the kernels chosen and why");
  command->add_option("-m,--model,model", arguments->model,
                      "A model: which kernels serve each of its tensors (without one: every type)");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback(
      [arguments, &action] { action = [arguments] { return doctor(arguments->model, arguments->json); }; });
}

}  // namespace quern::app
