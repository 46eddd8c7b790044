#include "report/figure.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <gmock/gmock.h>

namespace sgan {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(CsvTable, QuotesAsRfc4180) {
  CsvTable table({"a", "b"});
  EXPECT_FALSE(table.has_rows());
  table.add_row({"1,5", "say \"x\""});
  table.add_row({"two\nlines", ""});
  EXPECT_TRUE(table.has_rows());
  EXPECT_EQ(table.text(), "a,b\r\n\"1,5\",\"say \"\"x\"\"\"\r\n\"two\nlines\",\r\n");
}

TEST(CsvTable, WritesNumbersAndHarmlessText) {
  EXPECT_EQ(CsvTable::number(-0.1234567), "-0.123457");
  EXPECT_EQ(CsvTable::number(std::nan("")), "");
  EXPECT_EQ(CsvTable::number(INFINITY), "inf");
  EXPECT_EQ(CsvTable::words("spectral"), "spectral");
  for (const char* formula : {"=1+1", "+1", "-1", "@x"})
    EXPECT_EQ(CsvTable::words(formula), std::string("'") + formula);
  EXPECT_EQ(CsvTable::words("a\x01\xff"), "a\uFFFD\uFFFD");
}

TEST(DownloadLink, HoldsTheContentAsAUri) {
  const std::string link = download_link("a&b.csv", "text/csv", "x,1\r\n\"<é\">%#&'", "CSV", "Save as CSV");
  EXPECT_THAT(link, HasSubstr("download=\"a&amp;b.csv\""));
  EXPECT_THAT(link, HasSubstr("href=\"data:text/csv;charset=utf-8,x,1%0D%0A%22%3C%C3%A9%22%3E%25%23%26%27\""));
  EXPECT_THAT(link, HasSubstr("aria-label=\"Save as CSV\">CSV</a>"));
}

TEST(Figures, AreNumberedAndLinkTheirData) {
  Figures figures;
  CsvTable data({"x"});
  EXPECT_THAT(figures.figure("<svg></svg>", "First.", "first", data), Not(HasSubstr("<a ")));  // no rows, no link
  data.add_row({"1"});
  const std::string second = figures.figure("<svg></svg>", "Second.", "second", data);
  EXPECT_THAT(second, HasSubstr("id=\"figure-2\""));
  EXPECT_THAT(second, HasSubstr("<b>Figure 2.</b> Second. <a "));
  EXPECT_THAT(second,
              HasSubstr("download=\"figure-2-second.csv\" href=\"data:text/csv;charset=utf-8,x%0D%0A1%0D%0A\""));
}

TEST(ChartCsv, ThinsLongSeriesEvenlyWithBothEnds) {
  LineChart chart{"t", "x", "y", false, {{"s", {}, {}, 0}}, {}};
  for (int i = 0; i < 50001; ++i) {
    chart.series[0].x.push_back(i);
    chart.series[0].y.push_back(2 * i);
  }
  const std::string text = chart_csv({chart}).text();
  EXPECT_EQ(std::ranges::count(text, '\n'), 2001);
  EXPECT_TRUE(text.starts_with("chart,series,x,y\r\nt,s,0,0\r\nt,s,25,50\r\n")) << text.substr(0, 60);
  EXPECT_TRUE(text.ends_with("t,s,50000,100000\r\n"));
}

}  // namespace
}  // namespace sgan
