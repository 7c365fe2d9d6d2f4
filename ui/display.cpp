#include <xcb/xcb.h>

#include <cstdlib>
#include <memory>

#include "ui/window.h"

namespace quern::ui {
namespace {

bool isSet(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

struct Disconnect {
  void operator()(xcb_connection_t* connection) const { xcb_disconnect(connection); }
};

}  // namespace

std::string whyNoWindow() {
  // Somebody chose where the window is to go, offscreen for instance; and Wayland is Qt's to talk to.
  if (isSet("QT_QPA_PLATFORM") || isSet("WAYLAND_DISPLAY")) return {};
  if (!isSet("DISPLAY")) return "There is no display (DISPLAY and WAYLAND_DISPLAY are not set)";
  // Qt ends the program when the server does not answer: ask first. This connection stays, for a server that
  // its last client leaves may begin anew (Xvfb does), and would not answer Qt meanwhile.
  static std::unique_ptr<xcb_connection_t, Disconnect> connection;
  connection.reset(xcb_connect(nullptr, nullptr));
  if (xcb_connection_has_error(connection.get()) == 0) return {};
  return "The display " + std::string(std::getenv("DISPLAY")) + " does not answer";
}

}  // namespace quern::ui
