// quern convert: a folder from Hugging Face → a GGUF file.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/cli/command.h"
#include "app/cli/interrupt.h"
#include "app/cli/output.h"
#include "engine/base/text.h"
#include "engine/convert/convert.h"

namespace quern::app {
namespace {

namespace convert = engine::convert;
using Json = nlohmann::ordered_json;

struct Arguments {
  std::string folder;
  std::string out;
  std::string type = "auto";
  std::string name;
  std::string base;
  double partGigabytes = 0;
  bool json = false;
};

Json toJson(const convert::ConvertReport& report) {
  Json files = Json::array();
  for (const auto& file : report.files) files.push_back(file.string());
  return {{"files", std::move(files)},           {"kind", report.kind},
          {"architecture", report.architecture}, {"type", report.typeName},
          {"tensors", report.tensors},           {"parameters", report.parameters},
          {"tokenizer", report.tokenizer},       {"vocabulary", report.vocabulary},
          {"source_bytes", report.sourceBytes},  {"file_bytes", report.fileBytes},
          {"left_out", report.leftOut},          {"notes", report.notes}};
}

void printText(const convert::ConvertReport& report) {
  for (const auto& file : report.files) std::printf("%s\n", file.c_str());
  std::fprintf(stderr, "%s %s, %s parameters in %s tensors, matrices %s, %s\n", report.architecture.c_str(),
               report.kind.c_str(), parameterText(report.parameters).c_str(),
               engine::base::grouped(report.tensors).c_str(), report.typeName.c_str(),
               engine::base::byteText(report.fileBytes).c_str());
  if (!report.tokenizer.empty()) {
    std::fprintf(stderr, "tokenizer %s, %s tokens\n", report.tokenizer.c_str(),
                 engine::base::grouped(report.vocabulary).c_str());
  }
  if (!report.leftOut.empty()) {
    std::fprintf(stderr, "left out: %s (%s tensors)\n",
                 engine::base::printable(report.leftOut.front()).c_str(),
                 engine::base::grouped(report.leftOut.size()).c_str());
  }
  for (const std::string& note : report.notes) std::fprintf(stderr, "note: %s\n", note.c_str());
}

int run(const Arguments& arguments) {
  const auto type = convert::parseOutputType(arguments.type);
  if (!type) {
    fail(type.error());
    return kWrongUse;
  }
  convert::ConvertOptions options;
  options.type = *type;
  options.name = arguments.name;
  options.base = arguments.base;
  options.maxPartBytes = static_cast<std::uint64_t>(arguments.partGigabytes * 1e9);
  clearInterrupt();
  const InterruptWatch watch;
  StatusLine status;
  int shown = -1;
  options.progress = [&](double fraction) {
    const int percent = static_cast<int>(fraction * 100);
    if (percent != shown) status.show("converting  " + std::to_string(shown = percent) + " %");
    return !interrupted();
  };
  const auto report = convert::convertFolder(arguments.folder, arguments.out, options);
  status.clear();
  if (!report) return fail(report.error());
  if (arguments.json) {
    printJson(toJson(*report));
  } else {
    printText(*report);
  }
  return kOk;
}

}  // namespace

void addConvertCommand(CLI::App& app, Action& action) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("convert", "Make a GGUF file of a folder with safetensors");
  command
      ->add_option("DIR", arguments->folder, "config.json, *.safetensors and a tokenizer; or a LoRA adapter")
      ->required();
  command->add_option("OUT", arguments->out, "The GGUF file to write")->required();
  command->add_option("--type", arguments->type,
                      "What matrices become: auto (as they are), f32, f16, bf16, q8_0");
  command->add_option("--name", arguments->name, "The model's name in the file; the folder's if not given");
  command->add_option("--base", arguments->base,
                      "For a LoRA adapter: the folder of the model that it adapts");
  command->add_option("--split-gb", arguments->partGigabytes, "Write parts of at most so many gigabytes")
      ->check(CLI::Range(0.001, 1e6));
  command->add_flag("--json", arguments->json, "Report as JSON");
  command->callback([arguments, &action] { action = [arguments] { return run(*arguments); }; });
}

}  // namespace quern::app
