// Models without weights for tests of the pool: a world that knows how large each is, what is loaded at once,
// and whether one was ever taken down while it was in use.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "engine/scheduler/model_pool.h"

namespace quern::engine::scheduler {

class World {
 public:
  struct Model {
    std::uint64_t bytes = 100;
    std::uint64_t estimated = 0;  ///< 0: bytes
    std::optional<base::Error> failure;
  };

  /// Models by file name. Unknown ones are 100 bytes.
  std::map<std::string, Model> models;
  std::int32_t progressSteps = 3;  ///< of a load

  PoolOptions options(std::uint64_t budget) {
    PoolOptions made;
    made.memoryBudgetBytes = budget;
    made.load = [this](const auto& path, const auto& wanted, const auto& progress) {
      return load(path, wanted, progress);
    };
    made.estimate = [this](const auto& path, const auto&) -> base::Result<runtime::MemoryUse> {
      ++estimates;
      const Model model = find(path);
      return runtime::MemoryUse{model.estimated != 0 ? model.estimated : model.bytes, 0, 0};
    };
    return made;
  }
  /// The same with a clock that stands until advance().
  PoolOptions stillOptions(std::uint64_t budget) {
    PoolOptions made = options(budget);
    made.now = [this] {
      return std::chrono::steady_clock::time_point(std::chrono::milliseconds(now_.load()));
    };
    return made;
  }
  void advance(ModelPool& pool, std::chrono::milliseconds by) {
    now_ += by.count();
    pool.tick();
  }

  /// Loads stop before their end until release().
  void holdLoads() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void releaseLoads() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  void awaitLoads(int count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] { return loads_ >= count; }));
  }
  int loads() {
    const std::lock_guard lock(mutex_);
    return loads_;
  }
  std::vector<std::string> loaded() {
    const std::lock_guard lock(mutex_);
    return {alive_.begin(), alive_.end()};
  }
  std::uint64_t mostBytes() {
    const std::lock_guard lock(mutex_);
    return most_;
  }

  std::atomic<int> estimates{0};
  std::atomic<int> ends{0};
  std::atomic<int> endedInUse{0};
  std::atomic<bool> failsNow{false};  ///< every load

 private:
  class FakeEngine : public Engine {
   public:
    FakeEngine(World& world, std::string name, LoadOptions options, std::uint64_t bytes)
        : world_(world), options_(std::move(options)), bytes_(bytes) {
      info_.name = std::move(name);
      if (options_.contextTokens == 0) options_.contextTokens = 8192;
    }
    ~FakeEngine() override {
      ++world_.ends;
      if (inUse.load() != 0) ++world_.endedInUse;
      world_.gone(info_.name, bytes_);
    }
    base::Result<RequestId> submit(Request, std::shared_ptr<EventSink>) override { return RequestId(1); }
    base::Result<std::int32_t> saveState(std::vector<std::int32_t>, const std::filesystem::path&) override {
      return 0;
    }
    base::Result<std::int32_t> restoreState(const std::filesystem::path&) override { return 0; }
    void cancel(RequestId) override {}
    Stats stats() const override {
      Stats stats;
      stats.memory.weightBytes = bytes_;
      stats.running = inUse.load();
      return stats;
    }
    const ModelInfo& info() const override { return info_; }
    const LoadOptions& options() const override { return options_; }
    std::string device() const override { return "World"; }
    std::shared_ptr<const tokenizer::Tokenizer> tokenizer() const override { return nullptr; }
    std::shared_ptr<const chat::Template> chatTemplate() const override { return nullptr; }

    std::atomic<int> inUse{0};

   private:
    World& world_;
    ModelInfo info_;
    LoadOptions options_;
    std::uint64_t bytes_;
  };

 public:
  /// While it lives, its model must not end.
  class Use {
   public:
    explicit Use(const Lease& lease) : engine_(dynamic_cast<FakeEngine&>(*lease)) { ++engine_.inUse; }
    ~Use() { --engine_.inUse; }
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    FakeEngine& engine_;
  };

 private:
  Model find(const std::filesystem::path& path) {
    const auto found = models.find(path.filename().string());
    return found == models.end() ? Model{} : found->second;
  }

  base::Result<std::shared_ptr<Engine>> load(const std::filesystem::path& path, const LoadOptions& options,
                                             const runtime::Progress& progress) {
    const Model model = find(path);
    {
      const std::lock_guard lock(mutex_);
      ++loads_;
      EXPECT_EQ(++loading_, 1) << "two loads at once";
      bytes_ += model.bytes;
      most_ = std::max(most_, bytes_);
      changed_.notify_all();
    }
    const auto stop = [&](base::Error error) {
      const std::lock_guard lock(mutex_);
      bytes_ -= model.bytes;
      --loading_;
      return error;
    };
    for (std::int32_t step = 0; step < progressSteps || held(); ++step) {
      const double fraction = std::min(0.5, 0.1 * step);
      if (!progress(fraction)) return stop({base::ErrorCode::kCancelled, "The load was told to stop."});
      if (held()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (model.failure) return stop(*model.failure);
    if (failsNow) return stop({base::ErrorCode::kIo, "The disk does not answer."});
    const std::lock_guard lock(mutex_);
    --loading_;
    EXPECT_TRUE(alive_.insert(path.filename().string()).second) << path << " is loaded twice";
    return std::shared_ptr<Engine>(
        std::make_shared<FakeEngine>(*this, path.filename().string(), options, model.bytes));
  }
  bool held() {
    const std::lock_guard lock(mutex_);
    return held_;
  }
  void gone(const std::string& name, std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    alive_.erase(name);
    bytes_ -= bytes;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> alive_;
  std::uint64_t bytes_ = 0;
  std::uint64_t most_ = 0;
  int loads_ = 0;
  int loading_ = 0;
  bool held_ = false;
  std::atomic<std::int64_t> now_{1'000'000};
};

/// An acquire whose answer is waited for later.
class Pending {
 public:
  ModelPool::Done done() {
    return [box = box_](base::Result<Lease> result) {
      const std::lock_guard lock(box->mutex);
      EXPECT_FALSE(box->result.has_value()) << "answered twice";
      box->result = std::move(result);
      box->filled.notify_all();
    };
  }
  bool answered() const {
    const std::lock_guard lock(box_->mutex);
    return box_->result.has_value();
  }
  base::Result<Lease> await() {
    std::unique_lock lock(box_->mutex);
    if (!box_->filled.wait_for(lock, std::chrono::seconds(20), [&] { return box_->result.has_value(); }))
      return base::Error(base::ErrorCode::kInternal, "no answer in 20 s");
    return std::move(*box_->result);
  }

 private:
  struct Box {
    std::mutex mutex;
    std::condition_variable filled;
    std::optional<base::Result<Lease>> result;
  };
  std::shared_ptr<Box> box_ = std::make_shared<Box>();
};

}  // namespace quern::engine::scheduler
