#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cmath>
#include <limits>
#include <memory>

#include "app/bracket.h"
#include "app/commands.h"
#include "app/loaded_checkpoint.h"
#include "app/progress.h"
#include "configs/strategy.h"
#include "data/load.h"
#include "models/factory.h"
#include "report/text_table.h"
#include "run/format.h"
#include "run/random_streams.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nEvery number is of the discriminator in eval mode, in float64, with the float32 weights it computes with:\n"
    "  sigma-hat  what training's power iteration says of the unnormalized weight (an estimate from below)\n"
    "  sigma(R)   largest singular value of the reshaped weight in use, by SVD; not a convolution's norm\n"
    "  lower      norm of the layer itself, attained by a vector (Lanczos)\n"
    "  upper      certified upper bound of that norm; the method says which\n"
    "The network's upper bound is the product over its layers and other operations; its lower bound the steepest\n"
    "slope found off the kinks, or difference quotient |D(x) - D(y)| / |x - y|. Written to the run's lipschitz/ as "
    "JSON and as a page with plots.\n\n"
    "  spectral-gan lipschitz RUN\n"
    "  spectral-gan lipschitz RUN --layer conv3 --points 4096 --starts 64 --climb 200\n";

struct Arguments {
  std::string run;
  std::optional<int64_t> step;
  BracketRequest request;
  bool json = false;
};

std::string ratio(double upper, double lower) {
  return lower > 0 ? fmt::format("{:.4f}", upper / lower) : "–";
}

std::string upper_text(const Bracket& bracket) {
  if (std::isinf(bracket.bound.upper)) return "no upper bound: see the last row above";
  const auto upper = format_number(bracket.bound.upper, 5);
  if (!bracket.bound.useful) return fmt::format("at most {} (certified, of no use: see the norms above)", upper);
  return fmt::format("at most {} (certified); slack {}", upper,
                     format_number(bracket.bound.upper / bracket.lower(), 4));
}

void print(const BracketSubject& subject, const Bracket& bracket) {
  Table table{{"layer", "operation", "σ̂", "σ(R)", "lower", "upper", "upper/lower", "method", "running upper"}, {}};
  for (const auto& node : bracket.bound.nodes) {
    const std::string indent(static_cast<size_t>(2 * node.depth), ' ');
    const auto& norm = node.norm;
    table.rows.push_back({indent + node.name, indent + (node.shortcut ? "+ " : "") + node.operation,
                          node.sigma_estimate ? format_number(*node.sigma_estimate, 4) : "",
                          norm ? format_number(norm->reshaped, 4) : "", norm ? format_number(norm->lower.value, 4) : "",
                          format_number(node.factor, 4), norm ? ratio(norm->upper.value, norm->lower.value) : "",
                          node.useful ? node.method : node.method + " (no useful bound)",
                          format_number(node.running_upper, 4)});
  }
  fmt::print("{}\n", text_table(table, {0, 1, 7}));
  fmt::print("discriminator in eval mode, strategy {}, step {}, l2 norm\n", strategy_name(subject.config),
             subject.step);
  fmt::print("  Lipschitz constant  at least {} (attained), {}\n", format_number(bracket.lower(), 5),
             upper_text(bracket));
  for (const auto& group : bracket.slopes) {
    fmt::print("  slope at {:<13} median {}, 90 % below {}, 99 % below {}, largest {} ({} points)\n", group.name,
               format_number(group.percentile(0.5)), format_number(group.percentile(0.9)),
               format_number(group.percentile(0.99)), format_number(group.largest()), group.values.size(0));
  }
  fmt::print("  climbing            from {} to {} ({} starts, {} steps)\n",
             format_number(bracket.search.start.max().item<double>()), format_number(bracket.search.largest),
             bracket.search.start.size(0), bracket.search.steps);
  fmt::print("  time                bounds {:.1f} s, slopes {:.1f} s\n", bracket.bound.seconds, bracket.slope_seconds);
}

void lipschitz(const Arguments& arguments) {
  const auto loaded = load_checkpoint(arguments.run, arguments.step);
  const auto& shape = loaded.checkpoint.record.sample_shape;
  const auto discriminator = make_discriminator(loaded.config, shape);
  const auto generator = make_generator(loaded.config, shape);
  restore_discriminator(loaded.checkpoint, *discriminator);
  restore_generator(loaded.checkpoint, *generator, /*averaged=*/false);
  const auto seed = stream_seed(static_cast<uint64_t>(loaded.config.seed), Stream::data, 0);
  const auto dataset = load_dataset(loaded.config.data, seed, loaded.config.threads);

  if (fingerprint(dataset) != loaded.checkpoint.record.data) {
    tell("warning: the data differ from those the run was trained with; slopes are those at the present ones.\n");
  }
  const BracketSubject subject{loaded.config, *discriminator, *generator, dataset, loaded.step()};
  Counter counter("bound", "layer");
  auto request = arguments.request;
  request.progress = std::ref(counter);
  const auto bracket = measure_bracket(subject, request);
  counter.clear();
  const auto json = to_json(bracket, subject, loaded.checkpoint.path.filename().string(), request);
  if (!loaded.run.empty()) {
    tell(fmt::format("written: {}.json and .html\n", write_bracket(loaded.run, loaded.step(), json).string()));
  }
  if (arguments.json) {
    fmt::print("{}\n", json.dump(2));
  } else {
    print(subject, bracket);
  }
}

}  // namespace

void add_lipschitz_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = program.add_subcommand("lipschitz", "Bracket a discriminator's Lipschitz constant, layer by layer");
  command->add_option("run", arguments->run, "Run folder or checkpoint file")->required()->type_name("RUN");
  command->add_option("--step", arguments->step, "Which of the run's checkpoints (default: the last)")
      ->type_name("STEP");
  command->add_option("--points", arguments->request.points, "Real, generated and interpolated points, as many of each")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command->add_option("--starts", arguments->request.starts, "Points from which steeper ones are searched")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  command->add_option("--climb", arguments->request.climb, "Steps of that search")
      ->capture_default_str()
      ->check(CLI::Range(0, 100000));
  command->add_option("--seed", arguments->request.seed, "Seed of the points and of the search")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()));
  command->add_option("--layer", arguments->request.layer, "Layer whose singular values the page plots too")
      ->type_name("NAME");
  command
      ->add_option("--exact-side", arguments->request.exact_side,
                   "Compute the norm itself up to this side of the dense matrix")
      ->capture_default_str()
      ->check(CLI::Range(0, 20000));
  command
      ->add_option("--factored-side", arguments->request.factored_side,
                   "Certify by a Cholesky factor up to this side; takes 16 bytes times its square")
      ->capture_default_str()
      ->check(CLI::Range(0, 40000));
  command
      ->add_option("--gram-iterations", arguments->request.gram_iterations,
                   "Bound layers by so many Gram iterations too, which need no eigenvalues; 0: not")
      ->capture_default_str()
      ->check(CLI::Range(0, 60));
  command->add_flag("--json", arguments->json, "Print JSON");
  command->footer(kFooter);
  command->callback([arguments] { lipschitz(*arguments); });
}

}  // namespace sgan
