#include "app/serve/front/route_table.h"

namespace quern::app::serve::front {

RouteTable::RouteTable(std::vector<Route> routes) {
  for (Route& route : routes) {
    const bool isBeginning = route.path.ends_with('*');
    auto& table = isBeginning ? beginnings_ : whole_;
    Methods& methods = table[isBeginning ? route.path.substr(0, route.path.size() - 1) : route.path];
    const std::string method = route.method;
    methods.emplace(method, std::move(route));
  }
}

const RouteTable::Methods* RouteTable::methodsOf(std::string_view path) const {
  if (const auto found = whole_.find(path); found != whole_.end()) return &found->second;
  const Methods* longest = nullptr;
  // In alphabetical order a longer beginning comes after the shorter one that it begins with.
  for (const auto& [beginning, methods] : beginnings_) {
    if (path.starts_with(beginning)) longest = &methods;
  }
  return longest;
}

RouteTable::Finding RouteTable::find(std::string_view method, std::string_view path) const {
  const Methods* methods = methodsOf(path);
  if (methods == nullptr) return {};
  Finding finding;
  for (const auto& [name, route] : *methods) {
    finding.allowed += name + ", ";
    if (name == "GET" && !methods->contains("HEAD")) finding.allowed += "HEAD, ";
  }
  finding.allowed += "OPTIONS";
  auto found = methods->find(std::string(method));
  if (found == methods->end() && method == "HEAD") found = methods->find("GET");
  if (found != methods->end()) finding.route = &found->second;
  return finding;
}

}  // namespace quern::app::serve::front
