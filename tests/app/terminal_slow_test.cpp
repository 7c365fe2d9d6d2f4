// The interactive chat over the real SmolLM2, typed into a terminal.

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/environment.h"
#include "tests/support/folder.h"

namespace quern {
namespace {

/// A program whose standard input and outputs are a terminal.
class Terminal {
 public:
  explicit Terminal(std::vector<std::string> arguments) {
    process_ = ::forkpty(&descriptor_, nullptr, nullptr, nullptr);
    if (process_ == 0) {
      std::string program = QUERN_PROGRAM;
      std::vector<char*> words = {program.data()};
      for (std::string& argument : arguments) words.push_back(argument.data());
      words.push_back(nullptr);
      ::execv(program.c_str(), words.data());
      ::_exit(127);
    }
  }
  ~Terminal() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    ::close(descriptor_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& text) { (void)!::write(descriptor_, text.data(), text.size()); }

  /// Waits until `text` is seen behind what earlier calls saw.
  bool sees(const std::string& text, int seconds = 60) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    for (;;) {
      const std::size_t at = shown_.find(text, seen_);
      if (at != std::string::npos) {
        seen_ = at + text.size();
        return true;
      }
      if (std::chrono::steady_clock::now() > until || !pump()) return false;
    }
  }
  /// The exit code, once it ends.
  int finish(int seconds = 20) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (pump()) {
      if (std::chrono::steady_clock::now() > until) return -1;
    }
    int status = 0;
    ::waitpid(process_, &status, 0);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string unseen() const { return shown_.substr(seen_); }

 private:
  bool pump() {
    pollfd one{descriptor_, POLLIN, 0};
    if (::poll(&one, 1, 100) == 0) return true;
    char buffer[4096];
    const ssize_t count = ::read(descriptor_, buffer, sizeof buffer);
    if (count <= 0) return false;
    shown_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  pid_t process_ = -1;
  int descriptor_ = -1;
  std::string shown_;
  std::size_t seen_ = 0;
};

class TerminalChat : public testing::Test {
 protected:
  void SetUp() override {
    const auto model = std::filesystem::path(QUERN_TEST_DATA) / "smollm2-135m-instruct-q4_1.gguf";
    if (!std::filesystem::exists(model))
      GTEST_SKIP() << model << " is missing: run packaging/fetch-test-data.sh";
    std::filesystem::create_directories(folder_ / "data/models");
    std::filesystem::create_symlink(model, folder_ / "data/models/smollm2.gguf");
  }

  test::Folder folder_;
  test::Environment home_{"QUERN_HOME", folder_.path().c_str()};
  test::Environment terminal_{"TERM", "xterm"};
};

TEST_F(TerminalChat, AnswersObeysCommandsAndKeepsAHistory) {
  {
    Terminal chat({"run", "smollm2", "--temp", "0", "-n", "40"});
    ASSERT_TRUE(chat.sees("/help for help")) << chat.unseen();
    ASSERT_TRUE(chat.sees("> "));
    chat.type("What is gravity?\r");
    EXPECT_TRUE(chat.sees("physics")) << chat.unseen();
    EXPECT_TRUE(chat.sees("> "));
    chat.type("/stats\r");
    EXPECT_TRUE(chat.sees("Numbers follow"));
    chat.type("/retry\r");
    EXPECT_TRUE(chat.sees("physics")) << chat.unseen();
    EXPECT_TRUE(chat.sees("tok/s"));
    chat.type("/nonsense\r");
    EXPECT_TRUE(chat.sees("There is no command \"/nonsense\""));
    chat.type("/clear\r");
    EXPECT_TRUE(chat.sees("forgotten"));
    chat.type("/retry\r");
    EXPECT_TRUE(chat.sees("Nothing has been asked yet"));
    EXPECT_TRUE(chat.sees("> "));  // before that it would mean something to the terminal, not to the reader
    chat.type("\x04");             // Ctrl-D
    EXPECT_EQ(chat.finish(), 0);
  }
  std::ifstream history(folder_ / "data/history");
  std::string first;
  std::getline(history, first);
  EXPECT_EQ(first, "What is gravity?");
  EXPECT_EQ(std::filesystem::status(folder_ / "data/history").permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(TerminalChat, CtrlCStopsTheAnswerAndTheChatGoesOn) {
  Terminal chat({"run", "smollm2", "--temp", "0.7", "--seed", "3", "-n", "2000"});
  ASSERT_TRUE(chat.sees("> ")) << chat.unseen();
  chat.type("Write a very long story about a miller and her quern.\r");
  ASSERT_TRUE(chat.sees("\r\n")) << chat.unseen();  // the typed line's end
  ASSERT_TRUE(chat.sees(" the ")) << chat.unseen();
  chat.type("\x03");
  EXPECT_TRUE(chat.sees("> ", 5)) << chat.unseen();
  chat.type("\x03");
  EXPECT_TRUE(chat.sees("Ctrl-C once more", 5)) << chat.unseen();
  chat.type("\x03");
  EXPECT_EQ(chat.finish(), 0) << chat.unseen();
}

}  // namespace
}  // namespace quern
