#include "app/serve/http/core.h"

#include <vector>

#include "app/serve/http/connection.h"

namespace quern::app::serve::http {

bool Core::enter(const std::string& address, bool isCapped) {
  const std::lock_guard lock(mutex_);
  if (connections >= limits.connections) return false;
  if (isCapped) {
    int& count = ofAddress_[address];
    if (count >= limits.connectionsOfAddress) return false;
    ++count;
  }
  ++connections;
  return true;
}

void Core::leave(const std::string& address, bool isCapped) {
  const std::lock_guard lock(mutex_);
  --connections;
  if (!isCapped) return;
  const auto found = ofAddress_.find(address);
  if (found != ofAddress_.end() && --found->second == 0) ofAddress_.erase(found);
}

void Core::remember(const std::shared_ptr<Connection>& connection) {
  const std::lock_guard lock(mutex_);
  all_[connection.get()] = connection;
}

void Core::forget(const Connection* connection) {
  const std::lock_guard lock(mutex_);
  all_.erase(connection);
}

void Core::cutAll() {
  std::vector<std::shared_ptr<Connection>> living;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, connection] : all_) {
      if (auto pointer = connection.lock()) living.push_back(std::move(pointer));
    }
  }
  for (const auto& connection : living) connection->cut();
}

}  // namespace quern::app::serve::http
