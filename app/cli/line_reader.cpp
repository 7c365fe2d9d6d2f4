#include "app/cli/line_reader.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
// readline's headers want stdio's before them.
#include <readline/history.h>
#include <readline/readline.h>

#include "app/cli/interrupt.h"
#include "engine/base/places.h"

namespace quern::app {
namespace {

constexpr int kHistoryLines = 1000;

// readline's callback has no argument of ours to carry this.
bool gDone = false;   // a line or the end has come
bool gEnded = false;  // … the end
std::string gLine;

void onLine(char* line) {
  // Here and not later: readline would show the prompt once more when this returns.
  rl_callback_handler_remove();
  gDone = true;
  gEnded = line == nullptr;
  if (gEnded) return;
  gLine = line;
  std::free(line);
}

std::filesystem::path historyFile() { return engine::base::dataFolder() / "history"; }

}  // namespace

LineReader::LineReader() {
  rl_readline_name = "quern";
  rl_catch_signals = 0;          // Ctrl-C is InterruptWatch's
  rl_bind_key('\t', rl_insert);  // no completion of file names in a chat
  using_history();
  stifle_history(kHistoryLines);
  (void)read_history(historyFile().c_str());
}

LineReader::~LineReader() {
  std::error_code ignored;
  std::filesystem::create_directories(historyFile().parent_path(), ignored);
  const mode_t before = ::umask(077);
  (void)write_history(historyFile().c_str());
  ::umask(before);
}

std::optional<std::string> LineReader::read(const std::string& prompt) {
  // The callback interface: waiting is ours, so that a signal is seen at once.
  bool warned = false;
  clearInterrupt();
  gDone = false;
  gEnded = true;
  rl_callback_handler_install(prompt.c_str(), onLine);
  while (!gDone) {
    pollfd waiting{STDIN_FILENO, POLLIN, 0};
    const int ready = ::poll(&waiting, 1, 200);
    if (interrupted()) {
      clearInterrupt();
      const bool empty = rl_end == 0;
      rl_replace_line("", 1);
      if (empty && warned) break;
      std::fputs(empty ? "\n(Ctrl-C once more or Ctrl-D ends the chat.)" : "^C", stdout);
      warned = empty;
      rl_crlf();
      rl_on_new_line();
      rl_redisplay();
      continue;
    }
    if (ready < 0 && errno != EINTR) break;
    if (ready > 0) {
      rl_callback_read_char();
      if (!gDone && rl_end > 0) warned = false;
    }
  }
  if (!gDone) rl_callback_handler_remove();
  if (gEnded) {
    std::fputc('\n', stdout);
    return std::nullopt;
  }
  const std::string line = gLine;
  HIST_ENTRY** entries = history_list();
  const bool repeated = entries != nullptr && history_length > 0 && line == entries[history_length - 1]->line;
  if (!line.empty() && !repeated) add_history(line.c_str());
  return line;
}

}  // namespace quern::app
