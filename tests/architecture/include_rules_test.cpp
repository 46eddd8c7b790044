#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

// Reads the include lines of the source tree and holds them against the layout's rules.

namespace sgan {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

const fs::path kTree = SGAN_SOURCE_DIR;

// What a folder may include beside itself. app and tests may include all.
const std::map<std::string, std::set<std::string>> kMayInclude{
    {"configs", {}},
    {"run", {"configs"}},
    {"data", {"configs", "run"}},
    {"normalization", {"configs"}},
    {"losses", {"configs"}},
    {"models", {"configs", "normalization"}},
    {"lipschitz", {"configs", "run", "normalization", "models"}},
    {"training", {"configs", "run", "data", "normalization", "models", "losses", "lipschitz"}},
    {"evaluation", {"configs", "run", "data", "models"}},
    {"exchange", {"configs", "run", "normalization", "models", "lipschitz"}},
    {"comparison", {"configs", "run"}},
    {"report", {"configs", "run", "comparison"}},
    {"cuda", {}},
};
// Beside configs, what reads foreign bytes, and what it stands on: headers and sources without LibTorch, which the
// preset "fuzz" builds alone.
const std::set<std::string> kParsers{
    "data/archive_reader",   "data/byte_stream",        "data/decode_image",   "data/file_bytes",     "data/idx_format",
    "data/image_archive",    "data/image_records",      "data/image_size",     "data/image_source",   "data/limits",
    "data/memory",           "data/parallel",           "data/printable_name", "data/progress",       "data/zip_list",
    "report/dashboard_http", "report/dashboard_server", "run/atomic_file",     "run/file_descriptor", "run/json_text",
    "run/metrics_log",       "run/run_folder",          "run/safetensors",     "run/sha256",          "run/step_name",
};
const std::set<std::string> kMayIncludeAll{"app", "tests"};
const std::set<std::string> kNoSources{"benchmarks", "build", "cmake", "outputs", "scripts"};

struct Include {
  fs::path file;     // relative to the tree
  std::string text;  // "folder/name.h" or <name>, with its quotes or brackets

  bool is_ours() const { return text.front() == '"'; }
  std::string from() const { return file.begin()->string(); }
  std::string to() const { return fs::path(text.substr(1, text.size() - 2)).begin()->string(); }
};

bool is_source(const fs::path& file) {
  static const std::set<std::string> kExtensions{".h", ".hpp", ".cpp", ".cc", ".cu", ".cuh", ".inc"};
  return kExtensions.contains(file.extension().string());
}

std::vector<Include> includes_of(const fs::path& tree) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*("[^"]*"|<[^>]*>).*)re");
  std::vector<Include> includes;
  for (const auto& folder : fs::directory_iterator(tree)) {
    const std::string name = folder.path().filename().string();
    if (!folder.is_directory() || name.starts_with('.') || name.starts_with("build-") || kNoSources.contains(name))
      continue;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      std::ifstream stream(entry.path());
      std::smatch match;
      for (std::string line; std::getline(stream, line);) {
        if (line.find("include") == std::string::npos || !std::regex_match(line, match, kInclude)) continue;
        includes.push_back({fs::relative(entry.path(), tree), match[1]});
      }
    }
  }
  std::ranges::sort(includes, {}, [](const Include& include) { return include.file.string() + include.text; });
  return includes;
}

// "file includes text" for each include that is not allowed.
std::vector<std::string> violations(const fs::path& tree, const std::function<bool(const Include&)>& is_allowed) {
  std::vector<std::string> found;
  for (const Include& include : includes_of(tree)) {
    if (!is_allowed(include)) found.push_back(include.file.string() + " includes " + include.text);
  }
  return found;
}

bool follows_the_rules(const Include& include) {
  if (!include.is_ours() || kMayIncludeAll.contains(include.from())) return true;
  const auto rule = kMayInclude.find(include.from());
  return rule != kMayInclude.end() && (include.to() == include.from() || rule->second.contains(include.to()));
}

bool leaves_yaml_to_configs(const Include& include) {
  return include.text.find("yaml-cpp") == std::string::npos || include.from() == "configs";
}

// <torch/cuda.h> includes no CUDA header and may stand anywhere.
bool keeps_cuda_in_the_plugin(const Include& include) {
  static const std::regex kCuda(
      R"re([<"](cuda[^/]*\.h|cub/|cublas|cudnn|cufft|curand|cusolver|cusparse|nccl|nvrtc|nvToolsExt|nvtx|thrust/|ATen/cud|c10/cuda/|torch/csrc/cuda).*)re");
  return include.from() == "cuda" || !std::regex_match(include.text, kCuda);
}

bool parses_without_torch(const Include& include) {
  static const std::regex kTorch(R"re([<"](torch|ATen|c10|caffe2)/.*)re");
  const fs::path unit = fs::path(include.file).replace_extension();
  const bool is_parser = include.from() == "configs" || kParsers.contains(unit.string()) ||
                         include.file.string().starts_with("tests/fuzz/");
  return !is_parser || !std::regex_match(include.text, kTorch);
}

bool stays_among_parsers(const Include& include) {
  const auto unit = [](const fs::path& file) { return fs::path(file).replace_extension().string(); };
  if (!include.is_ours() || !kParsers.contains(unit(include.file)) || include.to() == "configs") return true;
  return kParsers.contains(unit(include.text.substr(1, include.text.size() - 2)));
}

TEST(Architecture, IncludesFollowTheRules) {
  EXPECT_THAT(violations(kTree, follows_the_rules), IsEmpty());
}

TEST(Architecture, OnlyConfigsUsesYaml) {
  EXPECT_THAT(violations(kTree, leaves_yaml_to_configs), IsEmpty());
}

TEST(Architecture, CudaHeadersStayInThePlugin) {
  EXPECT_THAT(violations(kTree, keeps_cuda_in_the_plugin), IsEmpty());
}

TEST(Architecture, ParsersIncludeNoTorch) {
  EXPECT_THAT(violations(kTree, parses_without_torch), IsEmpty());
}

// Nor by way of another header: a parser includes parsers alone.
TEST(Architecture, ParsersIncludeParsers) {
  EXPECT_THAT(violations(kTree, stays_among_parsers), IsEmpty());
}

TEST(Architecture, TheTreeIsRead) {
  const auto includes = includes_of(kTree);
  EXPECT_TRUE(std::ranges::any_of(
      includes, [](const Include& i) { return i.file == "configs/yaml.h" && i.text == "<yaml-cpp/yaml.h>"; }));
  EXPECT_TRUE(std::ranges::any_of(
      includes, [](const Include& i) { return i.file == "configs/schema.h" && i.text == "\"configs/options.h\""; }));
}

// The rules themselves, on a tree that breaks each once.
class BrokenTree : public testing::Test {
 protected:
  BrokenTree() {
    std::string name = (fs::temp_directory_path() / "sgan-architecture-XXXXXX").string();
    tree_ = mkdtemp(name.data());
  }
  ~BrokenTree() override { fs::remove_all(tree_); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((tree_ / name).parent_path());
    std::ofstream(tree_ / name) << text;
  }

  fs::path tree_;
};

TEST_F(BrokenTree, EachForbiddenIncludeIsFound) {
  write("losses/penalty.cpp",
        "#include \"losses/penalty.h\"\n#include \"configs/options.h\"\n  # include \"models/dcgan.h\"\n");
  write("configs/deep/a.h", "#include \"run/metrics.h\"\n");
  write("training/loop.cpp",
        "#include \"normalization/spectral_norm.h\"\n#include \"cuda/backend.h\"\n#include \"loop.h\"\n");
  write("newcomer/a.cpp", "#include \"configs/options.h\"\n");
  write("app/main.cpp", "#include \"cuda/backend.h\"\n#include \"training/loop.h\"\n");
  write("build/a.cpp", "#include \"app/main.h\"\n");
  EXPECT_THAT(
      violations(tree_, follows_the_rules),
      ElementsAre("configs/deep/a.h includes \"run/metrics.h\"", "losses/penalty.cpp includes \"models/dcgan.h\"",
                  "newcomer/a.cpp includes \"configs/options.h\"", "training/loop.cpp includes \"cuda/backend.h\"",
                  "training/loop.cpp includes \"loop.h\""));
}

TEST_F(BrokenTree, EachMisplacedLibraryIsFound) {
  write("app/a.cpp", "#include <yaml-cpp/yaml.h>\n#include <ATen/cuda/CUDAContext.h>\n#include <torch/cuda.h>\n");
  write("cuda/a.cpp", "#include <cuda_runtime.h>\n");
  write("run/safetensors.cpp", "#include <torch/types.h>\n#include <cuda_runtime_api.h>\n");
  write("run/image_grid.cpp", "#include <torch/types.h>\n");
  EXPECT_THAT(violations(tree_, leaves_yaml_to_configs), ElementsAre("app/a.cpp includes <yaml-cpp/yaml.h>"));
  EXPECT_THAT(
      violations(tree_, keeps_cuda_in_the_plugin),
      ElementsAre("app/a.cpp includes <ATen/cuda/CUDAContext.h>", "run/safetensors.cpp includes <cuda_runtime_api.h>"));
  write("data/zip_list.cpp", "#include \"data/dataset.h\"\n#include \"data/limits.h\"\n");
  EXPECT_THAT(violations(tree_, parses_without_torch), ElementsAre("run/safetensors.cpp includes <torch/types.h>"));
  EXPECT_THAT(violations(tree_, stays_among_parsers), ElementsAre("data/zip_list.cpp includes \"data/dataset.h\""));
}

}  // namespace
}  // namespace sgan
