#include "configs/yaml.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestFile = 1 << 20;  // bytes

// Where the last document begins that a parser has gone through.
struct DocumentStart : YAML::EventHandler {
  void OnDocumentStart(const YAML::Mark& begin) override { mark = begin; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

  YAML::Mark mark;
};

// Well-formed as RFC 3629 has it, but for surrogates and overlong forms, which harm nobody here.
bool is_utf8(std::string_view text) {
  int following = 0;
  for (const unsigned char byte : text) {
    const bool continues = (byte & 0xc0) == 0x80;
    if (continues != (following > 0)) return false;
    if (continues) {
      --following;
    } else if (byte >= 0x80) {
      if (byte < 0xc2 || byte > 0xf4) return false;
      following = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    }
  }
  return following == 0;
}

}  // namespace

YAML::Node parse_yaml(const Origin& origin, const std::string& text) {
  if (text.size() > kLargestFile)
    fail_usage("{}: larger than 1 MiB, which no config is; is it the right file?", origin.name);
  // yaml-cpp takes the byte 4 for the end of the file and would drop what follows.
  const auto is_bad = [](unsigned char c) { return c < 0x20 && c != '\t' && c != '\n' && c != '\r'; };
  if (const auto bad = std::ranges::find_if(text, is_bad); bad != text.end()) {
    const auto line_begin = std::find(std::make_reverse_iterator(bad), text.rend(), '\n').base();
    YAML::Mark mark;
    mark.line = static_cast<int>(std::count(text.begin(), bad, '\n'));
    mark.column = static_cast<int>(bad - line_begin);
    origin.fail(mark, "got the control character 0x{:02x}, allowed: plain text in UTF-8; remove it.", *bad);
  }
  if (!is_utf8(text))
    fail_usage("{}: not in UTF-8; convert it, and rename files and folders whose names are not.", origin.name);
  try {
    // YAML::Load reads the first document and drops the rest; YAML::LoadAll never ends on a text such as ", a".
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    DocumentStart start;
    parser.HandleNextDocument(start);
    if (parser.HandleNextDocument(start)) {
      origin.fail(start.mark, "the YAML document ends before this; remove what begins here, or the '---' before it.");
    }
    return YAML::Load(text);
  } catch (const YAML::DeepRecursion& error) {
    origin.fail(error.mark, "nested too deeply, allowed: sections in sections; remove the surplus brackets.");
  } catch (const YAML::Exception& error) {
    origin.fail(error.mark, "not valid YAML: {}; check indentation, quotes and brackets up to here.", error.msg);
  }
}

std::string what_it_is(const YAML::Node& node) {
  if (node.IsMap()) return "a section";
  if (node.IsSequence()) return "a list";
  return node.IsScalar() ? in_quotes(node.Scalar()) : "nothing (null)";
}

YAML::Mark place(const YAML::Node& node, const YAML::Node& key) {
  return node.IsNull() ? key.Mark() : node.Mark();
}

std::string read_yaml_text(const fs::path& file, const std::string& where) {
  std::error_code error;
  if (fs::is_directory(file, error)) {
    fail_usage("{}{}: got a folder, allowed: a config file; name a file in it.", where, file.string());
  }
  if (!fs::exists(file, error)) {
    std::vector<std::string> neighbours;
    for (const auto& entry : fs::directory_iterator(fs::absolute(file).parent_path(), error)) {
      neighbours.push_back(entry.path().filename().string());
    }
    const std::string near = suggest(file.filename().string(), neighbours);
    fail_usage(
        "{}{}: there is no such file; {}", where, file.string(),
        near.empty() ? "check the path." : fmt::format("did you mean '{}'?", (file.parent_path() / near).string()));
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream)
    fail_usage("{}{}: cannot be read: {}; check its permissions.", where, file.string(), std::strerror(errno));
  std::string text(kLargestFile + 1, '\0');  // one byte too many shows that it is too large
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

}  // namespace sgan
