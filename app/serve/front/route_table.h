// Which handler a path has.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/serve/exchange.h"

namespace quern::app::serve::front {

/// Never changed after it is made; for any thread.
class RouteTable {
 public:
  /// A route named twice: the first counts.
  explicit RouteTable(std::vector<Route> routes);

  struct Finding {
    const Route* route = nullptr;  ///< of this table; null: there is none
    std::string allowed;           ///< "GET, HEAD, OPTIONS"; empty where the path is unknown
  };
  /// HEAD finds what GET does. Whole paths go before beginnings, longer beginnings before shorter ones.
  Finding find(std::string_view method, std::string_view path) const;

 private:
  using Methods = std::map<std::string, Route>;
  const Methods* methodsOf(std::string_view path) const;
  std::map<std::string, Methods, std::less<>> whole_;
  std::map<std::string, Methods, std::less<>> beginnings_;
};

}  // namespace quern::app::serve::front
