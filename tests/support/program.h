// Runs a program the way a shell does: arguments, standard input, both outputs, the exit code.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

namespace quern::test {

struct Outcome {
  int code = -1;  ///< the exit code, or minus the signal that ended it
  std::string out;
  std::string err;
};

/// A program that is running. `input` is all of its standard input; without one it reads from /dev/null.
class Program {
 public:
  Program(const std::string& path, std::vector<std::string> arguments, std::string input = "")
      : input_(std::move(input)) {
    int in[2];
    int out[2];
    int err[2];
    if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0 || ::pipe2(err, O_CLOEXEC) != 0)
      std::abort();
    process_ = ::fork();
    if (process_ == 0) {
      ::dup2(in[0], 0);
      ::dup2(out[1], 1);
      ::dup2(err[1], 2);
      std::vector<char*> words = {const_cast<char*>(path.c_str())};
      for (std::string& argument : arguments) words.push_back(argument.data());
      words.push_back(nullptr);
      ::execv(path.c_str(), words.data());
      ::_exit(127);
    }
    ::close(in[0]);
    ::close(out[1]);
    ::close(err[1]);
    in_ = in[1];
    out_ = out[0];
    err_ = err[0];
    std::signal(SIGPIPE, SIG_IGN);
  }
  ~Program() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      ::waitpid(process_, nullptr, 0);
    }
    closeAll();
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void signal(int number) const { ::kill(process_, number); }

  /// Waits until its standard output holds `text`; false when it ended before or `limit` passed.
  bool waitForOutput(const std::string& text, std::chrono::seconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (outcome_.out.find(text) == std::string::npos) {
      if (std::chrono::steady_clock::now() > until || !pump()) break;
    }
    return outcome_.out.find(text) != std::string::npos;
  }

  /// What has come of its standard output so far.
  const std::string& output() const { return outcome_.out; }

  /// Waits for its end; kills it after `limit`.
  Outcome finish(std::chrono::seconds limit = std::chrono::seconds(60)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (pump()) {
      if (std::chrono::steady_clock::now() > until) ::kill(process_, SIGKILL);
    }
    int status = 0;
    ::waitpid(process_, &status, 0);
    process_ = -1;
    outcome_.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return outcome_;
  }

 private:
  /// Moves what can be moved; false once both outputs are closed.
  bool pump() {
    pollfd all[3] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}, {in_, POLLOUT, 0}};
    ::poll(all, 3, 100);
    if (in_ >= 0 && (input_.empty() || (all[2].revents & (POLLERR | POLLHUP)) != 0)) {
      ::close(in_);
      in_ = -1;
    } else if ((all[2].revents & POLLOUT) != 0) {
      const ssize_t written = ::write(in_, input_.data(), input_.size());
      if (written > 0) input_.erase(0, static_cast<std::size_t>(written));
    }
    take(out_, all[0].revents, outcome_.out);
    take(err_, all[1].revents, outcome_.err);
    return out_ >= 0 || err_ >= 0;
  }
  static void take(int& descriptor, short events, std::string& text) {
    if (descriptor < 0 || (events & (POLLIN | POLLHUP)) == 0) return;
    char buffer[4096];
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count > 0) {
      text.append(buffer, static_cast<std::size_t>(count));
    } else {
      ::close(descriptor);
      descriptor = -1;
    }
  }
  void closeAll() {
    for (const int descriptor : {in_, out_, err_}) {
      if (descriptor >= 0) ::close(descriptor);
    }
  }

  std::string input_;
  pid_t process_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  Outcome outcome_;
};

inline Outcome runProgram(const std::string& path, std::vector<std::string> arguments,
                          std::string input = "") {
  return Program(path, std::move(arguments), std::move(input)).finish();
}

}  // namespace quern::test
