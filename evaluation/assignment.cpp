#include "evaluation/assignment.h"

#include <ATen/ATen.h>
#include <torch/utils.h>

#include <limits>

namespace sgan {
namespace {

constexpr int64_t kNone = -1;

// Rows are assigned one after the other, each along the shortest augmenting path in reduced costs, which the dual
// variables of rows and columns keep from becoming negative.
class Assignment {
 public:
  explicit Assignment(const torch::Tensor& costs)
      : costs_(costs.data_ptr<double>()),
        size_(static_cast<size_t>(costs.size(0))),
        row_dual_(size_, 0.0),
        column_dual_(size_, 0.0),
        column_of_(size_, kNone),
        row_of_(size_, kNone) {}

  std::vector<int64_t> run() && {
    for (size_t row = 0; row < size_; ++row) augment(row);
    return std::move(column_of_);
  }

 private:
  double reduced(size_t row, size_t column) const {
    return costs_[row * size_ + column] - row_dual_[row] - column_dual_[column];
  }

  // Dijkstra over columns, from `start` to the nearest column that no row has yet.
  void augment(size_t start) {
    std::vector<double> distance(size_, std::numeric_limits<double>::infinity());
    std::vector<int64_t> previous_row(size_, kNone);
    std::vector<bool> done(size_, false);
    std::vector<size_t> visited_rows;
    double shortest = 0;
    size_t row = start;
    int64_t sink = kNone;
    while (sink == kNone) {
      visited_rows.push_back(row);
      size_t nearest = size_;
      for (size_t column = 0; column < size_; ++column) {
        if (done[column]) continue;
        const double through = shortest + reduced(row, column);
        if (through < distance[column]) {
          distance[column] = through;
          previous_row[column] = static_cast<int64_t>(row);
        }
        if (nearest == size_ || distance[column] < distance[nearest] ||
            (distance[column] == distance[nearest] && row_of_[column] == kNone)) {
          nearest = column;
        }
      }
      shortest = distance[nearest];
      done[nearest] = true;
      if (row_of_[nearest] == kNone) {
        sink = static_cast<int64_t>(nearest);
      } else {
        row = static_cast<size_t>(row_of_[nearest]);
      }
    }
    update_duals(start, visited_rows, distance, done, shortest);
    turn_over(start, sink, previous_row);
  }

  void update_duals(size_t start, const std::vector<size_t>& visited_rows, const std::vector<double>& distance,
                    const std::vector<bool>& done, double shortest) {
    row_dual_[start] += shortest;
    for (const size_t row : visited_rows) {
      if (row != start) row_dual_[row] += shortest - distance[static_cast<size_t>(column_of_[row])];
    }
    for (size_t column = 0; column < size_; ++column) {
      if (done[column]) column_dual_[column] -= shortest - distance[column];
    }
  }

  // Along the path, each row takes the column that led to it.
  void turn_over(size_t start, int64_t column, const std::vector<int64_t>& previous_row) {
    for (int64_t row = kNone; row != static_cast<int64_t>(start);) {
      row = previous_row[static_cast<size_t>(column)];
      row_of_[static_cast<size_t>(column)] = row;
      std::swap(column_of_[static_cast<size_t>(row)], column);
    }
  }

  const double* costs_;
  size_t size_;
  std::vector<double> row_dual_;
  std::vector<double> column_dual_;
  std::vector<int64_t> column_of_;  // of each row
  std::vector<int64_t> row_of_;     // of each column
};

}  // namespace

std::vector<int64_t> cheapest_assignment(const torch::Tensor& costs) {
  TORCH_CHECK(costs.dim() == 2 && costs.size(0) == costs.size(1), "an assignment needs a square matrix, got ",
              costs.sizes());
  const auto table = costs.detach().to(torch::kCPU, torch::kDouble).contiguous();
  TORCH_CHECK(table.isfinite().all().item<bool>(), "an assignment needs finite costs");
  return Assignment(table).run();
}

double exact_w1(const torch::Tensor& a, const torch::Tensor& b) {
  torch::NoGradGuard no_grad;
  TORCH_CHECK(a.sizes() == b.sizes() && a.dim() >= 1 && a.size(0) > 0, "W1 needs two equal sets of points, got ",
              a.sizes(), " and ", b.sizes());
  const auto rows = [](const torch::Tensor& points) { return points.reshape({points.size(0), -1}).to(torch::kDouble); };
  // Differences, not ‖a‖² + ‖b‖² − 2⟨a, b⟩, which cancels for points that lie close together.
  const auto distances = at::cdist(rows(a), rows(b), 2, /*compute_mode=donot_use_mm_for_euclid_dist*/ int64_t{2}).cpu();
  const auto columns = torch::tensor(cheapest_assignment(distances), torch::kLong);
  return distances.gather(1, columns.unsqueeze(1)).mean().item<double>();
}

}  // namespace sgan
