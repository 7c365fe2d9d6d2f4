#include "app/serve/front/idempotency.h"

#include <sodium.h>

#include <utility>
#include <vector>

#include "app/serve/front/shared_answer.h"

namespace quern::app::serve::front {

Idempotency::Fingerprint Idempotency::fingerprintOf(const HttpRequest& request) {
  Fingerprint fingerprint{};
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, fingerprint.size());
  for (const std::string* part : {&request.method, &request.path, &request.query, &request.body}) {
    const std::uint64_t size = part->size();
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(part->data()), part->size());
  }
  crypto_generichash_final(&state, fingerprint.data(), fingerprint.size());
  return fingerprint;
}

Idempotency::Verdict Idempotency::attach(const std::string& key, const HttpRequest& request,
                                         std::shared_ptr<Responder> follower, Clock::time_point now) {
  const Fingerprint fingerprint = fingerprintOf(request);
  std::shared_ptr<SharedAnswer> answer;
  bool isNew = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      const auto finished = found->second.answer->finishedAt();
      const bool isOld = finished && *finished + options_.kept <= now;
      if (!isOld && !found->second.answer->isUseless()) {
        if (found->second.fingerprint != fingerprint) return {Kind::kConflict, nullptr};
        answer = found->second.answer;
      } else {
        entries_.erase(found);
      }
    }
    if (!answer) {
      if (entries_.size() >= options_.answers) return {Kind::kUnkept, nullptr};
      answer = std::make_shared<SharedAnswer>(options_.bytesOfAnswer);
      entries_[key] = {fingerprint, answer};
      isNew = true;
    }
  }
  // It may have come to nothing since.
  if (!answer->join(std::move(follower), isNew)) return {Kind::kUnkept, nullptr};
  return {isNew ? Kind::kNew : Kind::kAttached, isNew ? makeSharedResponder(answer) : nullptr};
}

void Idempotency::tick(Clock::time_point now) {
  std::vector<std::shared_ptr<SharedAnswer>> running;
  std::vector<std::shared_ptr<SharedAnswer>> forgotten;
  {
    const std::lock_guard lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      const auto finished = entry->second.answer->finishedAt();
      if (finished && (*finished + options_.kept <= now || entry->second.answer->isUseless())) {
        forgotten.push_back(std::move(entry->second.answer));
        entry = entries_.erase(entry);
        continue;
      }
      if (!finished) running.push_back(entry->second.answer);
      ++entry;
    }
  }
  for (const auto& answer : running) answer->giveUpIfAlone(now - options_.grace);
}

}  // namespace quern::app::serve::front
