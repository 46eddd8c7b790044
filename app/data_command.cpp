#include <fmt/format.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/progress.h"
#include "configs/error.h"
#include "data/inspection.h"
#include "data/printable_name.h"
#include "run/image_grid.h"

namespace sgan {
namespace {

constexpr const char* kFooter =
    "\nPATH is a folder of images, a .tar or .zip archive (compressed or not; or shards, name-{000..009}.tar),\n"
    "or the binary files of CIFAR-10, MNIST (idx) or STL-10. Every image is decoded; nothing is changed.\n\n"
    "  spectral-gan data inspect photos/                       counts, sizes, classes, unreadable files\n"
    "  spectral-gan data inspect photos.zip --sheet sheet.png  and a contact sheet of up to 100 images\n";

constexpr int64_t kSheetImages = 100;
constexpr int64_t kSheetColumns = 10;
constexpr size_t kListed = 10;

struct Arguments {
  std::string path;
  std::string kind = "auto";
  std::string split = "auto";
  std::filesystem::path sheet;
  bool json = false;
};

std::vector<std::string> file_kinds() {
  std::vector<std::string> result;
  for (const auto& [kind, name] : Names<DataKind>::table) {
    if (reads_files(kind)) result.emplace_back(name);
  }
  return result;
}

std::string size_text(const ImageSize& size) {
  return fmt::format("{}x{}", size.width, size.height);
}

// Sizes and their counts, the most frequent first.
std::vector<std::pair<ImageSize, int64_t>> by_count(const std::map<ImageSize, int64_t>& sizes) {
  std::vector<std::pair<ImageSize, int64_t>> result(sizes.begin(), sizes.end());
  std::ranges::stable_sort(result, std::ranges::greater(), [](const auto& entry) { return entry.second; });
  return result;
}

// A word of the shell: quoted if it has more than the characters that need none.
std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=,";
  if (text.find_first_not_of(kPlain) == text.npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// A text as a YAML scalar: between double quotes if it has more than the characters that need none, or if a plain word
// might mean something else, as ~ and null do.
std::string yaml_word(const std::string& text) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
  if (text.find_first_not_of(kPlain) == text.npos && text.find('/') != text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

// Whether a config can hold the path: it takes no control characters.
bool fits_config(const std::string& path) {
  return std::ranges::none_of(path, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string train_command(const Inspection& found, const Arguments& arguments) {
  std::string command = fmt::format(
      "spectral-gan train configs/folder.yaml data.kind={} {} data.size={} data.channels={}", name_of(found.kind),
      shell_word("data.path=" + yaml_word(arguments.path)), found.suggested_size(), found.suggested_channels());
  if (arguments.split != "auto") command += " data.split=" + arguments.split;
  if (found.unreadable > 0) command += " data.on_error=skip";
  return command;
}

std::string as_text(const Inspection& found) {
  std::string text = fmt::format("{}: {} images, {} grey and {} in colour\n", printable_name(found.source),
                                 found.readable, found.grey, found.readable - found.grey);
  const auto sizes = by_count(found.sizes);
  text += fmt::format("sizes: {}\n", sizes.size());
  for (size_t i = 0; i < std::min(sizes.size(), kListed); ++i) {
    text += fmt::format("  {:<11} {:>9}\n", size_text(sizes[i].first), sizes[i].second);
  }
  if (sizes.size() > kListed) text += fmt::format("  … {} more\n", sizes.size() - kListed);
  text += fmt::format("classes: {}\n", found.classes.empty() ? "none" : std::to_string(found.classes.size()));
  for (size_t i = 0; i < std::min(found.classes.size(), 2 * kListed); ++i) {
    text += fmt::format("  {:<20} {:>9}\n", printable_name(found.classes[i].first), found.classes[i].second);
  }
  if (found.classes.size() > 2 * kListed) text += fmt::format("  … {} more\n", found.classes.size() - 2 * kListed);
  text += fmt::format("unreadable: {}\n", found.unreadable);
  for (const std::string& example : found.unreadable_examples) text += fmt::format("  {}\n", printable_name(example));
  if (found.unreadable > std::ssize(found.unreadable_examples)) text += "  …\n";
  return text;
}

std::string as_json(const Inspection& found, const Arguments& arguments) {
  nlohmann::ordered_json json = {{"kind", name_of(found.kind)},
                                 {"source", found.source},
                                 {"images", found.readable},
                                 {"grey", found.grey},
                                 {"sizes", nullptr},
                                 {"classes", nullptr},
                                 {"unreadable", found.unreadable},
                                 {"unreadable_examples", found.unreadable_examples}};
  json["sizes"] = nlohmann::ordered_json::array();
  for (const auto& [size, count] : by_count(found.sizes)) {
    json["sizes"].push_back({{"width", size.width}, {"height", size.height}, {"images", count}});
  }
  json["classes"] = nlohmann::ordered_json::array();
  for (const auto& [name, count] : found.classes) json["classes"].push_back({{"name", name}, {"images", count}});
  if (found.readable > 0) {
    json["suggested"] = {{"size", found.suggested_size()}, {"channels", found.suggested_channels()}};
    if (fits_config(arguments.path)) json["train"] = train_command(found, arguments);
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// The contact sheet's file: the one named, or "<name>-sheet.png" here for --sheet alone.
std::filesystem::path sheet_path(const Arguments& arguments) {
  if (arguments.sheet != "auto") return arguments.sheet;
  auto path = std::filesystem::absolute(arguments.path).lexically_normal();  // "." has no name of its own
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().stem().string() + "-sheet.png";
}

// Throws if the sheet would take the place of a file of the inspected folder, which may be one of its images.
void require_free(const std::filesystem::path& sheet, const std::string& inspected) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(sheet, error))) return;
  const fs::path folder = fs::canonical(inspected, error);
  if (error || !fs::is_directory(folder, error)) return;
  const fs::path file = fs::weakly_canonical(fs::absolute(sheet).parent_path(), error) / sheet.filename();
  if (error || std::ranges::mismatch(folder, file).in1 != folder.end()) return;
  throw UserError(fmt::format("--sheet {}: there is such a file in the inspected folder, and nothing in it is changed; "
                              "give another name",
                              printable_name(sheet.string())),
                  UserError::Kind::usage);
}

void inspect(const Arguments& arguments, bool wants_sheet) {
  if (wants_sheet && sheet_path(arguments).extension() != ".png") {
    throw UserError(fmt::format("--sheet {}: a contact sheet is a PNG file; give a name that ends in .png",
                                printable_name(arguments.sheet.string())),
                    UserError::Kind::usage);
  }
  if (wants_sheet) require_free(sheet_path(arguments), arguments.path);
  DataOptions options;
  options.path = arguments.path;
  options.kind = value_of<DataKind>(arguments.kind).value();
  options.split = value_of<Split>(arguments.split).value();
  Counter counter("inspect", "image");
  const Inspection found = inspect_data(options, kSheetImages, 0, std::ref(counter));
  counter.clear();
  fmt::print("{}", arguments.json ? as_json(found, arguments) : as_text(found));
  if (wants_sheet && found.sheet.defined()) {
    write_png(sheet_path(arguments), image_grid(found.sheet.to(torch::kFloat32) / 127.5 - 1.0, kSheetColumns));
    if (!arguments.json) fmt::print("contact sheet: {}\n", printable_name(sheet_path(arguments).string()));
  }
  if (found.readable == 0) throw UserError(fmt::format("no image of {} can be read", printable_name(arguments.path)));
  if (arguments.json) return;
  if (fits_config(arguments.path)) {
    fmt::print("To train on them:\n  {}\n", train_command(found, arguments));
  } else {
    fmt::print("To train on them, rename {} first: a config takes no control characters.\n",
               printable_name(arguments.path));
  }
}

}  // namespace

void add_data_command(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  auto* data = program.add_subcommand("data", "Look at training data");
  data->require_subcommand(1);
  auto* command = data->add_subcommand("inspect", "Count, decode and describe the images of a path");
  command->add_option("path", arguments->path, "Folder, archive or binary file")->required()->type_name("PATH");
  command->add_option("--kind", arguments->kind, "What PATH is; auto guesses from what is there")
      ->capture_default_str()
      ->check(CLI::IsMember(file_kinds()));
  command->add_option("--split", arguments->split, "Which part of it")
      ->capture_default_str()
      ->check(CLI::IsMember(names_of<Split>()));
  auto* sheet = command
                    ->add_option("--sheet", arguments->sheet,
                                 "Write a contact sheet (default file: <name>-sheet.png, in the working directory)")
                    ->type_name("FILE.png")
                    ->expected(0, 1)
                    ->default_str("auto");
  command->add_flag("--json", arguments->json, "As JSON");
  command->footer(kFooter);
  command->callback([arguments, sheet] { inspect(*arguments, sheet->count() > 0); });
}

}  // namespace sgan
