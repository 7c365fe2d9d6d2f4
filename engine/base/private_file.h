// Files that nobody but their owner may read: what is said to a model is not for everyone on the machine.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

#include "engine/base/result.h"

namespace quern::engine::base {

/// Makes the folder and those above it; the folder itself gets mode 0700, also when it was there. Errors:
/// kIo.
Result<void> makePrivateFolder(const std::filesystem::path& folder);

/// A file open for reading or writing; closed at the end.
class PrivateFile {
 public:
  /// Opens a regular file for reading (no link, no device). Errors: kNotFound, kIo.
  static Result<PrivateFile> open(const std::filesystem::path& path);
  /// Writes to "<path>.part-<process>-<number>", mode 0600, until publish() gives the file its name.
  static Result<PrivateFile> create(const std::filesystem::path& path);

  ~PrivateFile();
  PrivateFile(PrivateFile&& other) noexcept;
  PrivateFile& operator=(PrivateFile&& other) noexcept;

  std::uint64_t sizeBytes() const { return size_; }
  /// Fills `to` from byte `offset` on. Errors: kMalformed when the file ends before, kIo.
  Result<void> readAt(std::uint64_t offset, std::span<std::byte> to) const;
  /// Marks the file as used now, for who looks at its time of modification.
  void touch() const;

  Result<void> append(std::span<const std::byte> bytes);
  /// `durable`: only once the bytes are on the disk. Without publish() the file goes away.
  Result<void> publish(bool durable);

 private:
  PrivateFile(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  std::filesystem::path temporary_;  ///< empty when published or only read
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// What the names of unfinished files have before their process's number.
inline constexpr const char* kPartMark = ".part-";

}  // namespace quern::engine::base
