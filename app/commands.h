#pragma once

#include <CLI/App.hpp>

#include "configs/exit_codes.h"

namespace sgan {

// Each adds one command to the program. A command's callback throws UserError for what a user can fix, and throws
// ExitCode where it ends with another code than 0.
struct ExitCode {
  int value;
};

void add_train_command(CLI::App& program);
void add_resume_command(CLI::App& program);
void add_sample_command(CLI::App& program);
void add_evaluate_command(CLI::App& program);
void add_lipschitz_command(CLI::App& program);
void add_export_command(CLI::App& program);
void add_import_command(CLI::App& program);
void add_quantize_command(CLI::App& program);
void add_compare_command(CLI::App& program);
void add_report_command(CLI::App& program);
void add_view_command(CLI::App& program);
void add_config_command(CLI::App& program);
void add_summary_command(CLI::App& program);
void add_data_command(CLI::App& program);
void add_bench_command(CLI::App& program);
void add_doctor_command(CLI::App& program);
void add_completion_command(CLI::App& program);
void add_manual_command(CLI::App& program);

}  // namespace sgan
