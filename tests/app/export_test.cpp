#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/file.h>

#include <cstdlib>
#include <map>

#include "run/atomic_file.h"
#include "run/file_descriptor.h"
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
  EXPECT_THAT(bytes_of(run_ / "exports" / "step-00000002-generator.safetensors.md"),
              AllOf(HasSubstr("from generator_step_00000002 import load"),
                    HasSubstr("network = load(\"step-00000002-generator.safetensors\")")));
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

// What lies in a folder, by path below it.
std::map<std::string, std::string> content_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    files[std::filesystem::relative(entry.path(), folder).string()] = bytes_of(entry.path());
  }
  return files;
}

TEST_F(Export, ReplacesEarlierExportsAndNothingElse) {
  std::filesystem::copy(run_, folder_ / "other", std::filesystem::copy_options::recursive);
  folder_.write("mine/net.safetensors", "a state dict");
  folder_.write("mine/README.md", "---\nlicense: mit\n---\n");
  folder_.write("mine/card.onnx.md", "# Mine\n");
  folder_.write("mine/code.py", "import torch\n");
  folder_.write("mine/other.onnx", "\x08\x08\x12\x07pytorch");
  const auto before = content_of(folder_.path());
  struct Case {
    const char* format;
    const char* out;
    const char* kept;
  };
  for (const auto& [format, out, kept] :
       {Case{"safetensors", "run/config.yaml", "config.yaml"},
        Case{"safetensors", "run/metrics.jsonl", "metrics.jsonl"}, Case{"onnx", "run/run.json", "run.json"},
        Case{"safetensors", "run/checkpoints/new.safetensors", "checkpoints"},
        Case{"safetensors", "other/checkpoints/step-00000002.safetensors", "step-00000002.safetensors"},
        Case{"torchscript-compatible", "mine/net.py", "net.safetensors"},
        Case{"torchscript-compatible", "mine/code.py", "code.py"}, Case{"safetensors", "mine/README", "README.md"},
        Case{"onnx", "mine/card.onnx", "card.onnx.md"}, Case{"onnx", "mine/other.onnx", "other.onnx"},
        Case{"onnx", "mine/net.safetensors", "net.safetensors"}}) {
    SCOPED_TRACE(out);
    const auto outcome = export_run({"--format", format, "--out", folder_ / out});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(kept), HasSubstr("Name another file")));
    EXPECT_EQ(content_of(folder_.path()), before);
  }

  for (const auto& [format, name] :
       {std::pair("safetensors", "a.safetensors"), {"onnx", "b.onnx"}, {"torchscript-compatible", "c.py"}}) {
    SCOPED_TRACE(name);
    const auto out = folder_ / "new" / name;
    std::filesystem::create_directories(out.parent_path());
    EXPECT_EQ(export_run({"--format", format, "--out", out}).exit_code, 0);
    const auto raw = export_run({"--format", format, "--weights", "raw", "--out", out});
    EXPECT_EQ(raw.exit_code, 0) << raw.err;
    EXPECT_THAT(bytes_of(out.string() + ".md"), HasSubstr("| weights | raw |"));
  }
  // A card without its line is its owner's.
  auto card = bytes_of(folder_ / "new/a.safetensors.md");
  const auto begin = card.find("# Written by");
  card.erase(begin, card.find('\n', begin) + 1 - begin);
  write_file_atomically(folder_ / "new/a.safetensors.md", card);
  EXPECT_EQ(export_run({"--out", folder_ / "new/a.safetensors"}).exit_code, 2);
  EXPECT_EQ(bytes_of(folder_ / "new/a.safetensors.md"), card);
}

// The file is imported by its name, before all others of that name.
TEST_F(Export, AModuleHasANameThatPythonImports) {
  for (const auto* name : {"torch", "class", "json", "my-net", "2d", "\xc3\xa4"}) {
    SCOPED_TRACE(name);
    const auto out = folder_ / (std::string(name) + ".py");
    const auto outcome = export_run({"--format", "torchscript-compatible", "--out", out});
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("Name another file"));
    EXPECT_FALSE(std::filesystem::exists(out));
  }
  EXPECT_EQ(export_run({"--format", "torchscript-compatible", "--out", folder_ / "torch_net.py"}).exit_code, 0);
}

TEST_F(Export, OneRunsFaultEndsNoOthersExport) {
  const auto runs = folder_ / "runs";
  std::filesystem::create_directory(runs);
  for (const auto* name : {"a", "b", "c", "d"}) {
    std::filesystem::copy(run_, runs / name, std::filesystem::copy_options::recursive);
  }
  folder_.write("runs/a/metrics.jsonl", "{\"step\":\n{\"step\":2}\n");
  folder_.write("runs/b/samples/step-00000001.png", "GIF89a");
  folder_.write("runs/c/checkpoints/step-00000002.safetensors", "damaged");
  const std::vector<std::vector<std::string>> calls{
      {"export", runs, "--format", "tensorboard"},
      {"export", runs / "a", runs / "b", runs / "c", runs / "d", "--format", "tensorboard", "--follow"}};
  for (const auto& call : calls) {
    SCOPED_TRACE(call.back());
    const auto outcome = run_program(call);
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("warning: " + (runs / "a").string() + ": "),
                                   HasSubstr("step-00000001.png is no PNG file"),
                                   HasSubstr("warning: " + (runs / "c").string() + ": "),
                                   HasSubstr("3 of 4 runs were not exported whole"), Not(HasSubstr("runs/d: "))));
    // b and c with all else that they have.
    EXPECT_EQ(outcome.out, fmt::format("{0}/b/tensorboard\n{0}/c/tensorboard\n{0}/d/tensorboard\n", runs.string()));
    for (const auto* name : {"b", "c", "d"}) {
      std::string events;
      for (const auto& [file, bytes] : content_of(runs / name / "tensorboard")) events += bytes;
      EXPECT_THAT(events, AllOf(HasSubstr("scores/swd"), HasSubstr("_hparams_/session_end_info"),
                                HasSubstr("_hparams_/experiment")));
    }
  }
}

TEST_F(Export, AFolderOfEventFilesHasOneWriterAndOneRun) {
  const auto logs = folder_ / "logs";
  const std::vector<std::string> to_logs{"--format", "tensorboard", "--out", logs};
  ASSERT_EQ(export_run(to_logs).exit_code, 0);
  const auto before = content_of(logs);

  const FileDescriptor lock(logs / "run/export.lock", O_RDWR);
  ASSERT_EQ(::flock(lock.get(), LOCK_EX | LOCK_NB), 0);
  const auto second = export_run(to_logs);
  EXPECT_EQ(second.exit_code, 1);
  EXPECT_THAT(second.err, AllOf(HasSubstr("another process (pid "), HasSubstr("is writing the event files in")));
  ASSERT_EQ(::flock(lock.get(), LOCK_UN), 0);

  std::filesystem::create_directory(folder_ / "b");
  std::filesystem::copy(run_, folder_ / "b/run", std::filesystem::copy_options::recursive);
  const auto other = run_program({"export", folder_ / "b/run", "--format", "tensorboard", "--out", logs});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, AllOf(HasSubstr("of another run, " + run_.string()), HasSubstr("Name another --out folder")));
  EXPECT_EQ(content_of(logs), before);

  // A run that was moved is no other one.
  std::filesystem::remove_all(folder_ / "b");
  std::filesystem::create_directory(folder_ / "b");
  std::filesystem::rename(run_, folder_ / "b/run");
  EXPECT_EQ(run_program({"export", folder_ / "b/run", "--format", "tensorboard", "--out", logs}).exit_code, 0);
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

class Completion : public testing::Test {
 protected:
  void SetUp() override {
    const auto outcome = run_program({"completion", "bash"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    write_file_atomically(script_, outcome.out);
    folder_.write("here/sp ace/a file.yaml", "");
  }

  // The words after `spectral-gan`, a line each, with all completions of the last one, as an interactive bash has them:
  // the script counts on bash's own completion for files.
  std::string completed(const std::string& line) const {
    const auto out = folder_ / "out";
    const auto command =
        fmt::format("timeout 60 python3 '{}/tests/app/complete_in_bash.py' '{}' '{}' '{}' > '{}'", SGAN_SOURCE_DIR,
                    script_.string(), (folder_ / "here").string(), line, out.string());
    EXPECT_EQ(std::system(command.c_str()), 0);
    return "\n" + bytes_of(out);
  }

  TemporaryFolder folder_;
  std::filesystem::path script_ = folder_ / "completion.bash";
};

TEST_F(Completion, KnowsCommandsOptionsChoicesAndKeys) {
  EXPECT_EQ(completed("spectral-gan ex"), "\nexport\n");
  EXPECT_EQ(completed("spectral-gan export --fo"), "\nexport\n--follow\n--format\n");
  EXPECT_EQ(completed("spectral-gan export run --format on"), "\nexport\nrun\n--format\nonnx\n");
  EXPECT_EQ(completed("spectral-gan export run --format=on"), "\nexport\nrun\n--format=onnx\n");
  EXPECT_EQ(completed("spectral-gan train config.yaml train.st"), "\ntrain\nconfig.yaml\ntrain.steps=\n");
  EXPECT_THAT(completed("spectral-gan data "), HasSubstr("\ninspect\n"));
  EXPECT_THAT(run_program({"completion", "zsh"}).out, HasSubstr("--format["));
  EXPECT_THAT(run_program({"completion", "fish"}).out, HasSubstr("-l format -x -a 'safetensors onnx"));
  EXPECT_EQ(run_program({"completion", "tcsh"}).exit_code, 2);
}

TEST_F(Completion, TakesFilesWithBlanksWhole) {
  EXPECT_EQ(completed("spectral-gan sample sp"), "\nsample\nsp ace\n");
  EXPECT_EQ(completed("spectral-gan sample sp\\ ace/"), "\nsample\nsp ace/a file.yaml\n");
  EXPECT_EQ(completed("spectral-gan sample run --out \"sp ace/a"), "\nsample\nrun\n--out\nsp ace/a file.yaml\n");
  // Beside the keys that begin so.
  EXPECT_THAT(completed("spectral-gan train sp"), AllOf(HasSubstr("\nspectral.eps=\n"), HasSubstr("\nsp ace")));
  EXPECT_EQ(completed("spectral-gan train sp\\ ace/"), "\ntrain\nsp ace/a file.yaml\n");
}

TEST_F(Completion, KnowsAKeysValues) {
  EXPECT_EQ(completed("spectral-gan train c.yaml discriminator.weight=spectral_o"),
            "\ntrain\nc.yaml\ndiscriminator.weight=spectral_operator\n");
  EXPECT_THAT(completed("spectral-gan train c.yaml generator.prior="), HasSubstr("normal\nuniform\n"));
  EXPECT_THAT(completed("spectral-gan train c.yaml data.flip=t"), HasSubstr("data.flip=true\n"));
  // A number is no file.
  EXPECT_EQ(completed("spectral-gan train c.yaml train.steps="), "\ntrain\nc.yaml\ntrain.steps=\n");
  EXPECT_EQ(completed("spectral-gan train c.yaml data.path=sp"), "\ntrain\nc.yaml\ndata.path=sp ace\n");
}

TEST(Manual, HasEveryCommand) {
  const auto outcome = run_program({"manual"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const auto* part : {".TH SPECTRAL", ".SS train", "Usage: spectral\\-gan train [OPTIONS]",
                           "Usage: spectral\\-gan data inspect [OPTIONS]", ".SS export", "\\-\\-follow & tensorboard",
                           "\\-\\-follow", ".SS data inspect"}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
}

}  // namespace
}  // namespace sgan
