// Answers that outlive the server: the durable side of AnswerCache, a SQLite file with a row an answer. It is
// read whole when it is opened; everything later is written by a thread of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/serve/api/answer_cache.h"
#include "engine/base/result.h"

namespace quern::app::serve {

struct FiledAnswer {
  std::int64_t id = 0;
  std::string key;
  KeptAnswers answers;
};

/// keep(), touch() and drop() may be called from any thread and never wait for the disk; where it falls far
/// behind, answers and touches are left out.
class AnswerFile {
 public:
  using Notice = std::function<void(const std::string& sentence)>;

  /// Blocks. The file is for its owner alone and never larger than `mostBytes`. A damaged one is set aside as
  /// "….broken", which `notice` is told, and an empty one begun. Errors: kIo, also where another process has
  /// it open. `notice` is called from the file's thread later: when writing fails, after which nothing is
  /// written.
  static engine::base::Result<std::unique_ptr<AnswerFile>> open(const std::filesystem::path& path,
                                                                std::size_t mostBytes, Notice notice);
  /// Writes what is still queued.
  ~AnswerFile();
  AnswerFile(const AnswerFile&) = delete;
  AnswerFile& operator=(const AnswerFile&) = delete;

  /// What was in the file, longest unused first; once, before anything is kept.
  std::vector<FiledAnswer> takeLoaded();
  /// `id`: one that neither the file nor an earlier call has.
  void keep(std::int64_t id, const std::string& key, std::shared_ptr<const KeptAnswers> answers);
  void touch(std::int64_t id);  ///< it was used now
  void drop(std::int64_t id);
  void flush();  ///< waits until all is written

 private:
  class Impl;
  explicit AnswerFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// As the file holds them: this machine's byte order. Events that failed are never kept, so errors are not
/// written.
std::string packAnswers(const KeptAnswers& answers);
/// Nothing where the bytes are not what packAnswers() writes.
std::optional<KeptAnswers> unpackAnswers(std::string_view bytes);

}  // namespace quern::app::serve
