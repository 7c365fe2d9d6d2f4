// A file that appears under its name only when it is complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "engine/base/result.h"

namespace quern::engine::gguf {

/// Writes to "<path>.part-<pid>"; finish() flushes it to the disk and publish() gives it its name. Without
/// publish() the temporary file is removed. All errors are kIo with the system's own reason.
class OutputFile {
 public:
  static base::Result<OutputFile> create(const std::filesystem::path& path);

  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  base::Result<void> append(std::span<const std::byte> bytes);
  /// Zeros up to the next multiple of `alignment`.
  base::Result<void> pad(std::uint64_t alignment);
  base::Result<void> finish();
  base::Result<void> publish();

  std::uint64_t sizeBytes() const { return size_; }

 private:
  OutputFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor);
  base::Result<void> flush();

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty once published or moved from
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace quern::engine::gguf
