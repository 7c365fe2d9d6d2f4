// What the front door keeps of a request while it is in work. Private to this room.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "app/serve/front/front_door.h"

namespace quern::app::serve::front {

class FrontDoor::Ticket final : public http::Admission {
 public:
  const Route* route = nullptr;  ///< of the door's table
  AccessRecord record;
  std::chrono::steady_clock::time_point arrived;
  std::vector<Header> headers;  ///< that every answer to it carries
  std::unique_ptr<RateLimits::Place> place;
  std::shared_ptr<const KeyRing> keys;  ///< where `key` lies
  const KeyFacts* key = nullptr;        ///< null: nobody's
};

/// Passes an answer on, adds the ticket's headers, and writes the line when all is said or nobody is there.
class FrontDoor::Watched final : public Responder {
 public:
  Watched(std::shared_ptr<FrontDoor> door, std::unique_ptr<Ticket> ticket, std::shared_ptr<Responder> inner);
  ~Watched() override;
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

  void reply(HttpResponse response) override;
  void begin(int status, std::vector<Header> headers) override;
  bool write(std::string bytes) override;
  void finish() override;
  void onGone(std::function<void()> gone) override { inner_->onGone(std::move(gone)); }
  void note(const RequestFacts& facts) override;

 private:
  /// The line and the place, once.
  void settle(const char* outcome);
  void keepContent(std::string_view bytes);

  const std::shared_ptr<FrontDoor> door_;
  const std::shared_ptr<Responder> inner_;
  std::mutex mutex_;
  std::unique_ptr<Ticket> ticket_;  ///< null once it is settled
  bool isThere_ = true;
};

}  // namespace quern::app::serve::front
