#include "app/serve/http/http_server.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "app/serve/http/connection.h"
#include "app/serve/http/core.h"
#include "app/serve/http/tls_context.h"
#include "engine/base/text.h"

namespace quern::app::serve::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using engine::base::Error;
using engine::base::ErrorCode;
using TlsContext = asio::ssl::context;

/// Parsing and framing are cheap beside computing tokens, whose threads want the cores.
constexpr int kThreads = 2;
/// How long no connection is taken after the system had no descriptor for one.
constexpr std::chrono::milliseconds kOutOfDescriptors{100};

constexpr std::string_view kFull =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 5\r\nContent-Length: "
    "114\r\n"
    "Connection: close\r\n\r\n"
    "{\"error\":{\"message\":\"Too many connections are open.\",\"type\":\"overloaded_error\",\"param\":null,"
    "\"code\":\"overloaded\"}}\n";

/// The address as people write it: an IPv4 address is one also where it came through an IPv6 socket.
asio::ip::address plain(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return address;
}

/// Thousands of connections need more descriptors than a shell grants at first.
void raiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

engine::base::Result<std::vector<std::string>> resolveHost(const std::string& host) {
  asio::io_context io;
  tcp::resolver resolver(io);
  boost::system::error_code failed;
  const auto found = resolver.resolve(host, "0", tcp::resolver::passive, failed);
  std::set<std::string> addresses;
  if (!failed) {
    for (const auto& entry : found) addresses.insert(entry.endpoint().address().to_string());
  }
  if (addresses.empty()) {
    return Error(
        ErrorCode::kInvalidArgument,
        "\"" + engine::base::printable(host) +
            "\" is no address of this machine. Use 127.0.0.1 for programs on this machine, or 0.0.0.0 "
            "for the whole network.",
        {failed.message()});
  }
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

bool isLoopbackAddress(const std::string& address) {
  boost::system::error_code failed;
  const auto parsed = asio::ip::make_address(address, failed);
  return !failed && plain(parsed).is_loopback();
}

class HttpServer::Impl {
 public:
  Impl(ListenOptions options, std::shared_ptr<Site> site)
      : options_(std::move(options)),
        core_(std::make_shared<Core>(options_.limits, std::move(site))),
        strand_(asio::make_strand(core_->io)) {}
  ~Impl() { stop(); }

  engine::base::Result<void> listen();
  void run();
  void stop();
  engine::base::Result<void> reloadCertificate();

  std::uint16_t port() const { return port_; }
  const Core& core() const { return *core_; }

 private:
  struct Door {
    explicit Door(const asio::strand<asio::io_context::executor_type>& strand)
        : acceptor(strand), pause(strand) {}
    tcp::acceptor acceptor;
    asio::steady_timer pause;
  };

  engine::base::Result<void> open(const std::string& address);
  void accept(Door& door);
  void welcome(tcp::socket socket);
  std::shared_ptr<TlsContext> tls() {
    const std::lock_guard lock(tlsMutex_);
    return tls_;
  }

  const ListenOptions options_;
  const std::shared_ptr<Core> core_;
  asio::strand<asio::io_context::executor_type> strand_;
  std::vector<std::unique_ptr<Door>> doors_;
  std::uint16_t port_ = 0;
  std::mutex tlsMutex_;
  std::shared_ptr<TlsContext> tls_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_;
  std::vector<std::thread> threads_;
};

engine::base::Result<void> HttpServer::Impl::listen() {
  if (!options_.tlsCertificate.empty()) QUERN_TRY(reloadCertificate());
  raiseDescriptorLimit();
  QUERN_ASSIGN(const auto addresses, resolveHost(options_.host));
  std::optional<Error> last;
  port_ = options_.port;
  for (const std::string& address : addresses) {
    if (auto opened = open(address); !opened) last = std::move(opened).error();
  }
  // "localhost" also stands for ::1 where there is no IPv6.
  if (doors_.empty() && last) return *last;
  return engine::base::ok();
}

engine::base::Result<void> HttpServer::Impl::open(const std::string& address) {
  auto door = std::make_unique<Door>(strand_);
  const tcp::endpoint endpoint(asio::ip::make_address(address), port_);
  boost::system::error_code failed;
  door->acceptor.open(endpoint.protocol(), failed);
  if (!failed) door->acceptor.set_option(tcp::acceptor::reuse_address(true), failed);
  // "::" takes IPv4 as well; any other IPv6 address is itself.
  if (!failed && endpoint.address().is_v6()) {
    door->acceptor.set_option(asio::ip::v6_only(!endpoint.address().is_unspecified()), failed);
  }
  if (!failed) door->acceptor.bind(endpoint, failed);
  if (!failed) door->acceptor.listen(asio::socket_base::max_listen_connections, failed);
  if (failed == asio::error::address_in_use) {
    return Error(ErrorCode::kBusy,
                 "Port " + std::to_string(port_) + " of " + address +
                     " is in use by another program. Choose another one with \"--port\".",
                 {failed.message()});
  }
  if (failed) {
    return Error(ErrorCode::kIo, "Quern cannot listen on port " + std::to_string(port_) + " of " + address +
                                     ": " + failed.message() + ".");
  }
  if (port_ == 0) port_ = door->acceptor.local_endpoint(failed).port();
  doors_.push_back(std::move(door));
  return engine::base::ok();
}

void HttpServer::Impl::run() {
  work_.emplace(asio::make_work_guard(core_->io));
  for (const auto& door : doors_) {
    asio::post(strand_, [this, &door = *door] { accept(door); });
  }
  for (int i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this] { core_->io.run(); });
  }
}

void HttpServer::Impl::accept(Door& door) {
  door.acceptor.async_accept(
      asio::make_strand(core_->io), [this, &door](boost::system::error_code error, tcp::socket socket) {
        if (!door.acceptor.is_open()) return;
        if (!error) {
          welcome(std::move(socket));
        } else if (error == asio::error::no_descriptors ||
                   error == boost::system::errc::too_many_files_open_in_system ||
                   error == asio::error::no_buffer_space || error == asio::error::no_memory) {
          door.pause.expires_after(kOutOfDescriptors);
          door.pause.async_wait([this, &door](boost::system::error_code stopped) {
            if (!stopped && door.acceptor.is_open()) accept(door);
          });
          return;
        }
        accept(door);
      });
}

void HttpServer::Impl::welcome(tcp::socket socket) {
  boost::system::error_code failed;
  const auto remote = socket.remote_endpoint(failed);
  if (failed) return;
  const auto address = plain(remote.address());
  const std::string text = address.to_string();
  const bool isCapped = !address.is_loopback() || options_.limits.loopbackIsCapped;
  const auto context = tls();
  if (!core_->enter(text, isCapped)) {
    // One attempt: a socket that has just been opened takes so little at once.
    if (!context)
      (void)::send(socket.native_handle(), kFull.data(), kFull.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return;
  }
  auto connection = std::make_shared<Connection>(core_, std::move(socket), context, text, isCapped);
  core_->remember(connection);
  connection->open();
}

void HttpServer::Impl::stop() {
  if (threads_.empty()) return;
  asio::post(strand_, [this] {
    for (const auto& door : doors_) {
      boost::system::error_code ignored;
      door->acceptor.close(ignored);
      door->pause.cancel();
    }
    // After the doors, so that none slips in.
    core_->cutAll();
    work_.reset();
  });
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

engine::base::Result<void> HttpServer::Impl::reloadCertificate() {
  if (options_.tlsCertificate.empty()) return engine::base::ok();
  QUERN_ASSIGN(auto context, makeTlsContext(options_.tlsCertificate, options_.tlsKey));
  const std::lock_guard lock(tlsMutex_);
  tls_ = std::move(context);
  return engine::base::ok();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

engine::base::Result<std::unique_ptr<HttpServer>> HttpServer::start(const ListenOptions& options,
                                                                    std::shared_ptr<Site> site) {
  auto impl = std::make_unique<Impl>(options, std::move(site));
  QUERN_TRY(impl->listen());
  impl->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const { return impl_->port(); }
int HttpServer::connections() const { return impl_->core().connections; }
int HttpServer::busy() const { return impl_->core().busy; }
engine::base::Result<void> HttpServer::reloadCertificate() { return impl_->reloadCertificate(); }
void HttpServer::stop() { impl_->stop(); }

}  // namespace quern::app::serve::http
