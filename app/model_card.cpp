#include "app/model_card.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/version.h"
#include "configs/strategy.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/json_text.h"
#include "run/run_folder.h"
#include "run/step_name.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kCardBegin =
    "---\n# Written by `spectral-gan export`, which replaces it while this line stands here.\n";

constexpr const char* kSafetensorsUse = R"py(import torch
from {module} import load  # {module}.py of `spectral-gan export RUN --format torchscript-compatible`

network = load("{file}")
{output} = network({draw})
# The tensors alone: safetensors.torch.load_file("{file}"). "conv0.weight" is the weight it computes with
)py";

constexpr const char* kOnnxUse = R"py(import numpy, onnxruntime

session = onnxruntime.InferenceSession("{file}")
{input} = {draw}
{output} = session.run(None, {{"{input}": {input}}})[0]
)py";

constexpr const char* kModuleUse = R"py(import torch
from {module} import load  # {module}.py, which reads the weights beside it

network = load()
{output} = network({draw})
# torch.jit.script(network).save("{name}.pt") makes TorchScript of it
)py";

// Python that makes a batch of four inputs.
std::string draw_text(const ModelCard& card, const Config& config, bool numpy) {
  const auto shape = fmt::format("4, {}", fmt::join(card.signature.input_shape, ", "));
  const bool uniform = config.generator.prior == Prior::uniform;
  const bool latent = card.signature.input == "latent";
  if (numpy) {
    const auto text = !latent   ? fmt::format("numpy.zeros(({}))", shape)
                      : uniform ? fmt::format("numpy.random.uniform(-1, 1, ({}))", shape)
                                : fmt::format("numpy.random.standard_normal(({}))", shape);
    return text + ".astype(numpy.float32)";
  }
  if (!latent) return fmt::format("torch.zeros({})", shape);
  return uniform ? fmt::format("2 * torch.rand({}) - 1", shape) : fmt::format("torch.randn({})", shape);
}

std::string use_text(const ModelCard& card, const Config& config, int64_t step) {
  const auto file = card.file.filename().string();
  const auto& signature = card.signature;
  switch (card.format) {
    case ExportFormat::safetensors:
      return fmt::format(fmt::runtime(kSafetensorsUse), fmt::arg("file", file),
                         fmt::arg("module", fmt::format("{}_step_{:08}", signature.name, step)),
                         fmt::arg("output", signature.output), fmt::arg("draw", draw_text(card, config, false)));
    case ExportFormat::onnx:
      return fmt::format(fmt::runtime(kOnnxUse), fmt::arg("file", file), fmt::arg("input", signature.input),
                         fmt::arg("output", signature.output), fmt::arg("draw", draw_text(card, config, true)));
    case ExportFormat::torchscript_compatible:
      return fmt::format(fmt::runtime(kModuleUse), fmt::arg("module", card.file.stem().string()),
                         fmt::arg("output", signature.output), fmt::arg("name", signature.name),
                         fmt::arg("draw", draw_text(card, config, false)));
  }
  return "";
}

// A cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string result;
  for (const char character : printable(text)) {
    if (character == '|') result += '\\';
    result += character;
  }
  return result;
}

// What a JSON file that may come from elsewhere has under the key: null where that is no object, "" where it is no
// text.
Json object_in(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_object() ? json[key] : Json();
}
std::string text_in(const Json& json, const char* key) {
  return json.is_object() && json.contains(key) && json[key].is_string() ? json[key].get<std::string>() : "";
}

std::string score_rows(const Json& evaluations) {
  std::string text;
  for (const auto& [file, evaluation] : evaluations.items()) {
    text += fmt::format("\nFrom `{}`:\n\n| score | value | spread | better |\n|---|---|---|---|\n", file);
    for (const auto& [name, score] : evaluation["scores"].items()) {
      if (!score.is_object() || !score.contains("value") || !score["value"].is_number()) continue;
      const bool spread = score.contains("spread") && score["spread"].is_number();
      text += fmt::format("| {} | {} | {} | {} |\n", cell(name), format_number(score["value"].get<double>(), 5),
                          spread ? format_number(score["spread"].get<double>()) : "", cell(text_in(score, "better")));
    }
    text += fmt::format("\nProtocol:\n\n```json\n{}\n```\n", evaluation["protocol"].dump(2));
  }
  return text;
}

std::string facts(const LoadedCheckpoint& loaded, const ModelCard& card) {
  const auto& signature = card.signature;
  const auto& config = loaded.config;
  const bool generator = signature.name == "generator";
  std::string text = "| | |\n|---|---|\n";
  const auto row = [&](const std::string& name, const std::string& value) {
    text += fmt::format("| {} | {} |\n", name, cell(value));
  };
  row("architecture", std::string(name_of(generator ? config.generator.kind : config.discriminator.kind)));
  row("trained with", strategy_name(config));
  row("input",
      fmt::format("`{}` (N, {}), float32", signature.input, fmt::join(signature.input_shape, ", ")) +
          (generator ? fmt::format(", drawn from the {} distribution",
                                   config.generator.prior == Prior::normal ? "standard normal" : "uniform (-1 to 1)")
                     : ""));
  row("output", signature.output_shape.empty()
                    ? fmt::format("`{}` (N)", signature.output)
                    : fmt::format("`{}` (N, {}){}", signature.output, fmt::join(signature.output_shape, ", "),
                                  signature.output == "images" ? ", from -1 (black) to 1" : ""));
  if (!card.weights.empty()) row("weights", card.weights == "ema" ? "averaged (EMA)" : "raw");
  row("mode", "eval; weights as the network computes with them, parametrizations folded");
  row("step", std::to_string(loaded.step()));
  if (!loaded.run.empty()) {
    const auto status = RunFolder::open_read_only(loaded.run).read_status();
    for (const char* key : {"data", "version", "revision"}) {
      if (status.contains(key) && status[key].is_string()) row(key, status[key].get<std::string>());
    }
  }
  row("exported by", fmt::format("spectral-gan {} ({})", version(), revision()));
  return text;
}

}  // namespace

Json scores_of(const LoadedCheckpoint& loaded, const ModelCard& card) {
  Json result;
  if (loaded.run.empty() || card.signature.name != "generator") return result;
  std::vector<fs::path> files;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(loaded.run / "evaluation", missing)) {
    const auto name = parse_step_name(entry.path().filename().string(), ".json");
    if (name && name->step == loaded.step()) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    const auto json = parse_json_object(read_file(file));
    const auto scores = object_in(json, "scores");
    if (!scores.is_object()) continue;
    const auto protocol = object_in(json, "protocol");
    const auto generated = object_in(protocol, "generated");
    // Scores of other weights than these say nothing of the file.
    if (text_in(generated, "weights") != card.weights) continue;
    result[file.filename().string()] = {{"scores", scores}, {"protocol", protocol}};
  }
  return result;
}

std::string model_card(const LoadedCheckpoint& loaded, const ModelCard& card, const Json& scores) {
  const auto licence = card.licence.empty() ? "unknown" : card.licence;
  auto text = fmt::format("{}license: {}\nlibrary_name: {}\ntags:\n- gan\n- spectral-gan\n---\n\n", kCardBegin,
                          Json(licence).dump(), card.format == ExportFormat::onnx ? "onnx" : "pytorch");
  text += fmt::format("# {}: {} of step {}\n\n", printable(loaded.config.name), card.signature.name, loaded.step());
  text += facts(loaded, card);
  if (!card.notes.empty()) text += "\n" + card.notes + "\n";
  text += "\n## Use\n\n```python\n" + use_text(card, loaded.config, loaded.step()) + "```\n";
  text += "\n## Scores\n";
  text += scores.empty() ? "\nNone were measured of this step and these weights. `spectral-gan evaluate` does.\n"
                         : score_rows(scores);
  text += "\n## Config\n\n```yaml\n" + loaded.checkpoint.record.config + "```\n";
  text += fmt::format("\n## Licence\n\n{}\n", card.licence.empty()
                                                  ? "Not stated. Whoever trained it decides; the data's licence may "
                                                    "bind the weights too. `--licence` puts it here."
                                                  : printable(card.licence));
  return text;
}

bool is_model_card(std::string_view text) {
  return text.starts_with(kCardBegin);
}

}  // namespace sgan
