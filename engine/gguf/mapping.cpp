#include "engine/gguf/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace quern::engine::gguf {
namespace {

base::Error openError(const std::filesystem::path& path, int code) {
  const std::string quoted = "\"" + path.string() + "\"";
  if (code == ENOENT || code == ENOTDIR) {
    return {base::ErrorCode::kNotFound, "There is no file " + quoted + "."};
  }
  return {base::ErrorCode::kIo, quoted + " cannot be opened: " + std::strerror(code) + "."};
}

/// The pages that lie wholly inside `part`, as address and length; length 0 when there are none.
std::pair<void*, std::size_t> wholePages(std::span<const std::byte> part) {
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
  return {reinterpret_cast<void*>(begin), end > begin ? end - begin : 0};
}

}  // namespace

base::Result<Mapping> Mapping::open(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe without a writer must not hang the opening.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return openError(path, errno);
  struct stat status {};
  const int statResult = fstat(descriptor, &status);
  const int statError = errno;
  if (statResult != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) {
    ::close(descriptor);
    const std::string quoted = "\"" + path.string() + "\"";
    if (statResult != 0) return openError(path, statError);
    if (!S_ISREG(status.st_mode)) {
      return base::Error(base::ErrorCode::kInvalidArgument, quoted + " is not a file.");
    }
    return base::Error(base::ErrorCode::kMalformed, quoted + " is empty.");
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int mapError = errno;
  ::close(descriptor);
  if (address == MAP_FAILED) return openError(path, mapError);
  return Mapping({static_cast<const std::byte*>(address), size});
}

Mapping::~Mapping() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

Mapping::Mapping(Mapping&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  return *this;
}

void Mapping::prefetch(std::span<const std::byte> part) {
  const auto [address, length] = wholePages(part);
  if (length > 0) madvise(address, length, MADV_WILLNEED);
}

void Mapping::release(std::span<const std::byte> part) {
  const auto [address, length] = wholePages(part);
  if (length > 0) madvise(address, length, MADV_DONTNEED);
}

}  // namespace quern::engine::gguf
