// A line typed at a prompt, with editing and a history that is kept.
#pragma once

#include <optional>
#include <string>

namespace quern::app {

/// GNU readline behind a small face. One at a time, on the main thread, with an InterruptWatch alive.
class LineReader {
 public:
  /// Reads the history from base::dataFolder()/history.
  LineReader();
  ~LineReader();  ///< writes it back, readable by its owner only
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// A line without its newline; nullopt at the end (Ctrl-D, or Ctrl-C twice at an empty prompt).
  std::optional<std::string> read(const std::string& prompt);
};

}  // namespace quern::app
