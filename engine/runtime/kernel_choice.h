// Which kernels a model runs on, and why: for `quern doctor`.
#pragma once

#include <string>
#include <vector>

#include "engine/runtime/machine.h"
#include "kernels/formats/formats.h"

namespace quern::engine::runtime {

/// One table of kernels and what became of it, in one sentence.
struct KernelTable {
  std::string name;
  bool usable = false;  ///< this build has it and this machine runs it
  bool chosen = false;  ///< models run on it unless somebody asks for another
  std::string reason;
};
/// All tables that Quern has anywhere, the most capable first.
std::vector<KernelTable> kernelTables(const Machine& machine);

/// Instruction sets that the processor has and no kernel uses.
std::vector<std::string> unusedFeatures(const Machine& machine);

/// How the chosen kernels multiply with weights of one type.
struct TypeService {
  std::string type;         ///< "Q4_K"
  bool runs = false;        ///< a model with matrices of this type can run
  double fileBits = 0;      ///< a weight, in the file
  double packedBits = 0;    ///< a weight, as packed in memory: what decoding reads
  bool int8 = false;        ///< activations are int8; otherwise float32
  bool panels = false;      ///< prompts go through int8 panels (kernels/cpu/kernels.h)
  std::string table;        ///< the kernels' name
  std::string instruction;  ///< what its inner loop is made of
};
TypeService serviceOf(kernels::DType type);
/// Every type that Quern decodes, in the order of their numbers.
std::vector<TypeService> allServices();

}  // namespace quern::engine::runtime
