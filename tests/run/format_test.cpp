#include "run/format.h"

#include <limits>

#include <gtest/gtest.h>

namespace sgan {
namespace {

TEST(EscapeHtml, EscapesMarkupAndQuotes) {
  EXPECT_EQ(escape_html("</script> & \"a\" 'b'"), "&lt;/script&gt; &amp; &quot;a&quot; &#39;b&#39;");
}

TEST(EscapeHtml, ReplacesControlCharactersAndInvalidUtf8) {
  EXPECT_EQ(escape_html("a\nb\tc"), "a\nb\tc");
  EXPECT_EQ(escape_html(std::string_view("a\0b\x1b", 4)), "a\uFFFDb\uFFFD");
  EXPECT_EQ(escape_html("\xFFσ\xCF"), "\uFFFDσ\uFFFD");
  EXPECT_EQ(escape_html("\xC0\xBC"), "\uFFFD\uFFFD");  // an overlong '<'
}

TEST(DisplayWidth, CountsTerminalColumns) {
  EXPECT_EQ(display_width("σ̂"), 1u);  // a combining circumflex
  EXPECT_EQ(display_width("名前"), 4u);
  EXPECT_EQ(display_width("max ∏ –"), 7u);
}

TEST(Shorten, CutsToTheWidthWithAnEllipsis) {
  EXPECT_EQ(shorten("spectral", 8), "spectral");
  EXPECT_EQ(shorten("spectral", 5), "spec…");
  EXPECT_EQ(shorten("名前名前", 4), "名…");
}

TEST(FormatNumber, KeepsSignificantDigits) {
  EXPECT_EQ(format_number(0), "0");
  EXPECT_EQ(format_number(1), "1.00");
  EXPECT_EQ(format_number(9.996), "10.0");
  EXPECT_EQ(format_number(0.01234), "0.0123");
  EXPECT_EQ(format_number(84512.4), "84512");
  EXPECT_EQ(format_number(-2.5), "−2.50");
  EXPECT_EQ(format_number(3.4e8), "3.40×10⁸");
  EXPECT_EQ(format_number(-1.5e-7, 2), "−1.5×10⁻⁷");
  EXPECT_EQ(format_number(std::numeric_limits<double>::quiet_NaN()), "NaN");
  EXPECT_EQ(format_number(-std::numeric_limits<double>::infinity()), "−∞");
}

TEST(FormatCount, GroupsThousands) {
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-1000), "−1,000");
}

}  // namespace
}  // namespace sgan
