#include "engine/base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "engine/base/text.h"

namespace quern::engine::base {
namespace {

Error ioError(const std::filesystem::path& path, const char* what, int code) {
  return {code == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
          "\"" + printable(path.string(), 200) + "\" cannot be " + what + ": " + std::strerror(code) + "."};
}

}  // namespace

Result<void> makePrivateFolder(const std::filesystem::path& folder) {
  std::error_code failed;
  if (folder.has_parent_path()) std::filesystem::create_directories(folder.parent_path(), failed);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return ioError(folder, "made", errno);
  struct stat facts {};
  if (::stat(folder.c_str(), &facts) != 0) return ioError(folder, "opened", errno);
  if (!S_ISDIR(facts.st_mode)) return ioError(folder, "used as a folder", ENOTDIR);
  if ((facts.st_mode & 077) != 0 && ::chmod(folder.c_str(), 0700) != 0) {
    return ioError(folder, "kept from other people's eyes", errno);
  }
  return ok();
}

Result<PrivateFile> PrivateFile::open(const std::filesystem::path& path) {
  // Without O_NONBLOCK a pipe of that name would never open.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return ioError(path, "read", errno);
  PrivateFile file(path, descriptor);
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) return ioError(path, "read", errno);
  if (!S_ISREG(facts.st_mode)) return ioError(path, "read as a file", EINVAL);
  file.size_ = static_cast<std::uint64_t>(facts.st_size);
  return file;
}

Result<PrivateFile> PrivateFile::create(const std::filesystem::path& path) {
  static std::atomic<unsigned> count{0};
  std::filesystem::path temporary = path;
  temporary += kPartMark + std::to_string(::getpid()) + "-" + std::to_string(count++);
  const int descriptor =
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return ioError(path, "written", errno);
  PrivateFile file(path, descriptor);
  file.temporary_ = std::move(temporary);
  return file;
}

PrivateFile::~PrivateFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

PrivateFile::PrivateFile(PrivateFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

PrivateFile& PrivateFile::operator=(PrivateFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

Result<void> PrivateFile::readAt(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ioError(path_, "read", errno);
    if (got == 0) {
      return Error(ErrorCode::kMalformed, "\"" + printable(path_.string(), 200) + "\" ends early.");
    }
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return ok();
}

void PrivateFile::touch() const { (void)::futimens(descriptor_, nullptr); }

Result<void> PrivateFile::append(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ioError(path_, "written", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return ok();
}

Result<void> PrivateFile::publish(bool durable) {
  if (durable && ::fsync(descriptor_) != 0) return ioError(path_, "written", errno);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) return ioError(path_, "written", errno);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) return ioError(path_, "written", errno);
  temporary_.clear();
  return ok();
}

}  // namespace quern::engine::base
