#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Examined {
  int exit_code;
  json report;

  const json& section(const std::string& name) const { return report["sections"].at(name); }
  // The first check of that name; null where it was not made.
  json check(const std::string& section_name, const std::string& name) const {
    for (const auto& check : section(section_name)) {
      if (check["check"] == name) return check;
    }
    return {};
  }
  // "status: text" of what is not well in a section.
  std::vector<std::string> troubles(const std::string& section_name) const {
    std::vector<std::string> lines;
    for (const auto& check : section(section_name)) {
      if (check["status"] == "ok") continue;
      lines.push_back(check["status"].get<std::string>() + ": " + check["text"].get<std::string>());
    }
    return lines;
  }
};

Examined examine(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "doctor");
  arguments.insert(arguments.end(), {"threads=1", "device=cpu", "--json"});
  const auto outcome = run_program(arguments);
  return {outcome.exit_code, json::parse(outcome.out)};
}

TEST(Doctor, LooksAtTheMachineAlone) {
  const auto outcome = run_program({"doctor"});
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("machine\n"), HasSubstr("program: spectral-gan 0."), HasSubstr("LibTorch 2."),
                    HasSubstr("memory: "), HasSubstr("cuda: "), Not(HasSubstr("\ndata\n"))));
  EXPECT_EQ(outcome.err, "");
}

TEST(Doctor, FindsAGoodConfigWellAndTriesItsUpdates) {
  const TemporaryFolder folder;
  const auto output = folder / "runs";
  const auto examined = examine({preset("digits/gp.yaml"), "output=" + output.string()});
  EXPECT_EQ(examined.exit_code, 0) << examined.report.dump(2);
  EXPECT_EQ(examined.report["problems"], 0);
  EXPECT_FALSE(std::filesystem::exists(output));

  EXPECT_EQ(examined.check("machine", "output")["facts"]["writable"], true);
  EXPECT_EQ(examined.check("data", "loading")["facts"]["samples"], 1437);
  const auto values = examined.check("data", "values")["facts"];
  EXPECT_EQ(values["least"], -1);
  EXPECT_EQ(values["largest"], 1);
  EXPECT_THAT(examined.troubles("data"), IsEmpty());
  EXPECT_THAT(examined.troubles("config"), IsEmpty());
  EXPECT_THAT(examined.troubles("run"), IsEmpty());

  const auto penalty = examined.check("run", "penalty gp")["facts"];
  EXPECT_EQ(penalty["weights_reached"], penalty["weights"]);
  EXPECT_GE(penalty["weights"], 3);
  EXPECT_GT(penalty["gradient_norm"], 0);
  EXPECT_EQ(examined.check("run", "gradients")["status"], "ok");
  const auto time = examined.check("run", "time")["facts"];
  EXPECT_GT(time["ms_discriminator"], 0);
  EXPECT_NEAR(time["estimated_seconds"].get<double>(), 2 * time["ms_per_step"].get<double>(), 1e-9);  // 2000 steps
}

TEST(Doctor, NamesDataThatAreNotThere) {
  const TemporaryFolder folder;
  const auto examined = examine({preset("folder.yaml"), "data.path=" + (folder / "none").string()});
  EXPECT_EQ(examined.exit_code, 1);
  EXPECT_THAT(examined.troubles("data"),
              testing::ElementsAre(HasSubstr("problem: data.path: there is no file or folder")));
  EXPECT_FALSE(examined.report["sections"].contains("run"));
}

// MNIST's files, of three equal images of one grey.
TEST(Doctor, NamesDataThatAreTooFewEqualAndFlat) {
  const TemporaryFolder folder;
  const std::string three("\0\0\0\3", 4);
  const std::string side("\0\0\0\x1c", 4);
  std::filesystem::create_directory(folder / "mnist");
  std::ofstream(folder / "mnist" / "train-images-idx3-ubyte", std::ios::binary)
      << std::string("\0\0\x08\x03", 4) + three + side + side + std::string(3 * 784, 'x');
  const auto examined = examine({preset("folder.yaml"), "data.path=" + (folder / "mnist").string(), "data.size=32",
                                 "data.channels=1", "data.cache=" + (folder / "cache").string()});
  EXPECT_EQ(examined.exit_code, 1);
  EXPECT_THAT(examined.troubles("data"),
              testing::UnorderedElementsAre(
                  AllOf(HasSubstr("warning: of one colour: 3 of 3 images"), HasSubstr("seen before: 2 of 3 images")),
                  HasSubstr("problem: train.batch is 64, and the data have 3 samples"),
                  HasSubstr("warning: the images' pixels lie between 120 and 120 of 0 to 255"),
                  HasSubstr("note: the data have 3 images")));
  EXPECT_TRUE(examined.check("run", "time").is_null());
}

TEST(Doctor, NamesAnOutputFolderThatTakesNoFiles) {
  const TemporaryFolder folder;
  std::ofstream(folder / "file") << "no folder";
  for (const auto& output : {(folder / "file" / "runs").string(), std::string("/proc/runs")}) {
    const auto examined = examine({preset("digits/none.yaml"), "output=" + output, "--no-trial"});
    EXPECT_EQ(examined.exit_code, 1) << output;
    const auto check = examined.check("machine", "output");
    EXPECT_EQ(check["status"], "problem") << output;
    EXPECT_THAT(check["text"].get<std::string>(), HasSubstr(output + " cannot be made")) << output;
  }
}

TEST(Doctor, NamesAConfigThatIsRefused) {
  const auto examined = examine({preset("digits/gp.yaml"), "discriminator.norm=batch"});
  EXPECT_EQ(examined.exit_code, 1);
  EXPECT_THAT(examined.troubles("config"),
              testing::ElementsAre(AllOf(HasSubstr("problem: "), HasSubstr("batch normalization mixes"),
                                         HasSubstr("Gulrajani et al. 2017"))));
  EXPECT_FALSE(examined.report["sections"].contains("data"));
}

TEST(Doctor, ShowsWhichPenaltyMovesNothing) {
  const auto examined = examine({preset("toy/ring.yaml"), "discriminator.weight=none",
                                 "penalties=[{kind: r1, weight: 1}, {kind: r2, weight: 0}]"});
  EXPECT_EQ(examined.exit_code, 0);
  const auto r1 = examined.check("run", "penalty r1");
  EXPECT_EQ(r1["status"], "ok");
  EXPECT_EQ(r1["facts"]["weights_reached"], r1["facts"]["weights"]);
  const auto r2 = examined.check("run", "penalty r2");
  EXPECT_EQ(r2["status"], "warning");
  EXPECT_EQ(r2["facts"]["weights_reached"], 0);
  EXPECT_THAT(examined.troubles("config"), testing::ElementsAre("warning: penalties has r2 with weight 0"));
}

TEST(Doctor, SeesAtOnceWhatDiverges) {
  const auto examined = examine({preset("toy/ring.yaml"), "discriminator.weight=none",
                                 "optimizer.discriminator.kind=sgd", "optimizer.discriminator.lr=1e30", "loss=lsgan"});
  EXPECT_EQ(examined.exit_code, 1);
  const auto losses = examined.check("run", "losses");
  EXPECT_EQ(losses["status"], "problem");
  EXPECT_THAT(losses["text"].get<std::string>(), HasSubstr("not finite after 1 update;"));
}

// The share of the run that one kill may cost, from the time of the updates.
TEST(Doctor, WarnsOfLongRunsWithoutCheckpoints) {
  const auto examined = examine({preset("toy/ring.yaml"), "train.steps=1000000000", "checkpoint.every=0"});
  EXPECT_EQ(examined.exit_code, 0);
  const auto time = examined.check("run", "time");
  EXPECT_EQ(time["status"], "warning");
  EXPECT_THAT(time.value("change", ""), HasSubstr("checkpoint.every="));
}

TEST(Doctor, NamesTheFeatureFileThatIsMissing) {
  const TemporaryFolder folder;
  const auto examined = examine({preset("digits/none.yaml"), "evaluation.every=100", "evaluation.features=inception",
                                 "evaluation.network=" + (folder / "none.safetensors").string(), "--no-trial"});
  EXPECT_EQ(examined.exit_code, 1);
  EXPECT_EQ(examined.check("data", "evaluation.network")["status"], "problem");
}

TEST(Doctor, PrintsItsRules) {
  const auto outcome = run_program({"doctor", "--rules", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto rules = json::parse(outcome.out);
  EXPECT_GT(rules.size(), 20U);
  EXPECT_EQ(rules[0]["source"], "Arjovsky et al. 2017, section 4");
}

TEST(Train, ShowsItsFindingsOnceAndGoesOn) {
  const TemporaryFolder folder;
  const std::vector<std::string> train{"train",         preset("toy/ring.yaml"),
                                       "threads=1",     "device=cpu",
                                       "train.steps=4", "checkpoint.every=0",
                                       "loss=wgan",     "--out",
                                       folder / "run",  "--continue",
                                       "--stop-at",     "2"};
  const auto finding = HasSubstr("warning: loss is wgan with spectral normalization");
  const auto first = run_program(train);
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, AllOf(finding, HasSubstr("note: checkpoint.every is 0")));
  auto again = train;
  again.back() = "3";
  const auto second = run_program(again);
  EXPECT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, AllOf(HasSubstr("from step 2"), Not(finding)));
  const auto resumed = run_program({"resume", folder / "run"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, Not(finding));
}

}  // namespace
}  // namespace sgan
