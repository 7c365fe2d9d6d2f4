#include "app/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/interrupt.h"
#include "engine/base/text.h"

namespace quern::app {
namespace {

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  std::fflush(stdout);
}

/// Columns that a text takes, for text without wide characters.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

void printJson(const nlohmann::ordered_json& document) {
  print(document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void printJsonLine(const nlohmann::ordered_json& document) {
  print(document.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void printTable(const std::vector<std::vector<std::string>>& rows, const std::vector<std::size_t>& right) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - width(row[i]), ' ');
      const bool toRight = std::find(right.begin(), right.end(), i) != right.end();
      if (i > 0) line += "  ";
      line += toRight ? gap + row[i] : row[i] + gap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::puts(line.c_str());
  }
}

std::string fixedText(double number, int decimals) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*f", decimals, number);
  return buffer;
}

std::string parameterText(std::uint64_t parameters) {
  const auto count = static_cast<double>(parameters);
  if (count >= 1e9) return fixedText(count / 1e9, count < 1e10 ? 2 : 1) + " B";
  if (count >= 1e6) return fixedText(count / 1e6, count < 1e7 ? 2 : 0) + " M";
  return engine::base::grouped(parameters);
}

StatusLine::StatusLine() : terminal_(::isatty(STDERR_FILENO) == 1) {}
StatusLine::~StatusLine() { clear(); }

void StatusLine::show(const std::string& text) {
  if (!terminal_) return;
  std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
  std::fflush(stderr);
  shown_ = true;
}

void StatusLine::clear() {
  if (!shown_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

engine::runtime::Progress loadingProgress(StatusLine& line, std::string name) {
  return [&line, name = engine::base::printable(name), last = -1](double fraction) mutable {
    const int percent = static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100);
    if (percent != last) {
      last = percent;
      constexpr int kBar = 24;
      std::string bar;
      for (int i = 0; i < kBar; ++i) bar += i * 100 < percent * kBar ? "━" : "─";
      line.show("Loading " + name + " " + bar + " " + std::to_string(percent) + " %");
    }
    return !interrupted();
  };
}

}  // namespace quern::app
