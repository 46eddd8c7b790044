#include "report/page.h"

#include <string>
#include <string_view>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "configs/error.h"
#include "report/run_summary.h"
#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReportPage : public RunFixture {
 protected:
  RunSummary run_with_metrics(const std::string& folder, const std::string& strategy, int seed = 0) const {
    make_run(folder, strategy, seed);
    std::string lines;
    for (int step = 100; step <= 400; step += 100) {
      lines += fmt::format(R"({{"step":{},"loss_d":1,"loss_g":null,"critic_real":1,"critic_fake":-1,"ms_per_step":5,)"
                           R"("critic_slope":{{"mean":1,"max":2}},"sigma_effective":{{"layer<0>":1.5}}}})"
                           "\n",
                           step);
    }
    write(folder + "/metrics.jsonl", lines);
    return read_run(root / folder);
  }
};

TEST_F(ReportPage, IsSelfContained) {
  write("a/samples/reals.png", "A");
  write("a/samples/step-00000100.png", "AB");
  write("a/samples/step-00000400.png", "ABC");
  const std::string page = report_page({run_with_metrics("a", "gp"), run_with_metrics("b", "none")});
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  // Whatever could load something is a data URI.
  for (const char* attribute : {"src=\"", "href=\"", "srcset=\"", "action=\""}) {
    for (size_t at = page.find(attribute); at != std::string::npos; at = page.find(attribute, at + 1)) {
      const std::string target = page.substr(at + std::string_view(attribute).size(), 40);
      EXPECT_TRUE(target.starts_with("data:")) << attribute << target;
    }
  }
  EXPECT_THAT(page, Not(AnyOf(HasSubstr("url("), HasSubstr("@import"), HasSubstr(" onclick="), HasSubstr(" onload="))));
  for (const char* image : {"base64,QQ==\"", "base64,QUI=\"", "base64,QUJD\""}) EXPECT_EQ(count(page, image), 1u);
  EXPECT_THAT(page, AllOf(HasSubstr("2 runs: data digits"), HasSubstr("batch 64, seed 0"),
                          HasSubstr("All runs saw the same batches in the same order.")));
}

TEST_F(ReportPage, EscapesWhatUsersName) {
  const std::string name = "</script><script>alert('1')</script>\"";
  RunSummary run = run_with_metrics("a", name);
  run.name = run.status = name;
  run.folder /= name;
  run.record.emplace_back(name, name);
  run.config_text += "# " + name;
  RunSummary other = run;
  other.seed = name;
  other.record.clear();
  for (const std::string& page : {report_page({run}), report_page({run, other})}) {
    EXPECT_THAT(page, AllOf(Not(HasSubstr("alert('1')")), Not(HasSubstr("layer<0>")), HasSubstr("layer&lt;0&gt;")));
    EXPECT_EQ(count(page, "<script"), count(page, "</script"));
    EXPECT_EQ(count(page, "<script"), 0u);  // no samples: nothing to slide through
  }
}

TEST_F(ReportPage, SlidesThroughTheStepsOfAllRuns) {
  write("a/samples/step-00000100.png", "a1");
  write("a/samples/step-00000200.png", "a2");
  write("b/samples/step-00000150.png", "b1");
  const std::string page = report_page({run_with_metrics("a", "gp"), run_with_metrics("b", "none")});
  EXPECT_THAT(page, HasSubstr("data-steps=\"100 150 200\""));
  EXPECT_THAT(page, HasSubstr("data-step=\"100\" hidden"));
  EXPECT_THAT(page, HasSubstr("data-step=\"200\" src"));
  EXPECT_EQ(count(page, "data-step=\"150\" src"), 1u);
  EXPECT_EQ(count(page, "no samples"), 2u);  // a hidden placeholder in each figure
}

TEST_F(ReportPage, EmbedsAnEvenSelectionOfManySteps) {
  for (int step = 1; step <= 100; ++step) write(fmt::format("a/samples/step-{:08d}.png", step), "png");
  const std::string page = report_page({run_with_metrics("a", "gp")});
  EXPECT_EQ(count(page, "data:image/png"), 16u);
  EXPECT_THAT(page, HasSubstr("data-steps=\"1 7 14 20 27 34 40 47 53 60 67 73 80 86 93 100\""));
}

TEST_F(ReportPage, ShowsARunWithoutMetricsAndSamples) {
  make_run("a", "clip");
  const std::string page = report_page({read_run(root / "a")});
  EXPECT_THAT(page, AllOf(HasSubstr("<title>Run a (clip)</title>"), HasSubstr("no samples"), HasSubstr("Not recorded."),
                          HasSubstr("finished, step 0")));
  EXPECT_THAT(page, Not(AnyOf(HasSubstr("<svg"), HasSubstr("vs none"), HasSubstr("same batches"))));
}

TEST_F(ReportPage, SaysWhetherTheRunsSawTheSameBatches) {
  RunSummary a = run_with_metrics("a", "gp"), b = run_with_metrics("b", "none", 1);
  EXPECT_THAT(report_page({a, b}), HasSubstr("Runs with the same seed saw the same batches in the same order."));
  for (auto& [key, value] : b.config) {
    if (key == "train.batch") value = "32";
  }
  EXPECT_THAT(report_page({a, b}), AllOf(HasSubstr("batch 64 / 32"), HasSubstr("did not see the same batches")));
}

TEST_F(ReportPage, ShowsScoresAndBracketsOfTheRuns) {
  for (const char* run : {"a", "b"}) {
    for (int step : {100, 400}) {
      write(fmt::format("{}/evaluation/step-{:08d}-x.json", run, step),
            fmt::format(R"({{"scores":{{"fd_net":{{"value":{},"better":"lower"}}}},"protocol":{{}}}})", 1000 - step));
      write(fmt::format("{}/lipschitz/step-{:08d}.json", run, step), R"({"network":{"lower":1.5,"upper":6}})");
    }
  }
  const std::string page = report_page({run_with_metrics("a", "gp"), run_with_metrics("b", "none")});
  EXPECT_THAT(page, AllOf(HasSubstr("<title>Fréchet distance</title>"), HasSubstr("Fréchet distance ↓ (no unit)"),
                          HasSubstr("Fr%C3%A9chet%20distance,gp,400,600%0D%0A"),
                          HasSubstr("<h3>Lipschitz bracket</h3>"), HasSubstr("gp,,100,1.5,6%0D%0A")));
  EXPECT_EQ(count(page, "class=\"band "), 2u);
  EXPECT_EQ(count(page, "<h3>Scores</h3>"), 1u);
  EXPECT_THAT(report_page({run_with_metrics("c", "gp")}),
              Not(AnyOf(HasSubstr("<h3>Scores</h3>"), HasSubstr("<h3>Lipschitz bracket</h3>"))));
}

TEST_F(ReportPage, LinksTheDataOfEveryFigure) {
  const std::string page = report_page({run_with_metrics("a", "gp"), run_with_metrics("b", "none")});
  EXPECT_EQ(count(page, "<figure class=\"numbered\""), 5u);
  EXPECT_EQ(count(page, "<a class=\"save\" download=\"figure-"), 5u);
  EXPECT_THAT(page, HasSubstr("Discriminator%20loss,none,300,1%0D%0A"));
}

TEST_F(ReportPage, ListsWhatRunsShareOnce) {
  const std::string page = report_page({run_with_metrics("a", "gp"), run_with_metrics("b", "none")});
  EXPECT_EQ(count(page, "<td>2.11.0</td>"), 1u);
  EXPECT_EQ(count(page, "<th scope=\"row\">strategy</th>"), 2u);
  EXPECT_EQ(count(page, "Resolved config"), 2u);
}

TEST(ReportPageErrors, NeedsARun) {
  EXPECT_THROW(report_page({}), UserError);
}

TEST_F(ReportPage, TellsIncidentsFirst) {
  make_run("a", "clip");
  write("a/run.json", R"({"status":"failed","step":900,"name":"a","why":"loss_d is <NaN>",)"
                      R"("alarms":[{"step":700,"trouble":"dead","text":"the critic says the same"}],)"
                      R"("rollbacks":[{"step":812,"to":800,"lr_scale":0.5}],)"
                      R"("overrides":[{"step":800,"keys":[{"key":"loss","from":"hinge","to":"ns"}]}]})");
  const std::string page = report_page({read_run(root / "a")});
  EXPECT_THAT(page,
              AllOf(HasSubstr("<li>step 700, dead: the critic says the same</li>"),
                    HasSubstr("<li>step 812, diverged: rolled back to step 800; from there on learning rates × 0.5"),
                    HasSubstr("<li>step 800: the config was changed: loss hinge → ns</li>"),
                    HasSubstr("<li>step 900, failed: loss_d is &lt;NaN&gt;</li>")));
  EXPECT_LT(page.find("Incidents"), page.find("<h2>"));
  EXPECT_THAT(report_page({run_with_metrics("b", "none")}), Not(HasSubstr("Incidents")));
}

}  // namespace
}  // namespace sgan
