#include "engine/grammar/json_format.h"

#include <vector>

namespace quern::engine::grammar {
namespace {

class FormatWriter {
 public:
  explicit FormatWriter(GrammarBuilder& builder) : builder_(builder) {}

  /// full-date of RFC 3339 with the days that there are, from the year 1 on.
  ExprId date() {
    const ExprId d = set("0-9");
    const ExprId some = set("1-9");
    const ExprId year = either({list({d, d, d, some}), list({d, d, some, text("0")}),
                                list({d, some, text("00")}), list({some, text("000")})});
    const ExprId to29 = either({list({text("0"), some}), list({set("12"), d})});
    const ExprId to28 =
        either({list({text("0"), some}), list({text("1"), d}), list({text("2"), set("0-8")})});
    const ExprId long31 = list({either({list({text("0"), set("13578")}), list({text("1"), set("02")})}),
                                text("-"), either({to29, list({text("3"), set("01")})})});
    const ExprId long30 =
        list({either({list({text("0"), set("469")}), text("11")}), text("-"), either({to29, text("30")})});
    const ExprId day = either({long31, long30, list({text("02-"), to28})});
    const ExprId fourths = either(
        {list({text("0"), set("48")}), list({set("2468"), set("048")}), list({set("13579"), set("26")})});
    const ExprId leap = either({list({d, d, fourths}), list({fourths, text("00")})});
    return either({list({year, text("-"), day}), list({leap, text("-02-29")})});
  }

  /// full-time of RFC 3339.
  ExprId time() {
    const ExprId hour = either({list({set("01"), set("0-9")}), list({text("2"), set("0-3")})});
    const ExprId sixty = list({set("0-5"), set("0-9")});
    const ExprId fraction = list({text("."), some("0-9", 1, 6)});
    const ExprId zone = either({text("Z"), list({set("+-"), hour, text(":"), sixty})});
    return list({hour, text(":"), sixty, text(":"), sixty, maybe(fraction), zone});
  }

  ExprId dateTime() { return list({date(), text("T"), time()}); }

  /// RFC 3339, appendix A.
  ExprId duration() {
    const auto count = [&](const char* unit) { return list({some("0-9", 1, 6), text(unit)}); };
    const ExprId minutes = list({count("M"), maybe(count("S"))});
    const ExprId hours = list({count("H"), maybe(minutes)});
    const ExprId clock = list({text("T"), either({hours, minutes, count("S")})});
    const ExprId months = list({count("M"), maybe(count("D"))});
    const ExprId years = list({count("Y"), maybe(months)});
    const ExprId dates = list({either({years, months, count("D")}), maybe(clock)});
    return list({text("P"), either({dates, clock, count("W")})});
  }

  ExprId hostname() {
    const ExprId part = some("0-9A-Za-z", 1, 20);
    const ExprId label = list({part, builder_.repeat(list({text("-"), part}), 0, 2)});
    return list({label, builder_.repeat(list({text("."), label}), 0, 3)});
  }

  ExprId email() {
    const ExprId atoms = some("0-9A-Za-z!#$%&'*+/=?^_`{|}~-", 1, 15);
    const ExprId local = list({atoms, builder_.repeat(list({text("."), atoms}), 0, 3)});
    return list({local, text("@"), hostname()});
  }

  ExprId ipv4() {
    const ExprId d = set("0-9");
    const ExprId octet = either({list({text("25"), set("0-5")}), list({text("2"), set("0-4"), d}),
                                 list({text("1"), d, d}), list({set("1-9"), d}), d});
    return list({octet, builder_.repeat(list({text("."), octet}), 3, 3)});
  }

  /// RFC 4291, section 2.2, forms 1 and 2: eight groups, or "::" for one or more of them.
  ExprId ipv6() {
    const ExprId group = some("0-9A-Fa-f", 1, 4);
    const ExprId more = list({text(":"), group});
    const auto groups = [&](std::int64_t least, std::int64_t most) {
      return list({group, builder_.repeat(more, least - 1, most - 1)});
    };
    std::vector<ExprId> forms{groups(8, 8), list({text("::"), maybe(groups(1, 7))})};
    for (std::int64_t before = 1; before < 7; ++before) {
      forms.push_back(list({groups(before, before), text("::"), maybe(groups(1, 7 - before))}));
    }
    forms.push_back(list({groups(7, 7), text("::")}));
    return either(std::move(forms));
  }

  ExprId uuid() {
    const char* hex = "0-9A-Fa-f";
    const ExprId four = list({text("-"), some(hex, 4, 4)});
    return list({some(hex, 8, 8), builder_.repeat(four, 3, 3), text("-"), some(hex, 12, 12)});
  }

  /// RFC 3986, section 3, without user information, IP literals and empty hosts.
  ExprId uri() {
    const ExprId scheme = list({set("A-Za-z"), some("0-9A-Za-z+.-", 0, 15)});
    const ExprId port = list({text(":"), some("0-9", 1, 5)});
    const ExprId authority = list({text("//"), hostname(), maybe(port), segments()});
    const ExprId rootless = list({any(pathCharacter(":@")), segments()});
    return list({scheme, text(":"), either({authority, rootless}), tail()});
  }

  ExprId uriReference() {
    const ExprId relative = list({maybe(list({any(pathCharacter("@")), segments()})), tail()});
    const ExprId absolute = list({text("/"), maybe(list({any(pathCharacter(":@")), segments()})), tail()});
    return either({uri(), absolute, relative});
  }

  /// RFC 6901.
  ExprId jsonPointer() {
    constexpr CharacterRange kPlain[] = {
        {0x20, 0x21}, {0x23, 0x2E}, {0x30, 0x5B}, {0x5D, 0x7D}, {0x80, 0x10FFFF}};
    const ExprId character = either({builder_.characters(kPlain), list({text("~"), set("01")})});
    return builder_.repeat(list({text("/"), builder_.repeat(character, 0)}), 0);
  }

  ExprId relativeJsonPointer() {
    const ExprId number = either({text("0"), list({set("1-9"), some("0-9", 0, 8)})});
    return list({number, either({text("#"), jsonPointer()})});
  }

 private:
  ExprId text(std::string_view bytes) { return builder_.literal(bytes); }
  ExprId list(std::vector<ExprId> parts) { return builder_.sequence(std::move(parts)); }
  ExprId either(std::vector<ExprId> options) { return builder_.choice(std::move(options)); }
  ExprId maybe(ExprId part) { return builder_.optional(part); }
  ExprId any(ExprId part) { return builder_.repeat(part, 1); }

  /// Written as within brackets: "0-9a-f"; a "-" at the end is itself.
  ExprId set(std::string_view characters) {
    std::vector<CharacterRange> ranges;
    for (std::size_t at = 0; at < characters.size(); ++at) {
      const auto first = static_cast<unsigned char>(characters[at]);
      const bool isRange = at + 2 < characters.size() && characters[at + 1] == '-';
      if (isRange) at += 2;
      ranges.push_back({first, static_cast<unsigned char>(characters[at])});
    }
    return builder_.characters(ranges);
  }
  ExprId some(std::string_view characters, std::int64_t least, std::int64_t most) {
    return builder_.repeat(set(characters), least, most);
  }

  ExprId pathCharacter(std::string_view more) {
    const std::string plain = std::string(more) + "0-9A-Za-z!$&'()*+,;=._~-";
    const ExprId hex = set("0-9A-Fa-f");
    return either({set(plain), list({text("%"), hex, hex})});
  }
  ExprId segments() {
    const ExprId segment = list({text("/"), builder_.repeat(pathCharacter(":@"), 0)});
    return builder_.repeat(segment, 0);
  }
  ExprId tail() {
    const ExprId rest = builder_.repeat(pathCharacter(":@/?"), 0);
    return list({maybe(list({text("?"), rest})), maybe(list({text("#"), rest}))});
  }

  GrammarBuilder& builder_;
};

struct Format {
  std::string_view name;
  ExprId (FormatWriter::*write)();
};

constexpr Format kFormats[] = {
    {"date", &FormatWriter::date},
    {"date-time", &FormatWriter::dateTime},
    {"duration", &FormatWriter::duration},
    {"email", &FormatWriter::email},
    {"hostname", &FormatWriter::hostname},
    {"ipv4", &FormatWriter::ipv4},
    {"ipv6", &FormatWriter::ipv6},
    {"json-pointer", &FormatWriter::jsonPointer},
    {"relative-json-pointer", &FormatWriter::relativeJsonPointer},
    {"time", &FormatWriter::time},
    {"uri", &FormatWriter::uri},
    {"uri-reference", &FormatWriter::uriReference},
    {"uuid", &FormatWriter::uuid},
};

}  // namespace

std::optional<ExprId> formatExpression(GrammarBuilder& builder, std::string_view format) {
  FormatWriter writer(builder);
  for (const Format& known : kFormats) {
    if (known.name == format) return (writer.*known.write)();
  }
  return std::nullopt;
}

std::string formatNames() {
  std::string names;
  for (const Format& known : kFormats) names += (names.empty() ? "" : ", ") + std::string(known.name);
  return names;
}

}  // namespace quern::engine::grammar
