// Chat templates: an interpreter for the part of Jinja that models ship, equal byte by byte to Python's
// jinja2 as transformers configures it (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop
// controls, `tojson`, `raise_exception`, `strftime_now`), with limits, since a template is somebody else's
// program.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace quern::engine::chat {

struct Limits {
  std::uint64_t steps = 5'000'000;       ///< evaluated nodes
  std::size_t depth = 200;               ///< nesting of syntax, macros and values
  std::size_t outputBytes = 16u << 20;   ///< rendered text and any one intermediate string
  std::size_t memoryBytes = 256u << 20;  ///< values made while rendering, added up
  std::size_t sourceBytes = 1u << 20;
};

struct RenderOptions {
  Limits limits;
  /// Local time that `strftime_now` sees: "2026-03-07 12:30:05"; empty means the clock.
  std::string now;
};

/// A parsed template. Immutable; may be rendered by several threads at once.
class Template {
 public:
  /// Errors: kMalformed with line number, kLimit.
  static base::Result<Template> parse(std::string_view source, const Limits& limits = {});
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  /// `variables`: an object; its members become the template's variables (messages, tools, bos_token, …) in
  /// order. Errors: kInvalidArgument when the template raises (its own message), kLimit, kMalformed (a type
  /// error, with line).
  base::Result<std::string> render(const nlohmann::ordered_json& variables,
                                   const RenderOptions& options = {}) const;

  /// What parse() was given; as long as the template.
  std::string_view source() const;

 private:
  struct Program;
  explicit Template(std::shared_ptr<const Program> program);
  std::shared_ptr<const Program> program_;
};

}  // namespace quern::engine::chat
