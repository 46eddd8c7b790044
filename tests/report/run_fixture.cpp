#include "tests/report/run_fixture.h"

#include <cstdlib>
#include <fstream>
#include <stdexcept>

#include <fmt/format.h>

namespace sgan {

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

RunFixture::RunFixture() {
  std::string name = (std::filesystem::temp_directory_path() / "sgan-report-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
  root = name;
}

RunFixture::~RunFixture() {
  std::filesystem::remove_all(root);
}

void RunFixture::write(const std::filesystem::path& path, std::string_view bytes) const {
  std::filesystem::create_directories((root / path).parent_path());
  std::ofstream(root / path, std::ios::binary) << bytes;
}

std::filesystem::path RunFixture::make_run(const std::string& folder, const std::string& strategy, int seed) const {
  const nlohmann::ordered_json record = {{"name", folder},       {"strategy", strategy},
                                         {"status", "finished"}, {"torch", "2.11.0"},
                                         {"seed", seed},         {"parameters", {{"generator", 12}}}};
  write(folder + "/run.json", record.dump());
  write(folder + "/config.yaml",
        fmt::format("name: \"{}\"\nseed: {}\ndata:\n  kind: digits\n  size: 8\ngenerator:\n  kind: mlp\n"
                    "loss: hinge\npenalties: [{{kind: gp, weight: 10, every: 1}}]\n"
                    "train:\n  steps: 400\n  boost:\n    first: 25\n  batch: 64\n",
                    folder, seed));
  return root / folder;
}

}  // namespace sgan
