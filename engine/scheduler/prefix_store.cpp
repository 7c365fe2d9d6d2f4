#include "engine/scheduler/prefix_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "engine/base/private_file.h"
#include "engine/base/text.h"

namespace quern::engine::scheduler {
namespace {

namespace fs = std::filesystem;

/// Memory that waiting blocks may take: some tens of the largest models' blocks, a second of a slow disk.
constexpr std::size_t kQueueBytes = 96U << 20;
constexpr std::size_t kFewestQueued = 4;
/// Names of blocks without room that are remembered.
constexpr std::size_t kMostRefused = 4096;
constexpr std::string_view kSuffix = ".kvblock";
constexpr std::size_t kHexDigits = 32;
/// An unfinished file that old has no writer any more.
constexpr auto kPartIsOld = std::chrono::minutes(10);

std::string hex(std::uint64_t high, std::uint64_t low) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint64_t half : {high, low}) {
    for (int shift = 60; shift >= 0; shift -= 4) text += kDigits[half >> shift & 15];
  }
  return text;
}

bool isHex(std::string_view text) {
  return text.size() == kHexDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

/// Key and parent of "<key>-<parent>.kvblock".
std::optional<std::pair<std::string, std::string>> parseName(std::string_view name) {
  if (name.size() != 2 * kHexDigits + 1 + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view key = name.substr(0, kHexDigits);
  const std::string_view parent = name.substr(kHexDigits + 1, kHexDigits);
  if (name[kHexDigits] != '-' || !isHex(key) || !isHex(parent)) return std::nullopt;
  return std::pair(std::string(key), std::string(parent));
}

void removeFile(const fs::path& path, const char* why) {
  std::error_code ignored;
  if (fs::remove(path, ignored)) {
    spdlog::info("Removed \"{}\" from the saved prompts: {}.", base::printable(path.filename().string(), 100),
                 why);
  }
}

}  // namespace

base::Result<std::unique_ptr<PrefixStore>> PrefixStore::open(const fs::path& folder, std::uint64_t byteLimit,
                                                             const CacheIdentity& identity) {
  std::unique_ptr<PrefixStore> store(new PrefixStore(folder, byteLimit, identity));
  QUERN_TRY(base::makePrivateFolder(folder));
  QUERN_TRY(base::makePrivateFolder(folder / store->model_));
  store->list();
  std::vector<fs::path> gone;
  (void)store->makeRoom(0, "", gone);
  for (const fs::path& path : gone) removeFile(path, "over the limit");
  PrefixStore* self = store.get();
  store->writer_ = std::thread([self] { self->write(); });
  return store;
}

PrefixStore::PrefixStore(fs::path folder, std::uint64_t byteLimit, const CacheIdentity& identity)
    : folder_(std::move(folder)),
      model_(hex(identity.model.high, identity.model.low)),
      byteLimit_(byteLimit),
      identity_(identity),
      mostQueued_(std::max(kFewestQueued, kQueueBytes / std::max<std::size_t>(identity.blockBytes, 1))) {}

PrefixStore::~PrefixStore() {
  {
    const std::lock_guard lock(mutex_);
    isEnding_ = true;
  }
  changed_.notify_all();
  if (writer_.joinable()) writer_.join();
}

/// Before the writer's thread begins. Names and sizes only: what is in a file is looked at when it is read.
void PrefixStore::list() {
  struct Found {
    fs::file_time_type time;
    File file;
  };
  std::vector<Found> found;
  std::error_code failed;
  const auto now = fs::file_time_type::clock::now();
  for (fs::directory_iterator model(folder_, failed), end; !failed && model != end; model.increment(failed)) {
    const std::string modelName = model->path().filename().string();
    std::error_code ignored;
    if (!isHex(modelName) || model->is_symlink(ignored) || !model->is_directory(ignored)) continue;
    std::error_code inner;
    for (fs::directory_iterator entry(model->path(), inner); !inner && entry != end; entry.increment(inner)) {
      const fs::path& path = entry->path();
      const std::string name = path.filename().string();
      const auto time = entry->last_write_time(ignored);
      if (ignored || entry->is_symlink(ignored) || !entry->is_regular_file(ignored)) continue;
      if (name.find(base::kPartMark) != std::string::npos) {
        if (now - time > kPartIsOld) removeFile(path, "it was never finished");
        continue;
      }
      const auto keys = parseName(name);
      if (!keys) continue;  // not ours to judge
      const std::uint64_t bytes = entry->file_size(ignored);
      if (ignored) continue;
      if (modelName == model_ && bytes != recordBytes(identity_)) {
        removeFile(path, "it is of another size");
        continue;
      }
      File file;
      file.path = path;
      file.bytes = bytes;
      file.key = modelName + keys->first;
      file.parent = modelName + keys->second;
      found.push_back({time, std::move(file)});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.time < b.time; });
  for (Found& one : found) add(std::move(one.file));
}

std::string PrefixStore::nameOf(const BlockKey& key) const { return model_ + hex(key.high, key.low); }

fs::path PrefixStore::pathOf(const BlockHead& head) const {
  return folder_ / model_ /
         (hex(head.key.high, head.key.low) + "-" + hex(head.parent.high, head.parent.low) +
          std::string(kSuffix));
}

/// A file becomes known as the one that was used last. (All of these with the mutex held, or before threads.)
void PrefixStore::add(File file) {
  if (files_.contains(file.key)) return;
  file.used = ++clock_;
  const auto waiting = childrenOfMissing_.find(file.key);
  if (waiting != childrenOfMissing_.end()) {
    file.children = waiting->second;
    childrenOfMissing_.erase(waiting);
  }
  const auto parent = files_.find(file.parent);
  if (parent == files_.end()) {
    ++childrenOfMissing_[file.parent];
  } else if (parent->second.children++ == 0) {
    ends_.erase({parent->second.used, parent->first});
  }
  bytes_ += file.bytes;
  if (file.key.starts_with(model_)) ++stats_.blocks;
  if (file.children == 0) ends_.insert({file.used, file.key});
  std::string name = file.key;
  files_.emplace(std::move(name), std::move(file));
}

void PrefixStore::use(File& file) {
  if (file.children == 0) ends_.erase({file.used, file.key});
  file.used = ++clock_;
  if (file.children == 0) ends_.insert({file.used, file.key});
}

void PrefixStore::remove(const std::string& name) {
  const auto at = files_.find(name);
  if (at == files_.end()) return;
  const File file = std::move(at->second);
  files_.erase(at);
  ends_.erase({file.used, name});
  if (file.children > 0) childrenOfMissing_[name] = file.children;
  bytes_ -= file.bytes;
  if (name.starts_with(model_)) --stats_.blocks;
  const auto parent = files_.find(file.parent);
  if (parent != files_.end()) {
    if (--parent->second.children == 0) ends_.insert({parent->second.used, parent->first});
  } else if (const auto missing = childrenOfMissing_.find(file.parent);
             missing != childrenOfMissing_.end() && --missing->second == 0) {
    childrenOfMissing_.erase(missing);
  }
}

/// Forgets files until `bytes` more are within the limit, whether they then are; the caller removes what is
/// in `gone`. `kept` is not forgotten: the parent of what comes, which is of no use without it.
bool PrefixStore::makeRoom(std::uint64_t bytes, const std::string& kept, std::vector<fs::path>& gone) {
  while (bytes_ + bytes > byteLimit_) {
    auto oldest = ends_.begin();
    if (oldest != ends_.end() && oldest->second == kept) ++oldest;
    if (oldest == ends_.end()) return false;
    const std::string name = oldest->second;
    gone.push_back(files_.at(name).path);
    remove(name);
    ++stats_.evicted;
  }
  return true;
}

bool PrefixStore::contains(const BlockKey& key) const {
  const std::string name = nameOf(key);
  const std::lock_guard lock(mutex_);
  return files_.contains(name);
}

base::Result<void> PrefixStore::read(const BlockHead& head, std::span<std::byte> to) {
  QUERN_CHECK(to.size() == identity_.blockBytes, "a block's contents and their place differ in size");
  const std::string name = nameOf(head.key);
  const fs::path path = pathOf(head);
  const auto proven = [&]() -> base::Result<void> {
    QUERN_ASSIGN(const auto file, base::PrivateFile::open(path));
    if (file.sizeBytes() != recordBytes(identity_)) {
      return base::Error(base::ErrorCode::kMalformed, "A saved block of the cache is of another size.");
    }
    std::array<std::byte, kRecordHeadBytes> encoded;
    std::array<std::byte, kRecordChecksumBytes> checksum;
    QUERN_TRY(file.readAt(0, encoded));
    QUERN_ASSIGN(const BlockHead found, decodeHead(identity_, encoded));
    // A key is a hash: only the tokens themselves prove that this is the block.
    if (found != head) {
      return base::Error(base::ErrorCode::kMalformed, "A saved block of the cache is of other tokens.");
    }
    QUERN_TRY(file.readAt(kRecordHeadBytes, to));
    QUERN_TRY(file.readAt(kRecordHeadBytes + to.size(), checksum));
    QUERN_TRY(checkContents(encoded, to, checksum));
    file.touch();
    return base::ok();
  }();
  const std::lock_guard lock(mutex_);
  if (proven) {
    ++stats_.read;
    if (const auto at = files_.find(name); at != files_.end()) use(at->second);
    return base::ok();
  }
  // Gone already when another process removed it, or when the tokens lead to another name.
  const auto at = files_.find(name);
  if (at != files_.end()) {
    if (proven.error().code() != base::ErrorCode::kNotFound) ++stats_.rejected;
    removeFile(at->second.path, proven.error().message().c_str());
    remove(name);
  }
  return proven.error();
}

bool PrefixStore::put(const BlockHead& head, std::span<const std::byte> contents) {
  QUERN_CHECK(contents.size() == identity_.blockBytes, "a block's contents and their place differ in size");
  return put(head, [&](std::span<std::byte> to) { std::memcpy(to.data(), contents.data(), to.size()); });
}

bool PrefixStore::put(const BlockHead& head, const std::function<void(std::span<std::byte>)>& fill) {
  const std::string name = nameOf(head.key);
  Job job;
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = files_.find(name); at != files_.end()) {
      use(at->second);
      return true;
    }
    if (queued_.contains(name)) return true;
    if (queue_.size() >= mostQueued_ || recordBytes(identity_) > byteLimit_) {
      ++stats_.dropped;
      return false;
    }
    if (!spares_.empty()) {
      job.contents = std::move(spares_.back());
      spares_.pop_back();
    }
  }
  job.head = head;
  job.contents.resize(identity_.blockBytes);
  fill(job.contents);
  {
    const std::lock_guard lock(mutex_);
    queued_.insert(name);
    queue_.push_back(std::move(job));
  }
  changed_.notify_all();
  return true;
}

void PrefixStore::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queue_.empty() && !isWriting_; });
}

PrefixStoreStats PrefixStore::stats() const {
  const std::lock_guard lock(mutex_);
  PrefixStoreStats stats = stats_;
  stats.bytes = bytes_;
  stats.byteLimit = byteLimit_;
  return stats;
}

/// The writer's thread.
void PrefixStore::write() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return isEnding_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    isWriting_ = true;
    lock.unlock();
    writeOne(job);
    lock.lock();
    isWriting_ = false;
    queued_.erase(nameOf(job.head.key));
    if (spares_.size() < kFewestQueued) spares_.push_back(std::move(job.contents));
    changed_.notify_all();
  }
}

void PrefixStore::writeOne(const Job& job) {
  File file;
  file.path = pathOf(job.head);
  file.bytes = recordBytes(identity_);
  file.key = nameOf(job.head.key);
  file.parent = nameOf(job.head.parent);
  std::vector<fs::path> gone;
  bool hasRoom = false;
  {
    const std::lock_guard lock(mutex_);
    // What follows a block that found no room would only push out that one's ancestors.
    hasRoom = !refused_.contains(file.parent) && makeRoom(file.bytes, file.parent, gone);
    if (hasRoom) {
      refused_.erase(file.key);
    } else {
      ++stats_.dropped;
      if (refused_.size() >= kMostRefused) refused_.clear();
      refused_.insert(file.key);
    }
  }
  for (const fs::path& path : gone) removeFile(path, "others were used later");
  if (!hasRoom) return;
  const auto written = [&]() -> base::Result<void> {
    const auto encoded = encodeHead(identity_, job.head);
    QUERN_ASSIGN(auto target, base::PrivateFile::create(file.path));
    QUERN_TRY(target.append(encoded));
    QUERN_TRY(target.append(job.contents));
    QUERN_TRY(target.append(recordChecksum(encoded, job.contents)));
    // Not forced to the disk: what a power cut leaves half written is found out by its checksum.
    return target.publish(false);
  }();
  const std::lock_guard lock(mutex_);
  if (written) {
    ++stats_.written;
    add(std::move(file));
    return;
  }
  ++stats_.dropped;
  if (!saidThatWritingFails_) spdlog::warn("Prompts are not saved: {}", written.error().describe());
  saidThatWritingFails_ = true;
}

}  // namespace quern::engine::scheduler
