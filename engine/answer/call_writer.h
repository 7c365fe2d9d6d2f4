// Sections of tool calls as grammars, one model family's form each. The doors are call_grammar.h and
// tool_form.h.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answer/call_grammar.h"

namespace quern::engine::answer {

/// What of a section has been written already where its grammar begins.
enum class Opened : std::uint8_t {
  kNothing,  ///< the marker is the grammar's
  kMarker,   ///< the marker that opens a section
  kCall,     ///< that, and the one that opens the first call
  kObject,   ///< a bare form's "{"
  kList      ///< a bare form's "["
};

/// One form, one builder, one request's tools. Errors are those of schemas that cannot be enforced; with
/// CallGrammarOptions::anyArguments these become any JSON object.
class CallWriter {
 public:
  CallWriter(const ToolForm& form, grammar::GrammarBuilder& builder, std::vector<const Tool*> tools,
             const CallGrammarOptions& options)
      : form_(form), builder_(builder), tools_(std::move(tools)), options_(options) {}

  /// One section, and others where several calls may be made. `needsEnd`: its closing marker must come.
  base::Result<grammar::ExprId> calls(Opened opened, bool needsEnd = true);
  /// One call of the form whose calls are messages, from its header on.
  base::Result<grammar::ExprId> channelCall();
  /// Text of the form: what is a control token in it is written as one.
  grammar::ExprId markup(std::string_view text);

 private:
  grammar::ExprId literal(std::string_view bytes) { return builder_.literal(bytes); }
  base::Result<grammar::ExprId> anyCall(Opened opened);
  base::Result<grammar::ExprId> inside(Opened opened, bool hasLines);
  base::Result<grammar::ExprId> call(const Tool& tool, Opened opened);
  base::Result<grammar::ExprId> jsonCall(const Tool& tool, Opened opened);
  base::Result<grammar::ExprId> namedCall(const Tool& tool, Opened opened);
  base::Result<grammar::ExprId> taggedCall(const Tool& tool, Opened opened);
  base::Result<grammar::ExprId> pythonCall(const Tool& tool);
  base::Result<grammar::ExprId> arguments(const Tool& tool);
  base::Result<grammar::ExprId> schema(const nlohmann::ordered_json& schema,
                                       const nlohmann::ordered_json& otherwise);
  base::Result<grammar::ExprId> value(const nlohmann::ordered_json& schema);
  base::Result<grammar::ExprId> pythonValue(const nlohmann::ordered_json& schema);

  const ToolForm& form_;
  grammar::GrammarBuilder& builder_;
  std::vector<const Tool*> tools_;
  const CallGrammarOptions& options_;
  std::map<Opened, grammar::RuleId> anyCalls_;
  std::map<const Tool*, grammar::RuleId> arguments_;
};

}  // namespace quern::engine::answer
