#include "engine/runtime/kernel_choice.h"

#include <algorithm>
#include <string_view>

#include "kernels/cpu/kernels.h"

namespace quern::engine::runtime {
namespace {

/// What a table asks of the processor, in the words of /proc/cpuinfo, and what its inner loops are made of.
struct Requirement {
  const char* name;
  std::vector<const char*> features;
  const char* gives;
  const char* int8Instruction;
  const char* floatInstruction;
};

const std::vector<Requirement>& requirements() {
  static const std::vector<Requirement> kAll = {
      {"avx512vnni",
       {"avx2", "fma", "f16c", "bmi2", "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"},
       "AVX-512 with VNNI: 64 int8 multiply-adds an instruction",
       "vpdpbusd, 512 bits",
       "vfmadd, 512 bits"},
      {"avxvnni",
       {"avx2", "fma", "f16c", "bmi2", "avx_vnni"},
       "AVX-VNNI: 32 int8 multiply-adds an instruction",
       "vpdpbusd, 256 bits",
       "vfmadd, 256 bits"},
      {"avx2",
       {"avx2", "fma", "f16c", "bmi2"},
       "AVX2 and FMA: 32 int8 multiply-adds in two instructions",
       "vpmaddubsw, 256 bits",
       "vfmadd, 256 bits"},
      {"generic", {}, "plain C++, which runs everywhere, slowly", "plain C++", "plain C++"}};
  return kAll;
}

const kernels::cpu::Kernels& chosenTable() {
  const kernels::cpu::Kernels* table = kernels::cpu::selectKernels();
  return table == nullptr ? kernels::cpu::genericKernels() : *table;
}

std::vector<std::string> missingFeatures(const Requirement& requirement, const Machine& machine) {
  std::vector<std::string> missing;
  for (const char* feature : requirement.features) {
    if (std::find(machine.features.begin(), machine.features.end(), feature) == machine.features.end()) {
      missing.emplace_back(feature);
    }
  }
  return missing;
}

/// Whether the compiler's own check, which asks the operating system too, grants the table.
bool granted(std::string_view name) {
  const kernels::cpu::CpuFeatures features = kernels::cpu::cpuFeatures();
  if (name == "avx512vnni") return features.avx512vnni;
  if (name == "avxvnni") return features.avxvnni;
  return name != "avx2" || features.avx2;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

std::vector<KernelTable> kernelTables(const Machine& machine) {
  const std::string chosen = chosenTable().name;
  std::vector<KernelTable> tables;
  for (const Requirement& requirement : requirements()) {
    KernelTable table;
    table.name = requirement.name;
    table.usable = kernels::cpu::selectKernels(requirement.name) != nullptr;
    table.chosen = table.name == chosen;
    const std::vector<std::string> missing = missingFeatures(requirement, machine);
    if (table.chosen) {
      table.reason = std::string("chosen: ") + requirement.gives;
    } else if (table.usable) {
      table.reason = "could run here; " + chosen + " does more at once";
    } else if (granted(requirement.name)) {
      table.reason = "refused: this build has none; the processor would run them";
    } else if (!missing.empty()) {
      table.reason = "refused: the processor lacks " + joined(missing);
    } else {
      table.reason = "refused: the operating system does not save the registers that they need";
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

std::vector<std::string> unusedFeatures(const Machine& machine) {
  std::vector<std::string> unused;
  for (const std::string& feature : machine.features) {
    const bool used =
        feature == "avx" ||  // what AVX2 is built on
        std::any_of(requirements().begin(), requirements().end(), [&](const Requirement& requirement) {
          return granted(requirement.name) &&
                 std::find(requirement.features.begin(), requirement.features.end(), feature) !=
                     requirement.features.end();
        });
    if (!used) unused.push_back(feature);
  }
  return unused;
}

TypeService serviceOf(kernels::DType type) {
  const kernels::cpu::Kernels& table = chosenTable();
  TypeService service;
  const kernels::DTypeInfo* info = kernels::dtypeInfo(type);
  if (info == nullptr) return service;
  service.type = info->name;
  service.fileBits = 8.0 * info->blockBytes / info->blockElements;
  service.table = table.name;
  service.runs = table.supports(type);
  if (!service.runs) return service;
  // One tile of the longest blocks: no padding on either side.
  constexpr std::int64_t kColumns = 256;
  service.packedBits = 8.0 * static_cast<double>(table.packedBytes(type, kernels::cpu::kRowTile, kColumns)) /
                       static_cast<double>(kernels::cpu::kRowTile * kColumns);
  service.int8 = table.readsQuantized(type);
  service.panels = service.int8 && table.panelMatmul != nullptr;
  for (const Requirement& requirement : requirements()) {
    if (service.table == requirement.name) {
      service.instruction = service.int8 ? requirement.int8Instruction : requirement.floatInstruction;
    }
  }
  return service;
}

std::vector<TypeService> allServices() {
  std::vector<TypeService> services;
  for (std::uint32_t id = 0; id < 64; ++id) {
    const kernels::DTypeInfo* info = kernels::dtypeInfo(id);
    if (info != nullptr && info->decodable) services.push_back(serviceOf(info->type));
  }
  return services;
}

}  // namespace quern::engine::runtime
