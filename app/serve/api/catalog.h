// Which models may be asked for, and by which names. Never a path: what a stranger writes is only ever
// compared with names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace quern::app::serve {

struct ServedModel {
  std::string name;
  std::filesystem::path path;
  std::uint64_t sizeBytes = 0;
  std::int64_t modifiedMs = 0;  ///< Unix time
};

class Catalog {
 public:
  /// `named`: what the server was started with, the first of them for requests that name none. With
  /// `installed` the models folder's are served, too.
  Catalog(std::vector<ServedModel> named, bool installed);

  /// Reads the models folder: for a worker. Named ones first, then by name.
  std::vector<ServedModel> all() const;
  /// By name, in which a ":latest" (Ollama's) and a ".gguf" at the end say nothing; empty: the first named,
  /// or the only one that is installed.
  std::optional<ServedModel> find(std::string_view name) const;
  /// Why find() found nothing, with the names that it would have found.
  std::string whyNot(std::string_view name) const;

 private:
  std::vector<ServedModel> named_;
  bool installed_;
};

}  // namespace quern::app::serve
