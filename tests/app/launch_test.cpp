#include "app/launch.h"

#include <gmock/gmock.h>

#include <map>

#include "configs/error.h"

namespace sgan {
namespace {

using ::testing::HasSubstr;
using Environment = std::map<std::string, std::string>;

std::optional<Launch> launch_in(const Environment& environment) {
  return launch([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const Environment& environment) {
  try {
    launch_in(environment);
  } catch (const UserError& error) {
    EXPECT_EQ(error.kind(), UserError::Kind::usage);
    return error.what();
  }
  return "no error";
}

const Environment kTorchrun{{"RANK", "3"},
                            {"WORLD_SIZE", "4"},
                            {"LOCAL_RANK", "1"},
                            {"LOCAL_WORLD_SIZE", "2"},
                            {"MASTER_ADDR", "node07"},
                            {"MASTER_PORT", "29501"},
                            {"TORCHELASTIC_USE_AGENT_STORE", "True"}};

const Environment kSrun{{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "2"},
                        {"SLURM_LOCALID", "0"},        {"SLURM_STEP_TASKS_PER_NODE", "2(x2)"},
                        {"SLURM_JOB_ID", "15007"},     {"SLURM_STEP_NODELIST", "gpu[03,05-06]"},
                        {"SLURM_STEP_ID", "2"}};

TEST(Launch, IsNoneForOneProcess) {
  EXPECT_FALSE(launch_in({}));
  EXPECT_FALSE(launch_in({{"WORLD_SIZE", "1"}, {"RANK", "0"}}));
  // sbatch's own shell, and a step of one task.
  EXPECT_FALSE(launch_in({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}}));
  EXPECT_FALSE(launch_in({{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}}));
  // A task of several that is to train on its own.
  auto alone = kSrun;
  alone["WORLD_SIZE"] = "1";
  EXPECT_FALSE(launch_in(alone));
}

TEST(Launch, ReadsTorchrunsVariables) {
  const auto told = launch_in(kTorchrun);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->rank, 3);
  EXPECT_EQ(told->size, 4);
  EXPECT_EQ(told->local_rank, 1);
  EXPECT_EQ(told->local_size, 2);
  EXPECT_EQ(told->host, "node07");
  EXPECT_EQ(told->port, 29501);
  EXPECT_TRUE(told->launcher_serves);
  EXPECT_EQ(told->job, "");
}

TEST(Launch, ReadsSrunsVariables) {
  const auto told = launch_in(kSrun);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->rank, 2);
  EXPECT_EQ(told->size, 4);
  EXPECT_EQ(told->local_rank, 0);
  EXPECT_EQ(told->local_size, 2);
  EXPECT_EQ(told->host, "gpu03");
  EXPECT_EQ(told->port, 15000 + (7 * 31 + 2));
  EXPECT_EQ(told->job, "15007.2");
  EXPECT_FALSE(told->launcher_serves);
  auto other_step = kSrun;
  other_step["SLURM_STEP_ID"] = "3";
  EXPECT_NE(launch_in(other_step)->port, told->port);
  EXPECT_NE(launch_in(other_step)->job, told->job);
  auto given = kSrun;
  given["MASTER_ADDR"] = "10.0.0.1";
  given["MASTER_PORT"] = "4000";
  EXPECT_EQ(launch_in(given)->host, "10.0.0.1");
  EXPECT_EQ(launch_in(given)->port, 4000);
}

TEST(Launch, NamesWhatIsMissingOrNoNumber) {
  auto without = kTorchrun;
  without.erase("MASTER_PORT");
  EXPECT_THAT(refusal(without), HasSubstr("the environment is torchrun's, but MASTER_PORT is missing"));
  for (const auto& [name, value] : Environment{{"RANK", "4"}, {"WORLD_SIZE", "two"}, {"MASTER_PORT", "70000"}}) {
    auto wrong = kTorchrun;
    wrong[name] = value;
    EXPECT_THAT(refusal(wrong), HasSubstr(name + " is \"" + value + "\""));
  }
  auto srun = kSrun;
  srun.erase("SLURM_STEP_NODELIST");
  EXPECT_THAT(refusal(srun), HasSubstr("SLURM_STEP_NODELIST is missing"));
}

TEST(Launch, FindsTheFirstMachineOfSlurmsLists) {
  EXPECT_EQ(first_machine("login"), "login");
  EXPECT_EQ(first_machine("a1,b2"), "a1");
  EXPECT_EQ(first_machine("node[07,09-12],login"), "node07");
  EXPECT_EQ(first_machine("n[1-3]"), "n1");
  EXPECT_EQ(first_machine("n[1-3]-ib"), "n1-ib");
  EXPECT_EQ(first_machine("rack[1-2]node[3,5],x"), "rack1node3");
  EXPECT_EQ(first_machine(""), "");
}

}  // namespace
}  // namespace sgan
