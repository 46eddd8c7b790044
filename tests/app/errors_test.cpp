#include <gmock/gmock.h>
#include <sys/mount.h>

#include <algorithm>
#include <fstream>

#include "tests/app/program.h"
#include "tests/temporary_folder.h"

namespace sgan {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

struct BadCall {
  std::vector<std::string> arguments;
  int exit_code;
  std::string text;
};

TEST(BadInput, GetsAClearErrorAndLeavesNothing) {
  const TemporaryFolder folder;
  const auto digits = preset("digits/gp.yaml");
  const auto none = (folder / "none").string();
  std::filesystem::create_directory(folder / "empty");
  std::filesystem::create_directory(folder / "broken");
  std::ofstream(folder / "broken" / "a.png") << "no image";
  std::ofstream(folder / "duplicate.yaml") << "seed: 1\nname: a\nseed: 2\n";
  std::ofstream(folder / "syntax.yaml") << "seed: [1\n";
  // What torch.save writes, now and once.
  const auto zipped = folder.write("net.pth", "PK\x03\x04 and so on"), pickled = folder.write("old.pth", "\x80\x02}q.");
  const auto before = names_in(folder.path());

  const auto imported = [&](const std::string& file) -> std::vector<std::string> {
    return {"import", file, "--as", "generator", "--config", digits, "threads=1", "--out", folder / "imported"};
  };
  const auto folder_config = preset("folder.yaml");
  const std::vector<BadCall> calls = {
      {{}, 2, "COMMAND"},
      {{"trian"}, 2, "unknown command 'trian'; did you mean 'train'?"},
      {{"train"}, 2, "config is required"},
      {{"train", digits, "--uot", none}, 2, "--uot"},
      {{"train", none}, 2, "there is no such file"},
      {{"train", folder.path()}, 2, "folder"},
      {{"train", folder / "duplicate.yaml"}, 2, "duplicate.yaml:3:1: "},
      {{"train", folder / "syntax.yaml"}, 2, "syntax.yaml:"},
      {{"train", digits, "trian.steps=3"}, 2, "did you mean 'train.steps'?"},
      {{"train", digits, "train.steps=abc"}, 2, "got 'abc', allowed: integer"},
      {{"train", digits, "train.steps=0"}, 2, "train.steps"},
      {{"train", digits, "optimizer.generator.lr=1e39"},
       2,
       "optimizer.generator.lr: got '1e39', allowed: number, above 0 and below 3.4e+38."},
      {{"train", digits, "loss=hing"}, 2, "did you mean 'hinge'?"},
      {{"train", digits, "discriminator.norm=batch"}, 2, "batch normalization mixes"},
      {{"train", digits, "device=cuda:99"}, 1, "cuda:99"},
      {{"train", digits, "device=tpu"}, 2, "tpu"},
      {{"train", digits, "device=cpu", "execution=graph"}, 2, "execution is graph"},
      {{"train", digits, "spectral.eps=10"}, 2, "spectral.eps: got '10'"},
      {{"train", digits, "name=\xff"}, 2, "not in UTF-8"},
      {{"train", digits, "--stop-at", "0"}, 2, "--stop-at"},
      {{"train", digits, "train.batch=5000"}, 2, "train.batch is 5000, but the data have only 1437 samples"},
      {{"train", digits, "data.size=9"}, 2, "sizes 8, 16, 32 and 64"},
      {{"train", folder_config, "data.path=" + none}, 1, "data.path: there is no file or folder"},
      {{"train", folder_config, "data.path=" + (folder / "empty").string()}, 1, "hold no images"},
      {{"train", folder_config, "data.path=" + (folder / "broken").string()}, 1, "a.png"},
      {{"resume", none}, 2, "there is no run folder"},
      {{"resume", folder / "empty"}, 2, "holds no config.yaml"},
      {{"sample", none}, 2, "there is no run folder"},
      {{"sample", folder / "duplicate.yaml"}, 1, "duplicate.yaml"},
      {{"report", folder / "empty"}, 2, "holds no config.yaml"},
      {imported(folder / "broken" / "a.png"), 1,
       "a.png: got something else, allowed: a safetensors file. Write one in"},
      {imported(zipped), 1, "net.pth: got a zip archive, as torch.save writes, allowed: a safetensors file."},
      {imported(pickled), 1, "old.pth: got a Python pickle, as torch.save once wrote, allowed: a safetensors file."},
  };
  for (auto call : calls) {
    const bool trains = !call.arguments.empty() && call.arguments[0] == "train" && call.arguments.size() > 1;
    if (trains) call.arguments.insert(call.arguments.end(), {"--out", folder / "made"});
    const auto outcome = run_program(call.arguments);
    const auto words = ::testing::PrintToString(call.arguments);
    EXPECT_EQ(outcome.exit_code, call.exit_code) << words << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(call.text)) << words;
    EXPECT_EQ(outcome.out, "") << words;
    EXPECT_EQ(names_in(folder.path()), before) << words;
  }
}

// Every file and folder below it.
std::vector<std::string> paths_below(const std::filesystem::path& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

// Of all commands that take a RUN: neither the folder that was asked for comes to be, nor one to write to.
TEST(BadInput, ARunThatIsNotThereLeavesNothing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  const auto before = paths_below(folder.path());
  // A command and its options; what it says of a path that is not there, and, where it is not "", of a folder without a
  // run.
  struct Command {
    std::vector<std::string> words;
    std::string missing = "there is no run folder";
    std::string empty = "";
  };
  const std::string neither = "there is no run folder, checkpoint or comparison", no_log = "is no run and holds none",
                    no_config = "is not a run: it holds no config.yaml";
  const std::vector<Command> commands = {
      {{"quantize"}, neither, no_config},
      {{"quantize", "--network", "discriminator"}, neither},
      {{"quantize", "--out", "made"}, neither, no_config},
      {{"evaluate"}},
      {{"evaluate", "--dump", "made"}, "there is no run folder", no_config},
      {{"sample"}},
      {{"sample", "--out", "made"}},
      {{"sample", "--timeline"}},
      {{"lipschitz"}},
      {{"export"}},
      {{"export", "--format", "onnx", "--out", "made"}},
      {{"export", "--format", "tensorboard"}, no_log, no_log},
      {{"export", "--format", "tensorboard", "--out", "made"}, no_log},
      {{"report"}},
      {{"report", "--out", "made"}},
      {{"resume"}},
      {{"compare"}, "there is no such file", "sweep.yaml: there is no such file"},
  };
  for (const auto& command : commands) {
    for (const auto& [name, text] : {std::pair("none", command.missing), {"empty", command.empty}}) {
      if (text.empty()) continue;
      auto words = command.words;
      const auto run = (folder / name).string();
      words.insert(words.begin() + 1, run);
      const auto outcome = run_program(words, [&] { std::filesystem::current_path(folder.path()); });
      const auto shown = ::testing::PrintToString(words);
      EXPECT_EQ(outcome.exit_code, 2) << shown << outcome.err;
      EXPECT_THAT(outcome.err, AllOf(HasSubstr(text), HasSubstr(run))) << shown;
      EXPECT_EQ(outcome.out, "") << shown;
      EXPECT_EQ(paths_below(folder.path()), before) << shown;
    }
  }
}

TEST(BadInput, ImagesOfMixedSizesAreNamed) {
  const TemporaryFolder folder;
  ASSERT_EQ(run_program({"train", preset("digits/none.yaml"), "threads=1", "train.steps=1", "--out", folder / "run"})
                .exit_code,
            0);
  ASSERT_EQ(run_program({"sample", folder / "run", "--seeds", "0-2", "--out", folder / "pictures"}).exit_code, 0);
  ASSERT_EQ(run_program({"sample", folder / "run", "--out", folder / "pictures" / "grid.png"}).exit_code, 0);
  const auto outcome =
      run_program({"train", preset("folder.yaml"), "threads=1", "data.path=" + (folder / "pictures").string(),
                   "data.size=0", "data.channels=0", "--out", folder / "own"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("grid.png"), HasSubstr("16x16")));
  EXPECT_FALSE(std::filesystem::exists(folder / "own"));
}

TEST(BadInput, ARunFolderIsNotOverwritten) {
  const TemporaryFolder folder;
  const std::vector<std::string> train{"train", preset("toy/ring.yaml"), "threads=1", "train.steps=1",
                                       "--out", folder / "run"};
  ASSERT_EQ(run_program(train).exit_code, 0);
  const auto outcome = run_program(train);
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("already holds a run"), HasSubstr("spectral-gan resume")));
}

TEST(BadInput, AdviceIsGivenAndTrainingGoesOn) {
  const TemporaryFolder folder;
  const auto outcome = run_program(
      {"train", preset("toy/ring.yaml"), "threads=1", "train.steps=1", "loss=wgan", "--out", folder / "run"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("warning: loss is wgan with spectral normalization"));
}

TEST(BadInput, AFullDiskIsNamedAndLeavesNoHalfFile) {
  const TemporaryFolder folder;
  const auto disk = folder / "disk";
  std::filesystem::create_directory(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=400k") != 0) {
    GTEST_SKIP() << "skipped: mounting a small file system takes root";
  }
  const auto outcome = run_program(
      {"train", preset("digits/none.yaml"), "threads=1", "train.steps=3", "checkpoint.every=1", "--out", disk / "run"});
  std::vector<std::string> temporary;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(disk)) {
    const auto name = entry.path().filename().string();
    if (name.find(".tmp-") != std::string::npos || entry.path().extension() == ".safetensors")
      temporary.push_back(name);
  }
  ::umount(disk.c_str());
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("error: "), HasSubstr("No space left on device")));
  EXPECT_THAT(temporary, ::testing::IsEmpty());
}

}  // namespace
}  // namespace sgan
