#include "app/comparison_report.h"

#include "report/comparison_page.h"
#include "run/atomic_file.h"

namespace sgan {

Summary report_comparison(const ComparisonFolder& folder, const std::filesystem::path& page) {
  const auto results = folder.read_results();
  auto summary = summarize(folder.plan(), results);
  write_summary(summary, page.has_parent_path() ? page.parent_path() : ".");
  write_file_atomically(page, comparison_page(summary, results, {folder.path(), read_file(folder.sweep_path())}));
  return summary;
}

}  // namespace sgan
