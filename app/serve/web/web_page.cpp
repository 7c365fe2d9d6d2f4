#include "app/serve/web/web_page.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "app/serve/web/embedded.h"

namespace quern::app::serve {
namespace {

/// No script, style or image but the server's own, nothing inline, no frame around the page, no form that
/// leaves it.
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

std::string_view typeOf(std::string_view name) {
  const std::string_view end = name.substr(name.rfind('.') + 1);
  if (end == "html") return "text/html; charset=utf-8";
  if (end == "js") return "text/javascript; charset=utf-8";
  if (end == "css") return "text/css; charset=utf-8";
  return "image/svg+xml";
}

HttpResponse answerWith(const EmbeddedFile& file, std::string_view known) {
  const std::string tag = "\"" + std::string(file.hash) + "\"";
  HttpResponse response;
  response.headers = {{"Content-Type", std::string(typeOf(file.name))},
                      {"Content-Security-Policy", std::string(kPolicy)},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-cache"},
                      {"ETag", tag}};
  if (known == tag) {
    response.status = 304;
  } else {
    response.body = file.text;
  }
  return response;
}

void serveFile(std::string_view name, const HttpRequest& request, Responder& responder) {
  for (const EmbeddedFile& file : std::span(kWebFiles, kWebFilesCount)) {
    if (file.name == name) return responder.reply(answerWith(file, request.header("If-None-Match")));
  }
  responder.reply({404, {{"Content-Type", "text/plain; charset=utf-8"}}, "There is no such page.\n"});
}

}  // namespace

std::vector<Route> webRoutes() {
  constexpr std::string_view kFolder = "/web/";
  return {{"GET", "/", Scope::kNone,
           [](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
             serveFile("index.html", request, *responder);
           }},
          {"GET", "/web/*", Scope::kNone,
           [kFolder](const HttpRequest& request, const std::shared_ptr<Responder>& responder) {
             serveFile(std::string_view(request.path).substr(kFolder.size()), request, *responder);
           }}};
}

}  // namespace quern::app::serve
