#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "run/event_file.h"
#include "run/file_descriptor.h"

namespace sgan {

// What a run folder holds, as TensorBoard event files that are kept up with it.
//
// Tags: `loss/D`, `loss/G`, `loss/penalty`, `critic/…`, `gradient/…`, `lipschitz/…` (slopes, sigmas, brackets),
// `scores/<score>`, `diversity/…`, `speed/…`, others after their keys in metrics.jsonl; images `samples/generated` and
// `samples/reals`; histograms `weights/G/<layer>`, `weights/D/<layer>` of what a layer computes with, from the
// checkpoints that are kept, and `lipschitz/slopes/<where>`; the text `config`; and the HParams page.
class TensorboardLog {
 public:
  // run: a run folder; out: where event files go, made if missing. Those of an earlier export there are replaced. One
  // process at a time writes there, of one run.
  TensorboardLog(std::filesystem::path run, std::filesystem::path out);

  // Writes what the run has that is not written yet. Where something written has changed, as after a resume that
  // dropped log points, or belongs before what is written of its tag, begins a new file which makes readers drop all
  // before. Throws a UserError where something of the run cannot be read, again at each call until that changes; what
  // else the run has is written where it can be. Throws one too while another process writes there.
  void update();
  // Says on the HParams page how the run ended, and lets others write. An update that finds more begins a new file.
  void end_session();
  // Adds the HParams page's columns, once, after the session's end; nothing where another process has written anew.
  void write_columns(const HyperParameterColumns& columns) const;

  // Whether the run is being trained.
  bool is_running() const;
  // Whether an update has written anything.
  bool has_written() const { return !file_path_.empty(); }
  const std::filesystem::path& out() const { return out_; }

  // The columns for all of these together.
  friend HyperParameterColumns columns_of(const std::vector<const TensorboardLog*>& logs);

 private:
  struct Record {
    std::string tag;
    int64_t step;
    double wall_time;
    std::string state;  // changes with the content
    // Adds it to the file under the tag and whatever stands below it.
    std::function<void(EventFile&, const Record&)> write;
  };
  using Records = std::vector<Record>;

  Records collect() const;
  void add_texts(Records& records) const;
  void add_metrics(Records& records) const;
  void add_samples(Records& records) const;
  void add_scores(Records& records) const;
  void add_brackets(Records& records) const;
  void add_weights(Records& records) const;
  double wall_time_of(int64_t step) const;
  bool fits_behind(const Records& records) const;
  void begin_file();
  void write(const Records& records);
  std::string listing() const;

  std::filesystem::path run_;
  std::filesystem::path out_;
  FileDescriptor lock_;  // while a session is open
  std::unique_ptr<EventFile> file_;
  std::filesystem::path file_path_;  // the last file's
  HyperParameters hyper_parameters_;
  std::map<std::pair<std::string, int64_t>, std::string> written_;  // state by tag and step
  std::string listed_;                                              // the folder's state at the last look
  std::string failure_;                                             // what could not be read then
  double begun_ = 0;                                                // seconds since 1970
  mutable std::map<int64_t, double> wall_times_;                    // of the log points, by step
};

HyperParameterColumns columns_of(const std::vector<const TensorboardLog*>& logs);

// The runs that a path stands for, each with a name that is unlike the others': the run folder itself, or the runs in a
// folder, eight levels deep. None where there are none.
std::vector<std::pair<std::filesystem::path, std::filesystem::path>> find_runs(const std::filesystem::path& path);

}  // namespace sgan
