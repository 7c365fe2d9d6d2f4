// The rooms' arrows point one way: app → ui → engine → kernels. Read from the sources' own #include lines.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace quern {
namespace {

namespace fs = std::filesystem;
const fs::path kSource = QUERN_SOURCE_DIR;
constexpr int kMaxLines = 800;

struct Include {
  fs::path file;  ///< relative to the source folder
  int line;
  std::string target;  ///< what stands between the quotes or brackets
};

bool isSource(const fs::path& path) {
  static const std::set<std::string> kEndings = {".h", ".cpp", ".cu", ".cuh"};
  return kEndings.count(path.extension().string()) > 0;
}

std::vector<fs::path> sourcesOf(const std::string& room) {
  std::vector<fs::path> files;
  if (!fs::exists(kSource / room)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(kSource / room)) {
    if (entry.is_regular_file() && isSource(entry.path()))
      files.push_back(fs::relative(entry.path(), kSource));
  }
  return files;
}

/// The target of an #include line, however it is spaced; empty for any other line.
std::string includeTarget(const std::string& line) {
  std::size_t at = line.find_first_not_of(" \t");
  if (at == std::string::npos || line[at] != '#') return "";
  at = line.find_first_not_of(" \t", at + 1);
  if (at == std::string::npos || line.compare(at, 7, "include") != 0) return "";
  at = line.find_first_of("\"<", at);
  if (at == std::string::npos) return "";
  const std::size_t end = line.find_first_of("\">", at + 1);
  return end == std::string::npos ? "" : line.substr(at + 1, end - at - 1);
}

std::vector<Include> includesOf(const std::string& room) {
  std::vector<Include> includes;
  for (const fs::path& file : sourcesOf(room)) {
    std::ifstream stream(kSource / file);
    std::string text;
    for (int line = 1; std::getline(stream, text); ++line) {
      if (std::string target = includeTarget(text); !target.empty()) includes.push_back({file, line, target});
    }
  }
  return includes;
}

bool startsWithAny(const std::string& text, const std::vector<std::string>& starts) {
  for (const std::string& start : starts) {
    if (text.rfind(start, 0) == 0) return true;
  }
  return false;
}

/// <QString> and <QtGlobal>, but not a header of our own.
bool isQt(const std::string& target) {
  return target.size() > 1 && target[0] == 'Q' &&
         (std::isupper(static_cast<unsigned char>(target[1])) || target[1] == 't');
}

bool isIntrinsics(const std::string& target) {
  return target.ends_with("intrin.h") || target == "arm_neon.h" || target == "arm_sve.h" ||
         target == "cpuid.h";
}

/// No include of `room` may be one that `forbidden` names.
void expectNone(const std::string& room, const std::function<bool(const std::string&)>& forbidden) {
  const auto includes = includesOf(room);
  for (const Include& include : includes) {
    EXPECT_FALSE(forbidden(include.target))
        << include.file.string() << ":" << include.line << " includes " << include.target;
  }
}

TEST(Architecture, TheTestSeesTheSources) {
  EXPECT_GT(includesOf("engine").size(), 100U);
  EXPECT_GT(includesOf("kernels").size(), 20U);
  EXPECT_GT(includesOf("app").size(), 5U);
  EXPECT_EQ(includeTarget("  #  include <QString>  // why"), "QString");
  EXPECT_EQ(includeTarget("#include \"ui/window.h\""), "ui/window.h");
  EXPECT_EQ(includeTarget("#define include <x>"), "");
  EXPECT_TRUE(isQt("QtGlobal") && isQt("QWidget") && !isQt("Quern/x.h") && !isQt("queue"));
}

TEST(Architecture, KernelsKnowNumbersOnly) {
  expectNone("kernels", [](const std::string& target) {
    // Of the project kernels include only kernels; from outside only the standard library, intrinsics and
    // CUDA.
    if (target.rfind("kernels/", 0) == 0 || isIntrinsics(target)) return false;
    const bool ownProject = startsWithAny(target, {"engine/", "ui/", "app/", "tests/"});
    const bool cuda =
        startsWithAny(target, {"cuda", "cublas", "cooperative_groups", "mma.h", "cute/", "cutlass/"});
    const bool standard =
        target.find('/') == std::string::npos && target.find('.') == std::string::npos && !isQt(target);
    return ownProject || !(cuda || standard);
  });
}

TEST(Architecture, TheEngineHasNoQtNoIntrinsicsAndLooksDownOnly) {
  expectNone("engine", [](const std::string& target) {
    return isQt(target) || isIntrinsics(target) ||
           startsWithAny(target, {"ui/", "app/", "tests/", "kernels/cpu/avx", "kernels/cuda/"});
  });
}

TEST(Architecture, OnlyTheRuntimeChoosesKernels) {
  // Formats and their decoding are everybody's in the engine; the tables of fast kernels are the backend's.
  for (const Include& include : includesOf("engine")) {
    const std::string file = include.file.generic_string();
    if (file.rfind("engine/runtime/", 0) == 0) continue;
    EXPECT_NE(include.target.rfind("kernels/cpu/", 0), 0U)
        << file << ":" << include.line << " includes " << include.target;
  }
}

TEST(Architecture, TheWindowSeesNeitherKernelsNorApp) {
  expectNone("ui", [](const std::string& target) {
    return isIntrinsics(target) || startsWithAny(target, {"kernels/", "app/", "tests/"});
  });
}

TEST(Architecture, TheAppGoesThroughTheEngine) {
  expectNone("app", [](const std::string& target) {
    return isIntrinsics(target) || startsWithAny(target, {"kernels/", "tests/"});
  });
}

TEST(Architecture, FilesAreReadInOneSitting) {
  for (const char* room : {"app", "ui", "engine", "kernels", "tests"}) {
    for (const fs::path& file : sourcesOf(room)) {
      std::ifstream stream(kSource / file);
      std::string text;
      int lines = 0;
      while (std::getline(stream, text)) ++lines;
      EXPECT_LE(lines, kMaxLines) << file.string();
    }
  }
}

}  // namespace
}  // namespace quern
