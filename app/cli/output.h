// What verbs print: JSON, tables, a thin progress line.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/runtime/backend.h"

namespace quern::app {

/// One document on stdout, indented, and a newline. Bytes that are not UTF-8 become U+FFFD.
void printJson(const nlohmann::ordered_json& document);
/// The same on one line, for a stream of documents.
void printJsonLine(const nlohmann::ordered_json& document);

/// Left-aligned columns, two spaces between them; columns named in `right` (by index) are right-aligned.
void printTable(const std::vector<std::vector<std::string>>& rows,
                const std::vector<std::size_t>& right = {});

/// 134515008 → "135 M", 1,235,000,000 → "1.24 B": how people say numbers of parameters.
std::string parameterText(std::uint64_t parameters);
/// `number` with `decimals` digits behind the point.
std::string fixedText(double number, int decimals);

/// A line on stderr that replaces itself; nothing at all where stderr is no terminal.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  ///< removes the line
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  void show(const std::string& text);
  void clear();

 private:
  bool terminal_;
  bool shown_ = false;
};

/// Progress of loading `name`: a bar on `line`, and a stop on Ctrl-C while an InterruptWatch lives. `line`
/// must outlive it.
engine::runtime::Progress loadingProgress(StatusLine& line, std::string name);

}  // namespace quern::app
