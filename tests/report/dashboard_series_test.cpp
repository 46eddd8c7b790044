#include "report/dashboard_series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include <fmt/format.h>

#include "tests/report/run_fixture.h"

namespace sgan {
namespace {

using testing::DoubleEq;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::NanSensitiveDoubleEq;
using testing::SizeIs;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Smoothing, IsADebiasedMovingAverage) {
  const Curve curve = smoothed({{1, 2, 3, 4}, {4, 8, kNaN, 2}}, 0.5);
  // (0.5·4)/0.5; (0.25·4 + 0.5·8)/0.75; kept; (0.125·4 + 0.25·8 + 0.5·2)/0.875
  EXPECT_THAT(curve.y, ElementsAre(DoubleEq(4), DoubleNear(20.0 / 3, 1e-12), NanSensitiveDoubleEq(kNaN), DoubleEq(4)));
  EXPECT_THAT(smoothed({{1, 2}, {3, 5}}, 0).y, ElementsAre(3, 5));
}

TEST(Cutting, KeepsOnePointOnEachSide) {
  const Curve curve{{0, 10, 20, 30, 40}, {0, 1, 2, 3, 4}};
  EXPECT_THAT(cut(curve, 15, 25).x, ElementsAre(10, 20, 30));
  EXPECT_THAT(cut(curve, 22, 24).y, ElementsAre(2, 3));
  EXPECT_THAT(cut(curve, -5, 5).x, ElementsAre(0, 10));
  EXPECT_THAT(cut(curve, 50, 60).x, ElementsAre(40));
  EXPECT_THAT(cut(curve, 25, 15).x, IsEmpty());
  EXPECT_THAT(cut({}, 0, 1).x, IsEmpty());
}

TEST(Decimation, KeepsTheExtremesOfEachStretchInTheirOrder) {
  const Curve curve{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {5, 1, 9, 3, 4, 4, 8, 2, 6, 5}};
  const Curve kept = decimated(curve, 6);  // the ends, and two of each four
  EXPECT_THAT(kept.x, ElementsAre(0, 1, 2, 6, 7, 9));
  EXPECT_THAT(kept.y, ElementsAre(5, 1, 9, 8, 2, 5));
  EXPECT_THAT(decimated(curve, 10).x, SizeIs(10));
}

TEST(Decimation, NeverLosesASpike) {
  Curve curve;
  for (int i = 0; i < 100000; ++i) curve.x.push_back(i), curve.y.push_back(i == 77777 ? 1000 : std::sin(i));
  const Curve kept = decimated(curve, 1000);
  EXPECT_LE(kept.x.size(), 1000u);
  EXPECT_EQ(std::ranges::max(kept.y), 1000);
  EXPECT_TRUE(std::ranges::is_sorted(kept.x));
}

TEST(Decimation, KeepsAGapOfNaN) {
  Curve curve;
  for (int i = 0; i < 1000; ++i) curve.x.push_back(i), curve.y.push_back(i >= 400 && i < 600 ? kNaN : 1);
  const Curve kept = decimated(curve, 100);
  EXPECT_TRUE(std::ranges::any_of(kept.y, [](double y) { return std::isnan(y); }));
}

class SeriesTest : public RunFixture {
 protected:
  SeriesTest() : files(root) { make_run("run", "spectral"); }

  void append(const std::string& text) const {
    std::ofstream(root / "run/metrics.jsonl", std::ios::app | std::ios::binary) << text;
  }
  static std::string line(int step, double loss) {
    return fmt::format("{{\"step\":{},\"wall_s\":{},\"loss_d\":{}}}\n", step, step * 0.5, loss);
  }
  std::vector<double> losses(MetricsTable& table) const {
    table.update(*files.open("run/metrics.jsonl"), "loss_d");
    const auto* column = table.column("loss_d");
    return column ? column->values : std::vector<double>();
  }

  ContainedFolder files;
};

TEST_F(SeriesTest, ColumnsOfNestedAndMissingKeys) {
  append(
      "{\"step\":1,\"wall_s\":0.5,\"loss_d\":2,\"deep\":{\"a\":{\"b\":3}},\"list\":[7,{\"x\":1}],\"text\":\"1\"}\n"
      "{\"step\":2,\"loss_d\":null}\n[1,2]\nnot json\n5\n\n{\"step\":3,\"deep\":{\"a\":{\"b\":4}}}\n");
  MetricsTable table;
  EXPECT_THAT(losses(table), ElementsAre(2, NanSensitiveDoubleEq(kNaN)));
  EXPECT_THAT(table.keys(), ElementsAre("deep.a.b", "loss_d", "step", "wall_s"));
  EXPECT_THAT(table.column("deep.a.b")->values, ElementsAre(3, 4));
  EXPECT_EQ(table.steps()[table.column("deep.a.b")->rows[1]], 3);
  EXPECT_EQ(table.seconds()[0], 0.5);
}

TEST_F(SeriesTest, GrowsWithTheFile) {
  MetricsTable table;
  append(line(1, 10) + "{\"step\":2,\"lo");
  EXPECT_THAT(losses(table), ElementsAre(10));
  append("ss_d\":20}\n");
  EXPECT_THAT(losses(table), ElementsAre(10, 20));
  EXPECT_THAT(losses(table), ElementsAre(10, 20));
  append(line(3, 30));
  EXPECT_THAT(losses(table), ElementsAre(10, 20, 30));
  EXPECT_THAT(table.steps(), ElementsAre(1, 2, 3));
}

TEST_F(SeriesTest, ReadsAFileAnewThatAResumedRunHasCut) {
  MetricsTable table;
  append(line(1, 10) + line(2, 20) + line(3, 30));
  losses(table);
  const auto path = root / "run/metrics.jsonl";
  std::filesystem::resize_file(path, line(1, 10).size());
  EXPECT_THAT(losses(table), ElementsAre(10));
  append(line(2, 20) + line(3, 30));
  losses(table);
  // Cut and longer again before it was looked at: other bytes are before the place.
  std::filesystem::resize_file(path, line(1, 10).size());
  append(line(2, 21) + line(3, 31) + line(4, 41));
  EXPECT_THAT(losses(table), ElementsAre(10, 21, 31, 41));
  std::filesystem::remove(path);
  append(line(1, 70));
  EXPECT_THAT(losses(table), ElementsAre(70));
}

TEST_F(SeriesTest, OfALongFileOnlyWhatIsAskedForIsKept) {
  for (int step = 1; step <= 100; ++step) append(fmt::format("{{\"step\":{0},\"a\":{0},\"b\":{1}}}\n", step, -step));
  MetricsTable table(/*keep_all=*/500);
  table.update(*files.open("run/metrics.jsonl"), "a");
  EXPECT_THAT(table.column("a")->values, SizeIs(100));
  EXPECT_THAT(table.column("b")->values, IsEmpty());
  table.update(*files.open("run/metrics.jsonl"), "b");
  EXPECT_THAT(table.column("b")->values, SizeIs(100));
  EXPECT_THAT(table.column("a")->values, SizeIs(100));
  EXPECT_THAT(table.column("step")->values, IsEmpty());
}

TEST_F(SeriesTest, AFileThatGrowsLongDropsWhatWasNotAskedFor) {
  append("{\"step\":1,\"a\":1,\"b\":2}\n");
  MetricsTable table(/*keep_all=*/100);
  table.update(*files.open("run/metrics.jsonl"), "a");
  EXPECT_THAT(table.column("b")->values, SizeIs(1));
  for (int step = 2; step <= 20; ++step) append("{\"step\":2,\"a\":1,\"b\":2}\n");
  table.update(*files.open("run/metrics.jsonl"), "a");
  EXPECT_THAT(table.column("a")->values, SizeIs(20));
  EXPECT_THAT(table.column("b")->values, IsEmpty());
  table.update(*files.open("run/metrics.jsonl"), "b");
  EXPECT_THAT(table.column("b")->values, SizeIs(20));
}

TEST_F(SeriesTest, HostileLinesAreLeftOut) {
  append(line(1, 10) + std::string(100000, '[') + "\n" + "{\"a\":" + std::string(50000, '{') + "\n");
  append("{\"step\":2,\"loss_d\":1e999}\n" + std::string(std::size_t{9} << 20, 'x') + "\n" + line(3, 30));
  for (int i = 0; i < 5000; ++i) append(fmt::format("{{\"key{}\":1}}\n", i));
  append(line(4, 40));
  MetricsTable table;
  EXPECT_THAT(losses(table), ElementsAre(10, 30, 40));
  EXPECT_LE(table.keys().size(), 2000u);
}

class CurveReaderTest : public SeriesTest {
 protected:
  void evaluate(int step, const std::string& protocol, double value) const {
    write(fmt::format("run/evaluation/step-{:08}-{}.json", step, protocol),
          fmt::format("{{\"scores\":{{\"fd_x\":{{\"value\":{}}},\"broken\":3}}}}", value));
  }
};

TEST_F(CurveReaderTest, ScoresAndBracketsOverStepsAndSeconds) {
  append(line(10, 1) + line(20, 2) + line(30, 3));
  evaluate(25, "p", 7);
  evaluate(10, "p", 9);
  write("run/lipschitz/step-00000020.json", R"({"network":{"lower":0.5,"upper":2}})");
  write("run/lipschitz/step-00000030.json", R"({"network":{"lower":0.6,"upper":null}})");
  write("run/lipschitz/step-00000040.json", "broken");
  CurveReader reader(files);
  const auto score = reader.read("run", "score.fd_x", CurveReader::Axis::step);
  EXPECT_THAT(score.curve.x, ElementsAre(10, 25));
  EXPECT_THAT(score.curve.y, ElementsAre(9, 7));
  EXPECT_EQ(score.protocol, "p");
  EXPECT_THAT(reader.read("run", "score.fd_x", CurveReader::Axis::seconds).curve.x, ElementsAre(5, 10));
  EXPECT_THAT(reader.read("run", "lipschitz.lower", CurveReader::Axis::step).curve.y, ElementsAre(0.5, 0.6));
  EXPECT_THAT(reader.read("run", "lipschitz.upper", CurveReader::Axis::step).curve.y,
              ElementsAre(2, NanSensitiveDoubleEq(kNaN)));
  EXPECT_THAT(reader.read("run", "loss_d", CurveReader::Axis::seconds).curve.x, ElementsAre(5, 10, 15));
  EXPECT_THAT(reader.metrics("run"), IsSupersetOf({"loss_d", "score.fd_x", "lipschitz.lower", "lipschitz.upper"}));
  EXPECT_THAT(reader.read("run", "nothing", CurveReader::Axis::step).curve.x, IsEmpty());
  EXPECT_THAT(reader.read("missing", "loss_d", CurveReader::Axis::step).curve.x, IsEmpty());
}

TEST_F(CurveReaderTest, ProtocolsAreNotMixed) {
  evaluate(10, "p", 9);
  evaluate(10, "q", 5);
  CurveReader reader(files);
  EXPECT_THAT(reader.metrics("run"), ElementsAre("score.fd_x (p)", "score.fd_x (q)"));
  EXPECT_THAT(reader.read("run", "score.fd_x (q)", CurveReader::Axis::step).curve.y, ElementsAre(5));
  EXPECT_THAT(reader.read("run", "score.fd_x", CurveReader::Axis::step).curve.y, IsEmpty());
}

TEST_F(CurveReaderTest, AnEvaluationThatWasWrittenAnewIsReadAnew) {
  evaluate(10, "p", 9);
  CurveReader reader(files);
  reader.metrics("run");
  evaluate(10, "p", 1234);
  EXPECT_THAT(reader.read("run", "score.fd_x", CurveReader::Axis::step).curve.y, ElementsAre(1234));
  std::filesystem::remove_all(root / "run/evaluation");
  EXPECT_THAT(reader.read("run", "score.fd_x", CurveReader::Axis::step).curve.y, IsEmpty());
}

TEST_F(CurveReaderTest, PointsComeInOrder) {
  append(line(10, 1) + line(30, 3) + line(20, 2));
  EXPECT_THAT(CurveReader(files).read("run", "loss_d", CurveReader::Axis::step).curve.y, ElementsAre(1, 2, 3));
}

TEST_F(CurveReaderTest, MemoryIsBounded) {
  std::string text;
  for (int step = 1; step <= 1000; ++step) text += line(step, step);
  for (int run = 0; run < 10; ++run) write(fmt::format("run{}/metrics.jsonl", run), text);
  CurveReader reader(files, /*max_bytes=*/150000);
  for (int run = 0; run < 10; ++run) {
    EXPECT_THAT(reader.read(fmt::format("run{}", run), "loss_d", CurveReader::Axis::step).curve.x, SizeIs(1000));
    EXPECT_LE(reader.bytes(), 150000u);
  }
  EXPECT_GT(reader.bytes(), 0u);
}

}  // namespace
}  // namespace sgan
