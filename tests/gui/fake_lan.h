// A server for the LAN that listens nowhere: it notes what it is told, and answers as a test wants.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ui/server/lan_service.h"

namespace quern::test {

class FakeLan : public ui::LanService {
 public:
  engine::base::Result<void> start(const ui::LanOptions& options) override {
    std::unique_lock lock(mutex_);
    told_.push_back("start");
    released_.wait(lock, [this] { return !held_; });
    if (failure) return *failure;
    status_.isListening = true;
    status_.urls = {(options.usesTls ? "https" : "http") +
                    std::string(options.wholeNetwork ? "://192.168.1.24:" : "://127.0.0.1:") +
                    std::to_string(options.port)};
    if (options.wholeNetwork) status_.urls.push_back("http://127.0.0.1:" + std::to_string(options.port));
    return engine::base::ok();
  }
  void stop(std::chrono::milliseconds) override {
    const std::lock_guard lock(mutex_);
    told_.push_back("stop");
    auto last = std::move(status_.last);
    status_ = {};
    status_.last = std::move(last);
  }
  ui::LanStatus status() const override {
    const std::lock_guard lock(mutex_);
    return status_;
  }
  engine::base::Result<void> offer(const std::filesystem::path& path,
                                   std::shared_ptr<engine::scheduler::Engine> engine) override {
    const std::lock_guard lock(mutex_);
    told_.push_back("offer " + path.stem().string());
    offered_ = engine.get();
    return engine::base::ok();
  }
  void withdraw() override {
    const std::lock_guard lock(mutex_);
    told_.push_back("withdraw");
    offered_ = nullptr;
  }
  engine::base::Result<std::vector<ui::LanKey>> keys() const override {
    const std::lock_guard lock(mutex_);
    return keys_;
  }
  engine::base::Result<std::string> addKey(const std::string& name) override {
    const std::lock_guard lock(mutex_);
    for (const auto& key : keys_) {
      if (key.name == name)
        return engine::base::Error(engine::base::ErrorCode::kInvalidArgument, "There is such a key already.");
    }
    keys_.push_back({"id" + std::to_string(keys_.size()), name, 1'770'000'000'000, std::nullopt});
    return "qk-" + keys_.back().id + "-secret";
  }
  engine::base::Result<void> revokeKey(const std::string& id) override {
    const std::lock_guard lock(mutex_);
    std::erase_if(keys_, [&](const auto& key) { return key.id == id; });
    return engine::base::ok();
  }

  /// start() takes until release().
  void hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    released_.notify_all();
  }
  std::vector<std::string> told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  const engine::scheduler::Engine* offered() const {
    const std::lock_guard lock(mutex_);
    return offered_;
  }
  void change(const std::function<void(ui::LanStatus&, std::vector<ui::LanKey>&)>& how) {
    const std::lock_guard lock(mutex_);
    how(status_, keys_);
  }

  std::optional<engine::base::Error> failure;  ///< of start(); set while nothing runs

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  std::vector<std::string> told_;
  const engine::scheduler::Engine* offered_ = nullptr;
  ui::LanStatus status_;
  std::vector<ui::LanKey> keys_;
};

}  // namespace quern::test
