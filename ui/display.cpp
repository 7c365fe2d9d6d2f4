#include <xcb/xcb.h>

#include <cstdlib>

#include "ui/window.h"

namespace quern::ui {
namespace {

bool isSet(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

}  // namespace

std::string whyNoWindow() {
  // Somebody chose where the window is to go, offscreen for instance; and Wayland is Qt's to talk to.
  if (isSet("QT_QPA_PLATFORM") || isSet("WAYLAND_DISPLAY")) return {};
  if (!isSet("DISPLAY")) return "There is no display (DISPLAY and WAYLAND_DISPLAY are not set)";
  // Qt ends the program when the server does not answer: ask first.
  xcb_connection_t* connection = xcb_connect(nullptr, nullptr);
  const bool answers = xcb_connection_has_error(connection) == 0;
  xcb_disconnect(connection);
  if (answers) return {};
  return "The display " + std::string(std::getenv("DISPLAY")) + " does not answer";
}

}  // namespace quern::ui
