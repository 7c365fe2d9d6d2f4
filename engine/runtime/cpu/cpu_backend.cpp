// Loads a program onto the CPU: chooses kernels and threads, sees that the memory is there, compiles.

#include <algorithm>
#include <fstream>
#include <string>

#include "engine/base/text.h"
#include "engine/runtime/backend.h"
#include "engine/runtime/cpu/cpu_executable.h"
#include "engine/runtime/kv_type.h"
#include "engine/runtime/memory_need.h"
#include "engine/runtime/topology.h"

namespace quern::engine::runtime {
namespace {

constexpr std::int32_t kMostThreads = 512;
/// Far above any context; sums and products with it stay within their types.
constexpr std::int32_t kMostTokens = 1 << 28;

/// What this control group (a container) may still take; no limit gives the largest number. Pages of files
/// can be dropped, so they count as free.
std::uint64_t groupBytes() {
  std::uint64_t limit = 0;
  std::uint64_t used = 0;
  if (!(std::ifstream("/sys/fs/cgroup/memory.max") >> limit)) return UINT64_MAX;
  if (!(std::ifstream("/sys/fs/cgroup/memory.current") >> used)) return UINT64_MAX;
  std::ifstream stat("/sys/fs/cgroup/memory.stat");
  std::string name;
  for (std::uint64_t bytes = 0; stat >> name >> bytes;) {
    if (name == "inactive_file" || name == "active_file") used -= std::min(used, bytes);
  }
  return limit - std::min(limit, used);
}

/// What the system says it can give without swapping; 0 where it does not say.
std::uint64_t availableBytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  std::string unit;
  while (file >> name >> kib) {
    std::getline(file, unit);
    if (name == "MemAvailable:") return std::min(kib * 1024, groupBytes());
  }
  return 0;
}

class CpuBackend : public Backend {
 public:
  std::string name() const override { return "cpu"; }

  /// How a program is to be run, and what that takes.
  struct Choice {
    const kernels::cpu::Kernels* kernels = nullptr;
    std::int32_t threads = 0;
    CompileOptions options;  ///< with a cache that fits
    MemoryUse memory;
  };

  static base::Result<Choice> choose(const gguf::File& file, const model::Program& program,
                                     const CompileOptions& options) {
    const char* wanted = options.kernels.empty() ? nullptr : options.kernels.c_str();
    const kernels::cpu::Kernels* kernels = kernels::cpu::selectKernels(wanted);
    if (kernels == nullptr) {
      return base::Error(base::ErrorCode::kUnsupported, "This processor cannot run kernels called \"" +
                                                            base::printable(options.kernels) + "\".");
    }
    if (options.kvTokens < 1 || options.kvTokens > kMostTokens || options.contextTokens < 0 ||
        options.leastKvTokens < 0 || options.batchTokens < 1 || options.batchTokens > kMostTokens ||
        options.logitRows < 1 || options.logitRows > kMostTokens || options.hiddenRows < 0 ||
        options.hiddenRows > kMostTokens || options.threads < 0 || options.threads > kMostThreads) {
      return base::Error(base::ErrorCode::kInvalidArgument,
                         "Context, batch and rows of logits must be between 1 and " +
                             std::to_string(kMostTokens) + ", threads at most " +
                             std::to_string(kMostThreads) + ".");
    }
    if (kvTypeHasScales(options.kvType) && program.headDim % 32 != 0) {
      return base::Error(base::ErrorCode::kUnsupported,
                         "This model's heads have " + std::to_string(program.headDim) +
                             " elements, no multiple of 32: its cache cannot be kept as " +
                             std::string(kvTypeInfo(options.kvType).name) + ". Choose f16.");
    }
    const std::int32_t threads =
        options.threads > 0 ? options.threads : std::min(topology().threads(), kMostThreads);

    QUERN_ASSIGN(const std::uint64_t weights, packedBytesOf(file, program, *kernels));
    const std::uint64_t work = CpuExecutable::workBytesFor(program, *kernels, options, threads);
    CompileOptions fitted = options;
    if (const std::uint64_t free = availableBytes(); options.leastKvTokens > 0 && free != 0) {
      const std::uint64_t room = (free - std::min(free, weights + work)) / 2;
      const std::uint64_t blocks = room / KvCache::bytesFor(program, options.kvType, 1);
      fitted.kvTokens = static_cast<std::int32_t>(
          std::min<std::uint64_t>(blocks * kKvBlockTokens, static_cast<std::uint64_t>(options.kvTokens)));
      fitted.kvTokens = std::max(fitted.kvTokens, std::min(options.kvTokens, options.leastKvTokens));
    }
    const std::int32_t blocks = (fitted.kvTokens + kKvBlockTokens - 1) / kKvBlockTokens;
    return Choice{kernels, threads, fitted,
                  MemoryUse{weights, KvCache::bytesFor(program, options.kvType, blocks), work}};
  }

  base::Result<std::unique_ptr<Executable>> compile(std::shared_ptr<const gguf::File> file,
                                                    const model::Program& program,
                                                    const CompileOptions& options,
                                                    const Progress& progress) override {
    QUERN_ASSIGN(const Choice choice, choose(*file, program, options));
    const std::uint64_t need = choice.memory.weightBytes + choice.memory.kvBytes + choice.memory.workBytes;
    const std::uint64_t free = availableBytes();
    if (free != 0 && need > free) {
      return base::Error(base::ErrorCode::kOutOfMemory,
                         "The model needs " + base::byteText(need) + " of memory with this context, and " +
                             base::byteText(free) +
                             " are free. Choose a shorter context or a smaller model.");
    }
    QUERN_ASSIGN(auto made, CpuExecutable::make(std::move(file), program, *choice.kernels, choice.options,
                                                choice.threads, progress));
    return std::unique_ptr<Executable>(std::move(made));
  }
};

}  // namespace

std::unique_ptr<Backend> makeCpuBackend() { return std::make_unique<CpuBackend>(); }

base::Result<MemoryUse> cpuMemoryNeed(const gguf::File& file, const model::Program& program,
                                      const CompileOptions& options) {
  QUERN_ASSIGN(const CpuBackend::Choice choice, CpuBackend::choose(file, program, options));
  return choice.memory;
}

}  // namespace quern::engine::runtime
