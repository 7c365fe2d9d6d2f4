#include "engine/convert/output.h"

#include <algorithm>

#include "engine/base/text.h"
#include "engine/convert/tensor_stream.h"
#include "engine/gguf/writer.h"

namespace quern::engine::convert {
namespace {

using kernels::DType;

/// The version of llama.cpp's quantized formats, and its numbers for what most tensors of a file are.
constexpr std::uint32_t kQuantizationVersion = 2;
constexpr std::uint32_t kMostlyMxfp4 = 38;

std::uint32_t fileType(DType type) {
  switch (type) {
    case DType::kF32:
      return 0;
    case DType::kF16:
      return 1;
    case DType::kBF16:
      return 32;
    default:
      return 7;  // Q8_0
  }
}

}  // namespace

DType storedAs(OutputType wanted, DType source) {
  switch (wanted) {
    case OutputType::kSource:
      return source;
    case OutputType::kF32:
      return DType::kF32;
    case OutputType::kF16:
      return DType::kF16;
    case OutputType::kBF16:
      return DType::kBF16;
    case OutputType::kQ8_0:
      return DType::kQ8_0;
  }
  return source;
}

void describeFileType(const Plan& plan, DType type, Metadata& metadata) {
  const bool packed = std::any_of(plan.tensors.begin(), plan.tensors.end(),
                                  [](const PlannedTensor& tensor) { return tensor.mxfp4.blocks != nullptr; });
  metadata.set("general.file_type", packed && type != DType::kQ8_0 ? kMostlyMxfp4 : fileType(type));
  metadata.set("general.quantization_version", kQuantizationVersion);
}

base::Result<void> writeFile(const Plan& plan, const Metadata& metadata, const std::filesystem::path& out,
                             const ConvertOptions& options, ConvertReport& report) {
  gguf::Writer writer;
  metadata.writeTo(writer);
  std::uint64_t overflows = 0;
  for (const PlannedTensor& tensor : plan.tensors) {
    const DType type = storedType(tensor, report.type);
    writer.addTensor(tensor.name, type, tensor.dims,
                     [&tensor, type, &overflows](const gguf::EmitBytes& emit) {
                       return streamTensor(tensor, type, emit, overflows);
                     });
    report.parameters += tensor.elements();
  }
  report.tensors = plan.tensors.size();
  report.typeName = kernels::dtypeInfo(report.type)->name;
  gguf::WriteOptions writing;
  writing.maxPartBytes = options.maxPartBytes;
  writing.progress = options.progress;
  QUERN_ASSIGN(report.files, writer.write(out, writing));
  for (const auto& file : report.files) {
    std::error_code code;
    report.fileBytes += std::filesystem::file_size(file, code);
  }
  if (overflows > 0) {
    report.notes.push_back(
        base::grouped(overflows) +
        " weights are too large for F16 and became infinite; convert with --type bf16 instead.");
  }
  return base::ok();
}

}  // namespace quern::engine::convert
