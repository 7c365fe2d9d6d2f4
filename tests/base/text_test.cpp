#include "engine/base/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace quern::engine::base {
namespace {

using namespace std::string_view_literals;

TEST(Text, GroupsThousands) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(12345678), "12,345,678");
  EXPECT_EQ(grouped(std::numeric_limits<std::uint64_t>::max()), "18,446,744,073,709,551,615");
}

TEST(Text, SaysBytesWithThreeDigits) {
  EXPECT_EQ(byteText(0), "0 bytes");
  EXPECT_EQ(byteText(1023), "1023 bytes");
  EXPECT_EQ(byteText(1024), "1.00 KiB");
  EXPECT_EQ(byteText(98'362'432), "93.8 MiB");
  EXPECT_EQ(byteText(4'681'514'352), "4.36 GiB");
  EXPECT_EQ(byteText(512ULL << 20), "512 MiB");
}

TEST(Text, MeasuresUtf8Characters) {
  EXPECT_EQ(utf8CharacterBytes(""), 0U);
  EXPECT_EQ(utf8CharacterBytes("a"), 1U);
  EXPECT_EQ(utf8CharacterBytes("\0"sv), 1U);
  EXPECT_EQ(utf8CharacterBytes("ü"), 2U);
  EXPECT_EQ(utf8CharacterBytes("€uro"), 3U);
  EXPECT_EQ(utf8CharacterBytes("🙂"), 4U);
  EXPECT_EQ(utf8CharacterBytes("\xF4\x8F\xBF\xBF"), 4U);  // U+10FFFF, the last one
}

TEST(Text, RefusesWhatIsNotUtf8) {
  for (const std::string_view bad :
       {"\x80"sv, "\xC0\x80"sv, "\xC1\xBF"sv, "\xC3"sv, "\xC3\x28"sv, "\xE2\x82"sv,
        "\xE0\x80\x80"sv,      // overlong
        "\xED\xA0\x80"sv,      // a surrogate
        "\xF4\x90\x80\x80"sv,  // beyond U+10FFFF
        "\xF5\x80\x80\x80"sv, "\xFF"sv, "\xF0\x9F\x99"sv}) {
    EXPECT_EQ(utf8CharacterBytes(bad), 0U) << bad;
  }
}

TEST(Text, PrintsStrangersTextSafely) {
  EXPECT_EQ(printable("Grüße"), "Grüße");
  EXPECT_EQ(printable("a\x1b[2Jb\n\x7F"), "a\uFFFD[2Jb\uFFFD\uFFFD");
  EXPECT_EQ(printable("\xFF\xC3"), "\uFFFD\uFFFD");
  EXPECT_EQ(printable("abcdef", 3), "abc…");
  EXPECT_EQ(printable("äöü", 3), "äöü");
  EXPECT_EQ(printable(""), "");
}

}  // namespace
}  // namespace quern::engine::base
