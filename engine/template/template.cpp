// The room's door: limits that need no parsing, and where Failures become Errors.

#include "engine/template/template.h"

#include <new>
#include <nlohmann/json.hpp>

#include "engine/base/text.h"
#include "engine/template/interpreter.h"
#include "engine/template/machine.h"
#include "engine/template/syntax.h"

namespace quern::engine::chat {

struct Template::Program {
  std::unique_ptr<jinja::Code> code;
  std::string source;
};

namespace {

base::Error toError(const jinja::Failure& failure) {
  if (failure.code == base::ErrorCode::kInvalidArgument) return {failure.code, failure.message};
  std::string sentence = "The chat template cannot be used";
  if (failure.line > 0) sentence += " (line " + std::to_string(failure.line) + ")";
  return {failure.code, sentence + ": " + failure.message};
}

base::Error outOfMemory() {
  return {base::ErrorCode::kOutOfMemory, "There is not enough memory for the chat template."};
}

}  // namespace

Template::Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string_view Template::source() const { return program_->source; }

base::Result<Template> Template::parse(std::string_view source, const Limits& limits) {
  if (source.size() > limits.sourceBytes) {
    return base::Error(base::ErrorCode::kLimit, "The chat template has " + base::byteText(source.size()) +
                                                    ", more than the " + base::byteText(limits.sourceBytes) +
                                                    " that are taken.");
  }
  try {
    auto program = std::make_shared<Program>();
    program->code = jinja::parseTokens(jinja::tokenize(source), limits);
    program->source = source;
    return Template(std::move(program));
  } catch (const jinja::Failure& failure) {
    return toError(failure);
  } catch (const std::bad_alloc&) {
    return outOfMemory();
  }
}

base::Result<std::string> Template::render(const nlohmann::ordered_json& variables,
                                           const RenderOptions& options) const {
  if (!variables.is_object()) {
    return base::Error(base::ErrorCode::kInvalidArgument,
                       "The variables of a chat template must be an object.");
  }
  try {
    jinja::Machine machine(options.limits, options.now);
    return jinja::Interpreter(*program_->code, machine, variables).run();
  } catch (const jinja::Failure& failure) {
    return toError(failure);
  } catch (const std::bad_alloc&) {
    return outOfMemory();
  }
}

}  // namespace quern::engine::chat
