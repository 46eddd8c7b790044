#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>

#include "app/commands.h"
#include "app/latents.h"
#include "app/loaded_generator.h"
#include "app/session.h"
#include "configs/error.h"
#include "data/load.h"
#include "run/image_grid.h"
#include "run/random_streams.h"
#include "run/run_folder.h"
#include "run/webp_animation.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nRUN is a run folder, or a checkpoint or quantized file alone. Seed k means the same latent in every run, so\n"
    "`--seeds 0-63` redraws the grids of training, and pictures of two runs can be compared one by one.\n\n"
    "  spectral-gan sample RUN                                    one grid, in the run's samples folder\n"
    "  spectral-gan sample RUN --seeds 0-999 --out pictures/      a PNG file per seed\n"
    "  spectral-gan sample RUN --interpolate 3 8 --out walk.webp  an animation from seed 3 to seed 8\n"
    "  spectral-gan sample RUN --timeline --out training.webp     the run's grids, step by step\n";

struct Arguments {
  std::string run;
  std::string seeds;
  std::vector<int64_t> interpolate;
  int64_t frames = 16;
  bool timeline = false;
  int64_t frame_ms = 150;
  std::string weights = "auto";
  std::optional<int64_t> step;
  std::filesystem::path out;
};

bool has_ending(const std::filesystem::path& path, std::string_view ending) {
  return path.extension() == ending;
}

[[noreturn]] void refuse_out(const std::filesystem::path& out, const std::string& allowed) {
  throw UserError(fmt::format("--out {}: {}", out.string(), allowed), UserError::Kind::usage);
}

// The points of the training data, which planar samples are drawn over; undefined for images.
torch::Tensor reference_points(const LoadedGenerator& loaded) {
  if (!is_planar(loaded.config.data.kind)) return {};
  const auto seed = stream_seed(static_cast<uint64_t>(loaded.config.seed), Stream::data, 0);
  return load_dataset(loaded.config.data, seed, 1).samples;
}

void write_animation(const std::filesystem::path& out, const std::vector<torch::Tensor>& frames, int64_t frame_ms) {
  // The last frame stays for a while, so that a looping viewer shows where it ends.
  std::vector<int64_t> durations(frames.size(), frame_ms);
  durations.back() = std::max<int64_t>(frame_ms, 1500);
  write_webp_animation(out, frames, durations);
}

std::filesystem::path default_out(const LoadedGenerator& loaded, const std::string& name) {
  if (loaded.run.empty()) {
    throw UserError("a checkpoint file has no samples folder to write to: say where with --out FILE.png or --out DIR",
                    UserError::Kind::usage);
  }
  return loaded.run / "samples" / fmt::format("{}-step-{:08}{}.png", name, loaded.step, loaded.averaged ? "" : "-raw");
}

void draw_timeline(const Arguments& arguments) {
  if (std::filesystem::is_regular_file(arguments.run)) {
    throw UserError("--timeline shows the grids that a run folder holds; " + arguments.run + " is one file",
                    UserError::Kind::usage);
  }
  const auto folder = RunFolder::open_read_only(arguments.run);
  const auto out = arguments.out.empty() ? folder.path() / "samples" / "timeline.webp" : arguments.out;
  if (!has_ending(out, ".webp")) refuse_out(out, "a timeline is an animation; give a name that ends in .webp");
  std::vector<torch::Tensor> frames;
  for (const auto& [step, path] : folder.samples()) frames.push_back(read_png(path));
  if (frames.empty()) {
    throw UserError(fmt::format("{} has no sample grids. Train with sample.every above 0.", folder.path().string()));
  }
  write_animation(out, frames, arguments.frame_ms);
  fmt::print("{}\n", out.string());
}

void draw_interpolation(const Arguments& arguments, const LoadedGenerator& loaded) {
  const auto ends = seed_latents(arguments.interpolate, loaded.config.generator);
  const auto samples =
      loaded.sample(interpolate_latents(ends[0], ends[1], arguments.frames, loaded.config.generator.prior));
  const auto name = fmt::format("seeds-{}-to-{}", arguments.interpolate[0], arguments.interpolate[1]);
  const auto out = arguments.out.empty() ? default_out(loaded, name) : arguments.out;
  const auto reference = reference_points(loaded);
  if (has_ending(out, ".webp")) {
    std::vector<torch::Tensor> frames;
    for (const auto& sample : samples.split(1)) frames.push_back(picture(sample, reference));
    write_animation(out, frames, arguments.frame_ms);
  } else if (has_ending(out, ".png")) {
    write_png(out, samples.dim() == 2 ? picture(samples, reference) : image_grid(samples, arguments.frames));
  } else {
    refuse_out(out, "an interpolation is a row of images (.png) or an animation (.webp)");
  }
  fmt::print("{}\n", out.string());
}

// "seeds-0-63", or the ends and the count of a list too long for a file's name.
std::string seeds_name(const std::string& text, const std::vector<int64_t>& seeds) {
  constexpr size_t kLongest = 60;
  if (text.size() <= kLongest) return "seeds-" + text;
  return fmt::format("{}-seeds-from-{}-to-{}", seeds.size(), seeds.front(), seeds.back());
}

void draw_seeds(const Arguments& arguments, const LoadedGenerator& loaded) {
  const auto text = arguments.seeds.empty() ? fmt::format("0-{}", loaded.config.sample.count - 1) : arguments.seeds;
  const auto seeds = parse_seeds(text);
  const auto out = arguments.out.empty() ? default_out(loaded, seeds_name(text, seeds)) : arguments.out;
  const auto samples = loaded.sample(seed_latents(seeds, loaded.config.generator));
  if (has_ending(out, ".png")) {
    write_png(out, picture(samples, reference_points(loaded)));
  } else if (out.has_extension()) {
    refuse_out(out, "give FILE.png for one grid, or a folder for a PNG file per seed");
  } else if (samples.dim() == 2) {
    refuse_out(out, "points in the plane make one picture; give FILE.png");
  } else {
    std::filesystem::create_directories(out);
    for (size_t i = 0; i < seeds.size(); ++i) {
      const auto image = to_uint8(samples[static_cast<int64_t>(i)]).permute({1, 2, 0}).contiguous();
      write_png(out / fmt::format("seed-{:05}.png", seeds[i]), image);
    }
  }
  fmt::print("{}\n", out.string());
}

void sample(const Arguments& arguments) {
  if (!arguments.seeds.empty()) parse_seeds(arguments.seeds);  // a mistyped list is told before anything is loaded
  if (arguments.timeline) return draw_timeline(arguments);
  const auto loaded = load_trained_generator(arguments.run, arguments.step, arguments.weights);
  fmt::print(stderr, "{}, step {}, {} weights\n", loaded.checkpoint.string(), loaded.step,
             loaded.averaged ? "averaged (EMA)" : "raw");
  if (!arguments.interpolate.empty()) return draw_interpolation(arguments, loaded);
  draw_seeds(arguments, loaded);
}

}  // namespace

void add_sample_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("sample", "Draw images from a trained generator");
  command->add_option("run", arguments->run, "Run folder, checkpoint or quantized file")->required()->type_name("RUN");
  auto* seeds = command->add_option("--seeds", arguments->seeds,
                                    "Seeds to draw, e.g. 0-63 or 1,5,20-23 "
                                    "(default: those of the training grids)");
  auto* interpolate =
      command->add_option("--interpolate", arguments->interpolate, "Go from one seed's latent to another's")
          ->expected(2)
          ->type_name("A B")
          ->check(CLI::NonNegativeNumber)
          ->excludes(seeds);
  command->add_option("--frames", arguments->frames, "Images between the two, both included")
      ->capture_default_str()
      ->check(CLI::Range(2, 1000))
      ->needs(interpolate);
  auto* timeline = command->add_flag("--timeline", arguments->timeline, "Animate the grids that training left (.webp)");
  timeline->excludes(seeds)->excludes(interpolate);
  command->add_option("--frame-ms", arguments->frame_ms, "Milliseconds a frame of an animation is shown")
      ->capture_default_str()
      ->check(CLI::Range(10, 10000));
  command
      ->add_option("--weights", arguments->weights, "Averaged (ema) or raw weights; auto: those of the training grids")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ema", "raw"}))
      ->excludes(timeline);
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP")
      ->excludes(timeline);
  command->add_option("--out", arguments->out, "FILE.png, FILE.webp or a folder (default: in the run's samples folder)")
      ->type_name("PATH");
  command->footer(kFooter);
  command->callback([arguments] { sample(*arguments); });
}

}  // namespace sgan
