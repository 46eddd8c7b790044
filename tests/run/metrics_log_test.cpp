#include "run/metrics_log.h"

#include <gmock/gmock.h>

#include <limits>

#include "run/atomic_file.h"
#include "tests/run/file_size_limit.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(MetricsLog, WritesOneCompactLineEach) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "m", 0);
  log.append({{"step", 1}, {"loss_d", 0.5}});
  log.append({{"step", 2}, {"loss_d", std::numeric_limits<double>::quiet_NaN()}, {"text", "\xff"}});
  EXPECT_EQ(read_file(folder / "m"), "{\"step\":1,\"loss_d\":0.5}\n{\"step\":2,\"loss_d\":null,\"text\":\"\uFFFD\"}\n");
  EXPECT_EQ(log.lines(), 2);
}

TEST(MetricsLog, ResumeDropsLaterLines) {
  const TemporaryFolder folder;
  int64_t recorded = 0;
  {
    MetricsLog log(folder / "m", 0);
    log.append({{"step", 1}});
    log.sync();
    recorded = log.lines();
    log.append({{"step", 2}});
  }
  MetricsLog log(folder / "m", recorded);
  log.append({{"step", 3}});
  EXPECT_EQ(read_file(folder / "m"), "{\"step\":1}\n{\"step\":3}\n");
  EXPECT_EQ(log.lines(), 2);
}

TEST(MetricsLog, RefusesAFileThatLostLines) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "m", "{}\n");
  EXPECT_THAT([&] { MetricsLog(folder / "m", 100); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("has 1 lines"), HasSubstr("it had 100"))));
}

TEST(MetricsLog, FullDiskLeavesNoHalfLine) {
  const TemporaryFolder folder;
  MetricsLog log(folder / "m", 0);
  log.append({{"step", 1}});
  {
    const FileSizeLimit limit(20);
    EXPECT_THAT(
        [&] {
          log.append({{"text", std::string(100, 'x')}});
        },
        ThrowsMessage<UserError>(HasSubstr("cannot write")));
  }
  EXPECT_EQ(read_file(folder / "m"), "{\"step\":1}\n");
  log.append({{"step", 2}});
  EXPECT_EQ(read_metrics(folder / "m").size(), 2U);
}

TEST(ReadMetrics, SkipsAnIncompleteLastLine) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "m", "{\"b\":1,\"a\":2}\n{\"b\":3}\n{\"b\":");
  const auto lines = read_metrics(folder / "m");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].begin().key(), "b");
  EXPECT_EQ(lines[1]["b"], 3);
  write_file_atomically(folder / "m", "");
  EXPECT_TRUE(read_metrics(folder / "m").empty());
}

TEST(ReadMetrics, NamesABrokenLine) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "m", "{}\n{\"b\":\n{}\n");
  EXPECT_THAT([&] { read_metrics(folder / "m"); }, ThrowsMessage<UserError>(HasSubstr("m:2 is not a JSON object")));
}

TEST(MetricsLine, IsTheLastThatCounts) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "m", "{\"a\":1}\n{\"a\":2}\nno JSON\n");
  EXPECT_TRUE(metrics_line(folder / "m", 0).empty());
  EXPECT_EQ(metrics_line(folder / "m", 2)["a"], 2);
  EXPECT_THAT([&] { metrics_line(folder / "m", 3); }, ThrowsMessage<UserError>(HasSubstr("m:3 is not a JSON object")));
  write_file_atomically(folder / "m", "{\"a\":1}\n{\"a\":");
  EXPECT_THAT([&] { metrics_line(folder / "m", 2); }, ThrowsMessage<UserError>(HasSubstr("lines are missing")));
  EXPECT_THAT([&] { metrics_line(folder / "none", 2); }, ThrowsMessage<UserError>(HasSubstr("none has 0 lines")));
}

}  // namespace
}  // namespace sgan
