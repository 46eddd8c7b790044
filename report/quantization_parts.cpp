#include "report/quantization_parts.h"

#include <fmt/format.h>

#include "report/html.h"
#include "run/atomic_file.h"
#include "run/format.h"

namespace sgan {

using Json = nlohmann::ordered_json;

double number_at(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : kMissing;
}

std::string text_at(const Json& object, const char* key) {
  return escape_html(object.at(key).get<std::string>());
}

std::string measured_cell(const Json& object, const std::string& key, int digits) {
  const auto found = object.find(key);
  if (found == object.end()) return "";
  if (found->is_number()) return format_number(found->get<double>(), digits);
  return object.value("identical", false) || key == "sqnr_db" ? "∞" : "none";
}

std::string arm_title(const Json& arm) {
  const auto name = arm["arm"].get<std::string>();
  const std::string title = name == "max" ? "max scale" : name == "mse" ? "least-error clip" : "as trained";
  return fmt::format("{}, by {}", title, arm["per"].get<std::string>());
}

std::string picture_figure(const std::filesystem::path& png, const std::string& caption, const std::string& alt) {
  return fmt::format(
      "<figure><figcaption>{}</figcaption><img alt=\"{}\" style=\"width:100%;image-rendering:pixelated\" "
      "src=\"data:image/png;base64,{}\"></figure>\n",
      escape_html(caption), escape_html(alt), base64(read_file(png)));
}

std::string definitions_section(const Json& definitions, const Json& protocol) {
  std::string html = "<h2>What the numbers are</h2>\n<table class=\"facts\"><tbody>\n";
  for (const auto& [name, text] : definitions.items()) {
    html += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", escape_html(name),
                        escape_html(text.get<std::string>()));
  }
  html += "</tbody></table>\n";
  if (!protocol.is_null()) {
    html += fmt::format("<details><summary>Protocol of the scores</summary><pre>{}</pre></details>\n",
                        escape_html(protocol.dump(2)));
  }
  return html;
}

}  // namespace sgan
