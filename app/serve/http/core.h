// What all connections of one server share. Private to this room.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "app/serve/http/limits.h"
#include "app/serve/http/site.h"

namespace quern::app::serve::http {

class Connection;

/// Connections hold it, so that whoever holds the last responder can let go of it on any thread.
struct Core {
  Core(Limits limits_, std::shared_ptr<Site> site_) : limits(limits_), site(std::move(site_)) {}

  /// False: there are as many connections as there may be, of all or of this address. Otherwise leave() it
  /// later.
  bool enter(const std::string& address, bool isCapped);
  void leave(const std::string& address, bool isCapped);

  void remember(const std::shared_ptr<Connection>& connection);
  void forget(const Connection* connection);
  /// Ends all connections, from any thread.
  void cutAll();

  boost::asio::io_context io{2};
  const Limits limits;
  const std::shared_ptr<Site> site;
  std::atomic<int> busy{0};               ///< connections with a request in work
  std::atomic<std::size_t> bodyBytes{0};  ///< of all requests that are read or in work
  std::atomic<int> connections{0};

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, int> ofAddress_;
  std::unordered_map<const Connection*, std::weak_ptr<Connection>> all_;
};

}  // namespace quern::app::serve::http
