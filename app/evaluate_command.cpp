#include <fmt/format.h>
#include <torch/utils.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/commands.h"
#include "app/each_once.h"
#include "app/evaluator.h"
#include "app/loaded_generator.h"
#include "app/progress.h"
#include "configs/error.h"
#include "configs/metrics.h"
#include "configs/suggest.h"
#include "data/load.h"
#include "report/text_table.h"
#include "run/atomic_file.h"
#include "run/format.h"
#include "run/image_grid.h"
#include "run/npy.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "\nScores of images (lower is better for fd, kd and swd):\n"
    "  fd   Frechet distance of features        is   Inception score\n"
    "  kd   kernel distance, unbiased           pr   precision and recall, 3 neighbours\n"
    "  swd  sliced Wasserstein distance         dc   density and coverage, 5 neighbours\n"
    "  memorization  distance to the nearest training image, generated over held-out\n"
    "A score is named after the network whose features it compares, and cannot be compared with one of another "
    "network.\n"
    "Without --features it is a classifier that the program trains on the labelled data; without labels, swd remains.\n"
    "Points in the plane are scored by their modes and the exact Wasserstein distance.\n"
    "Each result, with its protocol, is written to the run's evaluation/.\n\n"
    "  spectral-gan evaluate RUN\n"
    "  spectral-gan evaluate RUN --metrics fd,kd --reference train,test --weights ema,raw\n"
    "  spectral-gan evaluate RUN --features inception --network inception.safetensors --generated 50000\n";

struct Arguments {
  std::string run;
  std::optional<int64_t> step;
  std::optional<std::string> metrics;
  std::optional<std::string> features;
  std::optional<std::string> network;
  std::vector<std::string> references;
  std::vector<std::string> weights{"auto"};
  std::optional<int64_t> real;
  std::optional<int64_t> generated;
  int64_t seed = 0;
  std::filesystem::path dump;
  bool json = false;
};

EvaluationOptions options_of(const Config& config, const Arguments& arguments, const std::string& reference) {
  auto options = config.evaluation;
  if (arguments.metrics) {
    if (*arguments.metrics != "auto" && !parse_metrics(*arguments.metrics)) {
      throw UserError(
          fmt::format("--metrics: got {}; allowed are auto, or names with commas between: fd, kd, is, pr, dc, "
                      "swd, memorization.",
                      in_quotes(*arguments.metrics)),
          UserError::Kind::usage);
    }
    options.metrics = *arguments.metrics;
  }
  if (arguments.features) options.features = value_of<FeatureKind>(*arguments.features).value();
  if (arguments.network) options.network = *arguments.network;
  if (arguments.real) options.real = *arguments.real;
  if (arguments.generated) options.generated = *arguments.generated;
  if (!reference.empty()) options.reference = value_of<Reference>(reference).value();
  return options;
}

std::string spread_text(const Json& score) {
  if (!score.contains("spread")) return "";
  return "± " + format_number(score["spread"].get<double>(), 3);
}

// "1437/1000": real and generated images that the score looked at.
std::string images_text(const Json& result, const Json& score) {
  for (const auto* key : {"images", "points"}) {
    if (score.contains(key)) return fmt::format("{0}/{0}", score[key].get<int64_t>());
  }
  const auto& protocol = result["protocol"];
  if (score.contains("generated")) return fmt::format("{}", score["generated"].get<int64_t>());
  return fmt::format("{}/{}", protocol["real"]["count"].get<int64_t>(), protocol["generated"]["count"].get<int64_t>());
}

void print(const Json& result) {
  Table table{{"score", "value", "spread", "better", "images", "seconds"}, {}};
  for (const auto& [name, score] : result["scores"].items()) {
    auto value = format_number(score["value"].get<double>(), 5);
    if (score.contains("of")) value += " of " + format_number(score["of"].get<double>(), 5);
    table.rows.push_back({name, value, spread_text(score), score.value("better", ""), images_text(result, score),
                          score.contains("seconds") ? format_number(score["seconds"].get<double>(), 2) : ""});
  }
  fmt::print("{}", text_table(table, {0, 3}));
  const auto& protocol = result["protocol"];
  if (result.contains("diversity")) {
    const auto& diversity = result["diversity"];
    fmt::print("diversity  {}\n", diversity["summary"].get<std::string>());
    if (diversity["collapsed"].get<bool>()) fmt::print("COLLAPSED  {}\n", diversity["why"].get<std::string>());
  }
  const auto& generated = protocol["generated"];
  const auto& real = protocol["real"];
  fmt::print("protocol   {} generated ({} weights, step {}, {}) against {} real ({}); seed {}\n",
             generated["count"].get<int64_t>(), generated["weights"].get<std::string>(),
             generated["step"].get<int64_t>(), generated["range"].get<std::string>(), real["count"].get<int64_t>(),
             real["split"].get<std::string>(), generated["evaluate_seed"].get<int64_t>());
  if (protocol.contains("features")) {
    const auto& features = protocol["features"];
    fmt::print("features   {}, sha256 {}…: {}\n", features["network"].get<std::string>(),
               features["sha256"].get<std::string>().substr(0, 12), features["protocol"].get<std::string>());
  }
  fmt::print("took       {:.1f} s\n", result["seconds"].get<double>());
}

// Toys have scores of their own, to which most options say nothing.
void check_options(const Config& config, const EvaluationOptions& options, const Arguments& arguments) {
  const bool names_network = options.features == FeatureKind::inception || options.features == FeatureKind::script;
  if (arguments.network && !names_network) {
    throw UserError("--network names a file, but --features is neither inception nor script, so nothing would read it.",
                    UserError::Kind::usage);
  }
  if (!is_planar(config.data.kind)) return;
  if (arguments.metrics || arguments.features || arguments.network || arguments.real || !arguments.references.empty() ||
      !arguments.dump.empty()) {
    throw UserError(
        fmt::format("this run is on {}: points are scored by their modes and by W1. --metrics, --features, --network, "
                    "--reference, --real and --dump are for images; leave them out.",
                    name_of(config.data.kind)),
        UserError::Kind::usage);
  }
}

// A folder of its own, so that no file of another protocol stays among these.
void check_dump(const std::filesystem::path& folder) {
  if (!folder.empty() && std::filesystem::exists(folder) && !std::filesystem::is_empty(folder)) {
    throw UserError(
        fmt::format("--dump {}: there is something already. Give a new or an empty folder.", folder.string()),
        UserError::Kind::usage);
  }
}

void write_images(const std::filesystem::path& folder, const torch::Tensor& images) {
  std::filesystem::create_directories(folder);
  for (int64_t i = 0; i < images.size(0); ++i) {
    write_png(folder / fmt::format("{:06}.png", i), images[i].permute({1, 2, 0}).contiguous());
  }
}

void write_statistics(const std::filesystem::path& path, const torch::Tensor& features) {
  const auto moments = moments_of(features);
  write_npz(path, {{"mu", moments.mean}, {"sigma", moments.covariance}});
}

// Everything that other programs need to check the scores.
void dump(const std::filesystem::path& folder, const Evaluator& evaluator, const EvaluationArtifacts& artifacts,
          const Json& result) {
  write_file_atomically(folder / "result.json", result.dump(2) + "\n");
  write_images(folder / "real", evaluator.real().samples);
  write_images(folder / "fake", artifacts.fake);
  if (!artifacts.fake_features.defined()) return;
  write_npy(folder / "features-real.npy", evaluator.real_features());
  write_npy(folder / "features-fake.npy", artifacts.fake_features);
  if (artifacts.fake_probabilities.defined()) {
    write_npy(folder / "probabilities-fake.npy", artifacts.fake_probabilities);
  }
  write_statistics(folder / "statistics-real.npz", evaluator.real_features());
  write_statistics(folder / "statistics-fake.npz", artifacts.fake_features);
}

// Rows of a generated image and its nearest training image.
void write_neighbours(const std::filesystem::path& path, const torch::Tensor& pairs) {
  constexpr int64_t kColumns = 8;
  write_png(path, image_grid(pairs.to(torch::kFloat) / 127.5 - 1, kColumns));
}

void record(const std::filesystem::path& run, const std::string& name, const Json& result,
            const EvaluationArtifacts& artifacts) {
  const auto folder = run / "evaluation";
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / name, result.dump(2) + "\n");
  tell(fmt::format("written: {}\n", (folder / name).string()));
  if (!artifacts.neighbours.defined()) return;
  const auto picture = (folder / name).replace_extension() += "-neighbours.png";
  write_neighbours(picture, artifacts.neighbours);
  tell(fmt::format("nearest training images, each right of the generated one: {}\n", picture.string()));
}

void evaluate(Arguments arguments) {
  arguments.references = each_once(arguments.references);
  arguments.weights = each_once(arguments.weights);
  const bool several = arguments.references.size() > 1 || arguments.weights.size() > 1;
  if (several && !arguments.dump.empty()) {
    throw UserError("--dump takes one protocol; name one reference and one kind of weights.", UserError::Kind::usage);
  }
  check_dump(arguments.dump);
  auto references = arguments.references;
  if (references.empty()) references = {""};
  Json results = Json::array();
  std::optional<Dataset> train;
  for (const auto& reference : references) {
    std::unique_ptr<Evaluator> evaluator;
    Stages stages("image");
    for (const auto& weights : arguments.weights) {
      const auto loaded = load_trained_generator(arguments.run, arguments.step, weights);
      const auto seed = stream_seed(static_cast<uint64_t>(loaded.config.seed), Stream::data, 0);
      if (!train) train = load_dataset(loaded.config.data, seed, loaded.config.threads);
      if (evaluator == nullptr) {
        const auto options = options_of(loaded.config, arguments, reference);
        check_options(loaded.config, options, arguments);
        evaluator = std::make_unique<Evaluator>(loaded.config, options, *train, stages);
        // Before the work whose results it is for, and after all that refuses what was asked.
        if (!arguments.dump.empty()) std::filesystem::create_directories(arguments.dump);
      }
      const EvaluationSubject subject{*loaded.network, loaded.averaged, loaded.step,
                                      loaded.checkpoint.filename().string()};
      EvaluationArtifacts artifacts;
      auto result = evaluator->evaluate(subject, arguments.seed, &artifacts);
      stages.clear();
      if (fingerprint(*train) != loaded.data) {
        tell(
            "warning: the training data differ from those the run was trained with; the scores are against the present "
            "ones.\n");
        result["protocol"]["data_changed_since_training"] = true;
      }
      if (!loaded.run.empty()) {
        record(loaded.run, evaluator->file_name(subject, arguments.seed), result, artifacts);
      }
      if (!arguments.dump.empty()) dump(arguments.dump, *evaluator, artifacts, result);
      if (!arguments.json) print(result);
      results.push_back(result);
    }
  }
  if (arguments.json) fmt::print("{}\n", (several ? results : results[0]).dump(2));
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("evaluate", "Score a run's generator, each score with its protocol");
  command->add_option("run", arguments->run, "Run folder, checkpoint or quantized file")->required()->type_name("RUN");
  command
      ->add_option("--metrics", arguments->metrics, "Scores, with commas between (default: evaluation.metrics, auto)")
      ->type_name("LIST");
  command->add_option("--features", arguments->features, "Whose features (default: evaluation.features, auto)")
      ->check(CLI::IsMember(names_of<FeatureKind>()));
  command->add_option("--network", arguments->network, "File of the Inception weights or the TorchScript module")
      ->type_name("FILE");
  command->add_option("--reference", arguments->references, "Real images: train, test, or both with a comma between")
      ->delimiter(',')
      ->check(CLI::IsMember(names_of<Reference>()));
  command
      ->add_option("--weights", arguments->weights,
                   "Averaged (ema), raw, or both with a comma between; auto: those of the training grids")
      ->delimiter(',')
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ema", "raw"}));
  command->add_option("--generated,--count", arguments->generated, "Images to draw (default: evaluation.generated)")
      ->check(CLI::Range(2, 10000000));
  command->add_option("--real", arguments->real, "Real images, a random part; 0 takes all (default: evaluation.real)")
      ->check(CLI::Range(0, 10000000));
  command->add_option("--seed", arguments->seed, "Seed of latents, subsets and directions")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP");
  command->add_option("--dump", arguments->dump, "Write PNGs, features (.npy) and statistics (.npz) into this folder")
      ->type_name("DIR");
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { evaluate(*arguments); });
}

}  // namespace sgan
