// quern show MODEL

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/cli/command.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/model/adapter.h"
#include "engine/scheduler/engine.h"
#include "engine/tokenizer/tokenizer.h"

namespace quern::app {
namespace {

using Json = nlohmann::ordered_json;
using engine::gguf::Value;
using engine::gguf::ValueType;

/// Longer arrays (vocabularies) are told by their type and length.
constexpr std::uint64_t kShownElements = 64;

struct Arguments {
  std::string model;
  bool tensors = false;
  bool json = false;
};

const char* typeName(ValueType type) {
  static constexpr const char* kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                           "bool", "string", "array", "u64", "i64", "f64"};
  const auto index = static_cast<std::size_t>(type);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

Json valueJson(const Value& value) {
  if (const auto text = value.asString()) return std::string(*text);
  if (const auto truth = value.asBool()) return *truth;
  if (const auto number = value.asUnsigned()) return *number;
  if (const auto number = value.asInteger()) return *number;
  if (const auto number = value.asNumber()) return *number;
  if (value.count() > kShownElements) {
    return Json{{"array_of", typeName(value.elementType())}, {"count", value.count()}};
  }
  Json array = Json::array();
  if (const auto texts = value.asStrings()) {
    for (const auto text : *texts) array.push_back(std::string(text));
  } else if (const auto floats = value.asFloats()) {
    for (const float number : *floats) array.push_back(number);
  } else if (const auto integers = value.asIntegers()) {
    for (const std::int64_t number : *integers) array.push_back(number);
  }
  return array;
}

std::string valueText(const Value& value) {
  if (const auto text = value.asString()) return engine::base::printable(*text, 100);
  if (value.isArray()) {
    return engine::base::grouped(value.count()) + " × " + typeName(value.elementType());
  }
  return valueJson(value).dump();
}

std::string dimsText(const engine::gguf::Tensor& tensor) {
  std::string text;
  for (const std::uint64_t dim : tensor.dims) text += (text.empty() ? "" : " × ") + std::to_string(dim);
  return text.empty() ? "1" : text;
}

std::string tensorTypeName(const engine::gguf::Tensor& tensor) {
  return std::string(engine::gguf::typeName(tensor));
}

/// "bpe/llama-bpe", or why there is none.
std::string tokenizerText(const engine::gguf::File& file) {
  const auto tokenizer = engine::tokenizer::Tokenizer::fromGguf(file);
  return tokenizer ? (*tokenizer)->description() : tokenizer.error().message();
}

/// What an adapter's file says, without the model that it was made for.
struct AdapterFacts {
  std::string type;  ///< "lora"
  double alpha = 0;  ///< 0: the file names none
  std::size_t matrices = 0;
  std::uint64_t leastRank = UINT64_MAX;
  std::uint64_t mostRank = 0;
};

AdapterFacts adapterFacts(const engine::gguf::File& file) {
  AdapterFacts facts;
  if (const Value* type = file.find("adapter.type")) facts.type = type->asString().value_or("");
  if (const Value* alpha = file.find("adapter.lora.alpha")) facts.alpha = alpha->asNumber().value_or(0);
  for (const auto& tensor : file.tensors()) {
    // Of both factors the rank is the smaller side, but for matrices as small as that; B's rows have its
    // length.
    if (!tensor.name.ends_with(".lora_b")) continue;
    ++facts.matrices;
    facts.leastRank = std::min(facts.leastRank, tensor.rowElements());
    facts.mostRank = std::max(facts.mostRank, tensor.rowElements());
  }
  if (facts.matrices == 0) facts.leastRank = 0;
  return facts;
}

std::string rankText(const AdapterFacts& facts) {
  const std::string most = engine::base::grouped(facts.mostRank);
  return facts.leastRank == facts.mostRank ? most : engine::base::grouped(facts.leastRank) + " to " + most;
}

std::vector<std::vector<std::string>> adapterRows(const engine::gguf::File& file,
                                                  const engine::scheduler::ModelInfo& info) {
  const AdapterFacts facts = adapterFacts(file);
  return {
      {"name", engine::base::printable(info.name)},
      {"kind", "adapter (" + engine::base::printable(facts.type) + "), for a model of the architecture \"" +
                   engine::base::printable(info.architecture) + "\"; quern run MODEL --lora FILE"},
      {"changes", engine::base::grouped(facts.matrices) + " matrices"},
      {"rank", rankText(facts)},
      {"alpha", facts.alpha == 0 ? "the rank" : valueText(*file.find("adapter.lora.alpha"))},
      {"quantization", info.quantization},
      {"parameters", parameterText(info.parameters)}};
}

std::vector<std::vector<std::string>> modelRows(const engine::gguf::File& file,
                                                const engine::scheduler::ModelInfo& info) {
  return {{"name", engine::base::printable(info.name)},
          {"architecture", engine::base::printable(info.architecture)},
          {"quantization", info.quantization},
          {"parameters", parameterText(info.parameters)},
          {"layers", std::to_string(info.layers)},
          {"context", engine::base::grouped(static_cast<std::uint64_t>(info.trainedContext)) + " tokens"},
          {"vocabulary", engine::base::grouped(static_cast<std::uint64_t>(info.vocabularySize)) + " tokens"},
          {"tokenizer", tokenizerText(file)},
          {"chat template", info.hasChatTemplate ? "yes" : "no"},
          {"pooling", std::string(engine::scheduler::poolingName(info.pooling))}};
}

void printText(const engine::gguf::File& file, const engine::scheduler::ModelInfo& info, bool tensors) {
  auto facts = engine::model::isAdapter(file) ? adapterRows(file, info) : modelRows(file, info);
  const std::vector<std::vector<std::string>> ends = {
      {"file", file.path().string()},
      {"size", engine::base::byteText(info.fileBytes)},
      {"format", "GGUF version " + std::to_string(file.version()) + ", " +
                     engine::base::grouped(file.tensors().size()) + " tensors"}};
  facts.insert(facts.end(), ends.begin(), ends.end());
  printTable(facts);
  std::puts("\nmetadata");
  std::vector<std::vector<std::string>> rows;
  for (const auto& entry : file.metadata()) {
    rows.push_back({"  " + engine::base::printable(entry.key), valueText(entry.value)});
  }
  printTable(rows);
  if (!tensors) return;
  std::puts("\ntensors");
  rows.clear();
  for (const auto& tensor : file.tensors()) {
    rows.push_back({"  " + engine::base::printable(tensor.name), tensorTypeName(tensor), dimsText(tensor),
                    engine::base::byteText(tensor.data.size())});
  }
  printTable(rows, {3});
}

Json factsJson(const engine::gguf::File& file, const engine::scheduler::ModelInfo& info) {
  Json document = {{"name", info.name},
                   {"architecture", info.architecture},
                   {"quantization", info.quantization},
                   {"parameters", info.parameters}};
  if (engine::model::isAdapter(file)) {
    const AdapterFacts facts = adapterFacts(file);
    document["adapter"] = {{"type", facts.type},
                           {"alpha", facts.alpha},
                           {"matrices", facts.matrices},
                           {"least_rank", facts.leastRank},
                           {"most_rank", facts.mostRank}};
    return document;
  }
  document.update(Json{{"layers", info.layers},
                       {"context", info.trainedContext},
                       {"vocabulary", info.vocabularySize},
                       {"tokenizer", tokenizerText(file)},
                       {"chat_template", info.hasChatTemplate},
                       {"pooling", engine::scheduler::poolingName(info.pooling)}});
  return document;
}

Json toJson(const engine::gguf::File& file, const engine::scheduler::ModelInfo& info, bool tensors) {
  Json document = factsJson(file, info);
  document.update(Json{{"path", file.path().string()},
                       {"size_bytes", info.fileBytes},
                       {"gguf_version", file.version()},
                       {"alignment", file.alignment()},
                       {"tensor_count", file.tensors().size()}});
  Json metadata = Json::object();
  for (const auto& entry : file.metadata()) metadata[std::string(entry.key)] = valueJson(entry.value);
  document["metadata"] = std::move(metadata);
  if (tensors) {
    Json list = Json::array();
    for (const auto& tensor : file.tensors()) {
      list.push_back({{"name", std::string(tensor.name)},
                      {"type", tensorTypeName(tensor)},
                      {"dims", tensor.dims},
                      {"size_bytes", tensor.data.size()}});
    }
    document["tensors"] = std::move(list);
  }
  return document;
}

int show(const Arguments& arguments) {
  const auto path = engine::hub::resolveModel(arguments.model);
  if (!path) return fail(path.error());
  const auto file = engine::gguf::File::open(*path);
  if (!file) return fail(file.error());
  const auto info = engine::scheduler::inspect(**file);
  if (!info) return fail(info.error());
  if (arguments.json) {
    printJson(toJson(**file, *info, arguments.tensors));
  } else {
    printText(**file, *info, arguments.tensors);
  }
  return kOk;
}

}  // namespace

void addShowCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("show", "What a model file, or an adapter, says of itself");
  command->add_option("MODEL", arguments->model, "An installed name or a path")->required();
  command->add_flag("--tensors", arguments->tensors, "Every tensor with its type, dimensions and bytes");
  command->add_flag("--json", arguments->json, "As JSON");
  command->callback([arguments, &action] { action = [arguments] { return show(*arguments); }; });
}

}  // namespace quern::app
