#include "engine/gguf/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

namespace quern::engine::gguf {
namespace {

/// Few enough system calls to be lost beside the disk's own time.
constexpr std::size_t kBufferBytes = 1U << 20;

base::Error writeError(const std::filesystem::path& path, int code) {
  const std::string quoted = "\"" + path.string() + "\"";
  if (code == ENOSPC || code == EDQUOT) {
    return {base::ErrorCode::kIo, "The disk is full: " + quoted +
                                      " could not be written. Free some space or "
                                      "choose another folder."};
  }
  return {base::ErrorCode::kIo, quoted + " cannot be written: " + std::strerror(code) + "."};
}

}  // namespace

base::Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  std::filesystem::path temporary = path;
  temporary += ".part-" + std::to_string(::getpid());
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return writeError(path, errno);
  return OutputFile(path, std::move(temporary), descriptor);
}

OutputFile::OutputFile(std::filesystem::path path, std::filesystem::path temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {
  buffer_.reserve(kBufferBytes);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      buffer_(std::move(other.buffer_)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

base::Result<void> OutputFile::append(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const std::size_t room = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(room));
    bytes = bytes.subspan(room);
    if (buffer_.size() == kBufferBytes) QUERN_TRY(flush());
  }
  return base::ok();
}

base::Result<void> OutputFile::pad(std::uint64_t alignment) {
  static constexpr std::byte kZeros[64] = {};
  std::uint64_t missing = (alignment - size_ % alignment) % alignment;
  while (missing > 0) {
    const auto piece = static_cast<std::size_t>(std::min<std::uint64_t>(missing, sizeof kZeros));
    QUERN_TRY(append(std::span(kZeros, piece)));
    missing -= piece;
  }
  return base::ok();
}

base::Result<void> OutputFile::flush() {
  std::span<const std::byte> rest(buffer_);
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return writeError(path_, errno);
    rest = rest.subspan(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return base::ok();
}

base::Result<void> OutputFile::finish() {
  QUERN_TRY(flush());
  // EINVAL: what was opened is a device, which has nothing to flush.
  if (::fsync(descriptor_) != 0 && errno != EINVAL) return writeError(path_, errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) return writeError(path_, errno);
  return base::ok();
}

base::Result<void> OutputFile::publish() {
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return writeError(path_, errno);
  temporary_.clear();
  return base::ok();
}

}  // namespace quern::engine::gguf
