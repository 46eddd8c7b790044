#include <gmock/gmock.h>

#include <cstdlib>

#include "run/atomic_file.h"
#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Export : public testing::Test {
 protected:
  void SetUp() override {
    const auto outcome =
        run_program({"train", preset("digits/spectral.yaml"), "threads=1", "train.steps=2", "train.batch=8",
                     "sample.count=4", "generator.kind=mlp", "discriminator.kind=mlp", "generator.channels=8",
                     "discriminator.channels=8", "generator.latent=4", "evaluation.every=2", "evaluation.generated=32",
                     "evaluation.metrics=swd", "evaluation.features=none", "--out", run_});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }

  Outcome export_run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"export", run_.string()});
    return run_program(arguments);
  }

  TemporaryFolder folder_;
  std::filesystem::path run_ = folder_ / "run";
};

TEST_F(Export, AModelCardLiesBesideEachFormat) {
  for (const auto* format : {"safetensors", "onnx", "torchscript-compatible"}) {
    SCOPED_TRACE(format);
    const auto outcome = export_run({"--format", format, "--licence", "CC-BY-4.0"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(bytes_of(outcome.last_line() + ".md"),
                AllOf(HasSubstr("license: \"CC-BY-4.0\""), HasSubstr("| weights | averaged (EMA) |"),
                      HasSubstr("| swd | "), HasSubstr("\"evaluate_seed\": 0"), HasSubstr("  batch: 8"),
                      HasSubstr(std::filesystem::path(outcome.last_line()).stem().string())));
  }
  EXPECT_THAT(bytes_of(run_ / "exports" / "step-00000002-generator.onnx"),
              AllOf(HasSubstr("CC-BY-4.0"), HasSubstr("\"swd\""), HasSubstr("latent")));
  EXPECT_THAT(bytes_of(run_ / "exports" / "generator_step_00000002.py"), HasSubstr("nn.Linear(4, 8"));
  EXPECT_TRUE(std::filesystem::exists(run_ / "exports" / "generator_step_00000002.safetensors"));
}

// Raw weights have no scores here: those are of averaged ones.
TEST_F(Export, ACardHasTheScoresOfItsWeightsAlone) {
  const auto outcome = export_run({"--weights", "raw"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(bytes_of(outcome.last_line() + ".md"), AllOf(HasSubstr("None were measured"), Not(HasSubstr("| swd |"))));
}

// Files of other programs in a run's folders: a score without its protocol is none, and a deep one would exhaust the
// stack.
TEST_F(Export, LeavesOutWhatIsNoEvaluationAndNoBracket) {
  constexpr size_t kDeep = 200'000;
  const auto deep = std::string(kDeep, '[') + std::string(kDeep, ']');
  const std::string scores = R"({"scores":{"made_up":{"value":1}},"protocol":)";
  folder_.write("run/evaluation/step-00000002-a.json", R"({"scores":{"made_up":)" + deep + "}}");
  folder_.write("run/evaluation/step-00000002-b.json", scores + "3}");
  folder_.write("run/evaluation/step-00000002-c.json", scores + R"({"generated":"ema"}})");
  folder_.write("run/evaluation/step-00000002-d.json", scores + R"({"generated":{"weights":3}}})");
  folder_.write("run/evaluation/step-00000002-e.json",
                R"({"scores":{"kept":{"value":1,"better":3}},"protocol":{"generated":{"weights":"ema"}}})");
  const auto outcome = export_run({});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(bytes_of(outcome.last_line() + ".md"),
              AllOf(HasSubstr("| swd |"), HasSubstr("| kept | 1.0000 |  |  |"), Not(HasSubstr("made_up"))));

  std::filesystem::remove_all(run_ / "evaluation");  // TensorBoard's scores are read otherwise
  folder_.write("run/lipschitz/step-00000002.json", R"({"network":{"slopes":{"real":3}}})");
  EXPECT_EQ(export_run({"--format", "tensorboard"}).exit_code, 0);
  folder_.write("run/lipschitz/step-00000002.json", R"({"network":{"slopes":{"real":{"values":)" + deep + "}}}}");
  EXPECT_THAT(export_run({"--format", "tensorboard"}).err, HasSubstr("is no bracket"));
}

TEST_F(Export, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_EQ(export_run({"--format", "pickle"}).exit_code, 2);
  EXPECT_EQ(export_run({"--format", "tensorboard", "--step", "2"}).exit_code, 2);
  EXPECT_EQ(export_run({"--format", "onnx", "--follow"}).exit_code, 2);
  EXPECT_EQ(export_run({run_, "--format", "onnx"}).exit_code, 2);
  EXPECT_EQ(export_run({"--format", "torchscript-compatible", "--out", folder_ / "my-net.py"}).exit_code, 2);
  std::filesystem::create_directory(folder_ / "card.onnx.md");
  EXPECT_EQ(export_run({"--format", "onnx", "--out", folder_ / "card.onnx"}).exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "card.onnx"));
  const auto none = run_program({"export", folder_ / "nothing", "--format", "tensorboard"});
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_THAT(none.err, HasSubstr("is no run and holds none"));
}

// An export's weights, taken back, draw what the checkpoint draws.
TEST_F(Export, ComesBackByImport) {
  const auto weights = folder_ / "generator.safetensors";
  ASSERT_EQ(export_run({"--out", weights}).exit_code, 0);
  const auto checkpoint = folder_ / "imported.safetensors";
  const std::vector<std::string> import{"import", weights,   "--as", "generator", "--config", run_ / "config.yaml",
                                        "--out",  checkpoint};
  const auto outcome = run_program(import);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.last_line(), checkpoint.string());
  for (const auto& [from, to] : {std::pair(run_, "a.png"), {checkpoint, "b.png"}}) {
    const auto drawn = run_program({"sample", from, "--seeds", "0-8", "--weights", "ema", "--out", folder_ / to});
    ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  }
  EXPECT_TRUE(bytes_of(folder_ / "a.png") == bytes_of(folder_ / "b.png"));

  const auto again = run_program(import);
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("it exists already"));
  auto critic = import;
  critic[3] = "discriminator";
  critic.back() = folder_ / "critic.safetensors";
  const auto wrong = run_program(critic);
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("norm0.weight (8) has no place here"));
  EXPECT_FALSE(std::filesystem::exists(critic.back()));
}

// Completes a command line as bash does.
std::string completed(const std::filesystem::path& script, const std::string& line) {
  const auto out = script.string() + ".out";
  const auto command = "bash -c 'source " + script.string() + "; compopt() { :; }; COMP_WORDS=(" + line + "); [[ \"" +
                       line +
                       "\" != *\" \" ]] || COMP_WORDS+=(\"\"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); cd /; "
                       "_spectral_gan; printf \"%s\\n\" \"${COMPREPLY[@]}\"' > " +
                       out;
  EXPECT_EQ(std::system(command.c_str()), 0);
  return "\n" + bytes_of(out);
}

TEST(Completion, KnowsCommandsOptionsChoicesAndKeys) {
  const TemporaryFolder folder;
  const auto script = folder / "completion.bash";
  const auto outcome = run_program({"completion", "bash"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  write_file_atomically(script, outcome.out);
  EXPECT_THAT(completed(script, "spectral-gan ex"), HasSubstr("\nexport\n"));
  EXPECT_THAT(completed(script, "spectral-gan export --fo"),
              AllOf(HasSubstr("\n--format\n"), HasSubstr("\n--follow\n")));
  EXPECT_THAT(completed(script, "spectral-gan export run --format on"), HasSubstr("\nonnx\n"));
  EXPECT_THAT(completed(script, "spectral-gan train config.yaml train.st"), HasSubstr("\ntrain.steps=\n"));
  EXPECT_THAT(completed(script, "spectral-gan data "), HasSubstr("\ninspect\n"));
  EXPECT_THAT(run_program({"completion", "zsh"}).out, HasSubstr("--format["));
  EXPECT_THAT(run_program({"completion", "fish"}).out, HasSubstr("-l format -x -a 'safetensors onnx"));
  EXPECT_EQ(run_program({"completion", "tcsh"}).exit_code, 2);
}

TEST(Manual, HasEveryCommand) {
  const auto outcome = run_program({"manual"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const auto* part :
       {".TH SPECTRAL", ".SS train", "Usage: spectral\\-gan train [OPTIONS]",
        "Usage: spectral\\-gan data inspect [OPTIONS]", ".SS export", "\\-\\-follow", ".SS data inspect"}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
}

}  // namespace
}  // namespace sgan
