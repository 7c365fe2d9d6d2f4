// From a file's hyper-parameters and tensors to a Program. One short file a family; architecture.cpp has the
// list.
#pragma once

#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {
class File;
}

namespace quern::engine::model {

struct Program;

/// Reads `general.architecture`, checks every hyper-parameter against its range and against the tensors'
/// shapes, and writes the program. Errors: kUnsupported (an architecture or option that Quern does not know;
/// it is named), kMalformed (numbers and tensors that disagree; both are named).
base::Result<Program> buildProgram(const gguf::File& file);

/// The names that buildProgram() knows, sorted.
std::vector<std::string_view> supportedArchitectures();

}  // namespace quern::engine::model
