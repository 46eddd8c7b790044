#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "comparison/comparison_folder.h"
#include "tests/temporary_folder.h"

namespace sgan {

// A sweep of two strategies and two seeds whose runs are played by a shell script.
class SweepFixture {
 public:
  SweepFixture() {
    write("base.yaml", "train: {steps: 10}\nthreads: 1\n");
    write("sweep.yaml",
          "name: test\nbase: base.yaml\nstrategies: {a: {}, b: {loss: wgan}}\nseeds: [0, 1]\nscores: [fd]\n");
  }

  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const auto path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  Sweep sweep() const { return load_sweep(folder / "sweep.yaml"); }
  ComparisonFolder make() const { return ComparisonFolder::make(folder / "out", sweep()); }

  // A program that is called as `train CONFIG seed=K … --out DIR --continue`; the script has $config, $seed and $out.
  std::string program(const std::string& script) const {
    const auto path = write("program",
                            "#!/bin/sh\nconfig=$2; seed=${3#seed=}\n"
                            "while [ $# -gt 0 ]; do [ \"$1\" = --out ] && out=$2; shift; done\n"
                            "finish() { printf '{\"status\": \"finished\"}' > $out/run.json; }\n"
                            "mkdir -p $out\n" +
                                script + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path.string();
  }

  TemporaryFolder folder;
};

}  // namespace sgan
