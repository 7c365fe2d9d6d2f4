// The design's colours, in the order of enum Color: dark, light. Source: the design tokens.
#pragma once

#include <array>

namespace quern::ui {

struct ThemeColor {
  const char* dark;
  const char* light;
};

inline constexpr std::array<ThemeColor, 35> kPalette = {{
    {"#121211", "#EBEAE6"},  // rail
    {"#161615", "#F5F4F1"},  // window
    {"#1B1B1A", "#FAF9F7"},  // panel
    {"#20201F", "#FFFFFF"},  // card
    {"#141413", "#FFFFFF"},  // field
    {"#141413", "#F8F7F4"},  // code
    {"#292927", "#EFEDE9"},  // hover
    {"#32322F", "#E4E2DC"},  // press
    {"#2E281D", "#F8ECD6"},  // selected
    {"#2A2A28", "#E5E3DD"},  // line
    {"#393936", "#D3D0C8"},  // line2
    {"#75726A", "#827F76"},  // control
    {"#ECEAE4", "#1D1C19"},  // text
    {"#B6B3AA", "#524F48"},  // text2
    {"#969389", "#67645C"},  // text3
    {"#65635C", "#A3A097"},  // disabled
    {"#E3A54B", "#8A5508"},  // accent
    {"#EFBC6E", "#744603"},  // accentHover
    {"#C98C36", "#613A02"},  // accentPress
    {"#1C1304", "#FFFFFF"},  // onAccent
    {"#83BB8C", "#2B7040"},  // ok
    {"#1E2A20", "#E3F1E6"},  // okBg
    {"#E0C15A", "#7A6200"},  // warn
    {"#2C2817", "#F7EFCB"},  // warnBg
    {"#EE8A7A", "#AE3024"},  // error
    {"#331F1C", "#FBE6E2"},  // errorBg
    {"#8DB4D8", "#2C639A"},  // info
    {"#1C2731", "#E2EDF7"},  // infoBg
    {"#E3A54B", "#B06F12"},  // series 1
    {"#8DB4D8", "#2C639A"},  // series 2
    {"#B79FD6", "#6F4FA3"},  // series 3
    {"#83BB8C", "#2B7040"},  // series 4
    {"#A7A49A", "#6F6C64"},  // series 5
    {"#2E2E2B", "#E5E3DD"},  // free
    {"#8A877D", "#67645C"},  // comment
}};

}  // namespace quern::ui
