// Answers that have been made, for requests that are exactly the same: off unless the server is told to keep
// some. What is kept are the engine's events, so a hit looks to an API's writer like an answer that comes
// fast.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/scheduler/engine.h"

namespace quern::app::serve {

/// One of the engine's requests, as it went.
struct KeptAnswer {
  std::vector<engine::scheduler::Event> events;  ///< kTokens joined per answer, kAnswerFinished, kFinished
  std::size_t bytes() const;
};
using KeptAnswers = std::vector<KeptAnswer>;

class AnswerFile;

/// From any thread. Least recently used answers go when there is no room. With a file, what is kept is there
/// again after a restart.
class AnswerCache {
 public:
  /// `file`: where answers are kept, too; empty: in memory alone. `notice` is told what is wrong with it, now
  /// and from the file's thread later; the cache goes on in memory.
  explicit AnswerCache(std::size_t mostBytes, const std::filesystem::path& file = {},
                       const std::function<void(const std::string& sentence)>& notice = {});
  ~AnswerCache();
  AnswerCache(const AnswerCache&) = delete;
  AnswerCache& operator=(const AnswerCache&) = delete;

  bool isOn() const { return mostBytes_ > 0; }
  std::shared_ptr<const KeptAnswers> find(const std::string& key);
  /// Answers larger than a quarter of the room are not kept.
  void keep(const std::string& key, KeptAnswers answers);
  std::size_t bytes() const;
  /// Waits until the file has all that was kept.
  void flush();

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const KeptAnswers> answers;
    std::size_t bytes = 0;
    std::int64_t id = 0;  ///< in the file
  };
  void add(Entry entry, bool isFiled);

  const std::size_t mostBytes_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  ///< latest first
  std::unordered_map<std::string, std::list<Entry>::iterator> known_;
  std::size_t bytes_ = 0;
  std::int64_t lastId_ = 0;
  std::unique_ptr<AnswerFile> file_;
};

/// All that an answer hangs on: the model, its tokens, every parameter, and who asks. Nothing where the
/// answer is drawn by chance. `model`: names the weights.
std::optional<std::string> answerKey(const std::string& model, const std::string& caller,
                                     const std::string& constraint, const engine::scheduler::Request& request,
                                     const std::vector<std::vector<std::int32_t>>& prompts,
                                     std::int32_t answers);

/// Adds an event to what is kept of its request.
void keepEvent(KeptAnswer& kept, const engine::scheduler::Event& event);

}  // namespace quern::app::serve
