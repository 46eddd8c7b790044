#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "app/evaluator.h"
#include "app/failure.h"
#include "configs/options.h"
#include "data/dataset.h"
#include "run/run_folder.h"
#include "training/checkpoint.h"
#include "training/graph_capture.h"
#include "training/state.h"

namespace sgan {

// Everything a run needs before its folder is touched: what can be wrong with config, data or device shows here.
// The step at which a run had diverged, and the one that it went back to.
struct Rollback {
  int64_t from = 0;
  int64_t to = 0;
};

struct Prepared {
  torch::Device device;
  Dataset dataset;
  std::string data_fingerprint;
  TrainingState state;
  std::shared_ptr<Evaluator> evaluator;     // where the config wants scores in training
  std::unique_ptr<GraphRecorder> recorder;  // where updates are captured
  nlohmann::ordered_json init = {};         // where the weights come from, if from another run
  Rollback rollback = {};                   // the last one
};
// Says how many files RunFolder::drop_later_steps has put aside.
void tell_dropped(int64_t files);

Prepared prepare(const Config& config);

// For a run that begins: takes the weights of another run (init.from), or else sets from the first batch what the
// config wants set so, such as weight norm's gains.
void initialize_from_first_batch(const Config& config, Prepared& prepared);

// Trains from the prepared state to the config's last step, or to `stop_at`, into the run folder: metrics, samples,
// checkpoints, status. metrics_lines: of metrics.jsonl to keep. An error is recorded in run.json before it goes on, and
// says how to go on with the run where that can help. A new folder whose run cannot be begun is taken back.
// Returns false if the run stopped before its last step, after saving.
bool run_session(RunFolder& folder, const Config& config, Prepared& prepared, int64_t metrics_lines,
                 std::optional<int64_t> stop_at);

// Writes into run.json and the log that the run failed and why, if the disk takes it. step: that it has reached.
void record_failure(RunFolder& folder, const Failure& failure, std::optional<int64_t> step = {}) noexcept;

// What a checkpoint of the prepared run records besides its state, with so many lines of metrics before it.
CheckpointRecord checkpoint_record(const Config& config, const Prepared& prepared, int64_t metrics_lines);

// The time as run.json has it.
std::string now_text();

// What train and resume say at the end: the folder on stdout, and how to go on where steps are left. step: that the run
// is at. Throws the exit code of an interrupted run.
void end_session(const RunFolder& folder, bool finished, int64_t step);

// Pictures of samples as the run folder shows them: a grid of images, or points over the data's.
torch::Tensor picture(const torch::Tensor& samples, const torch::Tensor& reference_points);

// The option --stop-at of train and resume.
void add_stop_at(CLI::App& command, std::optional<int64_t>& stop_at);

// Sets the number of CPU threads that torch computes with; 0: one a core.
void set_threads(int64_t threads);

}  // namespace sgan
