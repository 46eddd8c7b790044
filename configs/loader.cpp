#include "configs/loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "configs/error.h"
#include "configs/schema.h"
#include "configs/suggest.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestFile = 1 << 20;  // bytes
constexpr size_t kLongestChain = 16;      // files that extend each other
constexpr size_t kColumns = 100;          // of the terminal that help is laid out for
constexpr std::string_view kReference = "'spectral-gan config' explains every key.";
constexpr std::string_view kPenaltyExample = "{kind: gp, weight: 10}";

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw UserError(fmt::format(text, std::forward<Args>(args)...), UserError::Kind::usage);
}

// Where a text comes from: with it every error begins.
struct Origin {
  std::string name;
  bool has_lines = true;

  std::string at(const YAML::Mark& mark) const {
    if (!has_lines || mark.is_null()) return name + ": ";
    return fmt::format("{}:{}:{}: ", name, mark.line + 1, mark.column + 1);
  }

  template <class... Args>
  [[noreturn]] void fail(const YAML::Mark& mark, fmt::format_string<Args...> text, Args&&... args) const {
    sgan::fail("{}{}", at(mark), fmt::format(text, std::forward<Args>(args)...));
  }
};

// ---- Names in the schema -------------------------------------------------------------------------------------------

std::string join_path(const std::string& section, const std::string& name) {
  return section.empty() ? name : section + "." + name;
}

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

std::string parent(const std::string& path) {
  const size_t dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

// The names directly below a section, "" being the whole config; none where there is no such section.
std::vector<std::string> children(const std::string& section) {
  std::vector<std::string> names;
  const std::string prefix = join_path(section, "");
  for (const Key& key : schema()) {
    if (!key.name.starts_with(prefix)) continue;
    const std::string name = key.name.substr(prefix.size(), key.name.find('.', prefix.size()) - prefix.size());
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

template <class Owner>
const KeyOf<Owner>* find_key(const std::vector<KeyOf<Owner>>& keys, const std::string& name) {
  const auto found = std::ranges::find(keys, name, &KeyOf<Owner>::name);
  return found == keys.end() ? nullptr : &*found;
}

template <class Owner>
std::vector<std::string> names_of(const std::vector<KeyOf<Owner>>& keys) {
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

// What an unknown key may have meant: a neighbour, else the keys of that name in other sections.
std::string did_you_mean(const std::string& path) {
  const std::vector<std::string> siblings = children(parent(path));
  std::vector<std::string> meant;
  if (siblings.empty()) {
    if (const std::string near = suggest(path, names_of(schema())); !near.empty()) meant = {near};
  } else if (const std::string near = suggest(last_part(path), siblings); !near.empty()) {
    meant = {join_path(parent(path), near)};
  }
  if (meant.empty()) {
    meant = names_of(schema());
    std::erase_if(meant, [&](const std::string& name) { return last_part(name) != last_part(path); });
  }
  return meant.empty() ? "" : fmt::format("did you mean '{}'? ", fmt::join(meant, "' or '"));
}

// ---- YAML to config ------------------------------------------------------------------------------------------------

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

YAML::Node parse_yaml(const Origin& origin, const std::string& text) {
  if (text.size() > kLargestFile) fail("{}: larger than 1 MiB, which no config is; is it the right file?", origin.name);
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
    fail("{}: not in UTF-8; convert it, and rename files and folders whose names are not.", origin.name);
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

// A null may have no place of its own; its key's stands in.
YAML::Mark place(const YAML::Node& node, const YAML::Node& key) {
  return node.IsNull() ? key.Mark() : node.Mark();
}

// Visits a map's pairs as (name, key node, value node). yaml-cpp itself lets duplicate keys pass.
template <class Visit>
void for_each_pair(const Origin& origin, const YAML::Node& map, Visit visit) {
  std::set<std::string> seen;
  for (const auto& pair : map) {
    const YAML::Node& key = pair.first;
    if (!key.IsScalar()) origin.fail(map.Mark(), "got {} for a key, allowed: a name. {}", what_it_is(key), kReference);
    const std::string& name = key.Scalar();
    if (!seen.insert(name).second) origin.fail(key.Mark(), "duplicate key {}; keep one of the two.", in_quotes(name));
    visit(name, key, pair.second);
  }
}

// Sets one value; `path` names it in errors.
template <class Owner>
void read_value(const Origin& origin, Owner& owner, const KeyOf<Owner>& key, const std::string& path,
                const YAML::Node& key_node, const YAML::Node& node) {
  const auto refuse = [&](const std::string& problem) {
    origin.fail(place(node, key_node), "{}: {} {}", path, problem, kReference);
  };
  const std::string allowed = fmt::format("allowed: {}, {}", type_name(key.type), key.allowed);
  if (!node.IsScalar()) refuse(fmt::format("got {}, {}.", what_it_is(node), allowed));

  const bool is_quoted = node.Tag() == "!";
  const bool is_word = key.type == KeyType::text || key.type == KeyType::choice;
  if (is_quoted && !is_word) {
    refuse(fmt::format("got the quoted text {}, {}; drop the quotes.", in_quotes(node.Scalar()), allowed));
  }
  if (!is_quoted && node.Tag() != "?") refuse(fmt::format("got the YAML tag {}; remove it.", in_quotes(node.Tag())));
  try {
    key.set(owner, node.Scalar());
  } catch (const UserError& error) {
    refuse(error.what());
  }
}

PenaltyOptions read_penalty(const Origin& origin, const std::string& path, const YAML::Node& list,
                            const YAML::Node& item) {
  if (!item.IsMap()) {
    origin.fail(place(item, list), "{}: got {}, allowed: an item such as {}. {}", path, what_it_is(item),
                kPenaltyExample, kReference);
  }
  PenaltyOptions penalty;
  bool has_kind = false;
  for_each_pair(origin, item, [&](const std::string& name, const YAML::Node& key_node, const YAML::Node& value) {
    const auto* key = find_key(penalty_schema(), name);
    if (!key) {
      const std::vector<std::string> names = names_of(penalty_schema());
      const std::string near = suggest(name, names);
      origin.fail(key_node.Mark(), "{}: unknown key {}; {}An item has the keys {}. {}", path, in_quotes(name),
                  near.empty() ? "" : fmt::format("did you mean '{}'? ", near), fmt::join(names, ", "), kReference);
    }
    read_value(origin, penalty, *key, join_path(path, name), key_node, value);
    has_kind = has_kind || name == "kind";
  });
  if (!has_kind) {
    origin.fail(item.Mark(), "{}: got no kind, allowed: {}. {}", path, penalty_schema().front().allowed, kReference);
  }
  return penalty;
}

void read_penalties(const Origin& origin, Config& config, const YAML::Node& key_node, const YAML::Node& list) {
  if (!list.IsSequence()) {
    origin.fail(place(list, key_node), "penalties: got {}, allowed: a list, such as [{}] or []. {}", what_it_is(list),
                kPenaltyExample, kReference);
  }
  config.penalties.clear();
  for (const YAML::Node& item : list) {
    const std::string path = fmt::format("penalties[{}]", config.penalties.size());
    config.penalties.push_back(read_penalty(origin, path, list, item));
  }
}

[[noreturn]] void fail_unknown(const Origin& origin, const std::string& path, const YAML::Node& key_node) {
  for (std::string above = parent(path); !above.empty(); above = parent(above)) {
    if (const Key* key = find_key(schema(), above)) {
      origin.fail(key_node.Mark(), "unknown key {}; '{}' is one value ({}, {}) and is set whole. {}", in_quotes(path),
                  above, type_name(key->type), key->allowed, kReference);
    }
  }
  const std::string section = parent(path);
  const std::vector<std::string> siblings = children(section);
  const std::string keys =
      siblings.empty()
          ? ""
          : fmt::format("{} has the keys {}. ", section.empty() ? "A config" : section, fmt::join(siblings, ", "));
  origin.fail(key_node.Mark(), "unknown key {}; {}{}{}", in_quotes(path), did_you_mean(path), keys, kReference);
}

// Reads what stands at a path: a value, the list or a section. The schema bounds the recursion, so neither deep nesting
// nor aliases, circular ones included, can make it long.
void read_node(const Origin& origin, Config& config, const std::string& path, const YAML::Node& key_node,
               const YAML::Node& node) {
  if (const Key* key = find_key(schema(), path)) {
    if (key->type == KeyType::list) return read_penalties(origin, config, key_node, node);
    return read_value(origin, config, *key, path, key_node, node);
  }
  const std::vector<std::string> names = children(path);
  if (names.empty()) fail_unknown(origin, path, key_node);
  if (!node.IsMap()) {
    origin.fail(place(node, key_node), "{}: got {}, allowed: a section with the keys {}. {}",
                path.empty() ? "the config" : path, what_it_is(node), fmt::join(names, ", "), kReference);
  }
  for_each_pair(origin, node, [&](const std::string& name, const YAML::Node& child_key, const YAML::Node& child) {
    const std::string child_path = join_path(path, name);
    if (path.empty() && name == "extends") return;
    if (name.find('.') != std::string::npos && find_key(schema(), child_path)) {
      origin.fail(child_key.Mark(), "unknown key {}; dots are for the command line, here nest '{}:' below '{}:'.",
                  in_quotes(name), last_part(name), parent(child_path));
    }
    read_node(origin, config, child_path, child_key, child);
  });
}

// `where` begins the errors: the place that names the file, or nothing.
std::string read_text(const fs::path& file, const std::string& where) {
  std::error_code error;
  if (fs::is_directory(file, error)) {
    fail("{}{}: got a folder, allowed: a config file; name a file in it.", where, file.string());
  }
  if (!fs::exists(file, error)) {
    std::vector<std::string> neighbours;
    for (const auto& entry : fs::directory_iterator(fs::absolute(file).parent_path(), error)) {
      neighbours.push_back(entry.path().filename().string());
    }
    const std::string near = suggest(file.filename().string(), neighbours);
    fail("{}{}: there is no such file; {}", where, file.string(),
         near.empty() ? "check the path." : fmt::format("did you mean '{}'?", (file.parent_path() / near).string()));
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail("{}{}: cannot be read: {}; check its permissions.", where, file.string(), std::strerror(errno));
  std::string text(kLargestFile + 1, '\0');  // one byte too many shows that it is too large
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

// A file's one name, to find circles by; what has none (a pipe of the shell, say) goes by the name given.
fs::path identity(const fs::path& file) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(file, error);
  return error ? file : canonical;
}

// Applies a text, and before it the file that it extends. `chain`: the files being read, outermost first.
void read_config(Config& config, const Origin& origin, const std::string& text, const fs::path& folder,
                 std::vector<fs::path> chain) {
  const YAML::Node root = parse_yaml(origin, text);
  if (root.IsNull()) return;
  if (const YAML::Node extends = root.IsMap() ? root["extends"] : YAML::Node(YAML::NodeType::Undefined)) {
    if (!extends.IsScalar() || extends.Scalar().empty()) {
      origin.fail(extends.Mark(), "extends: got {}, allowed: the path of one config file.", what_it_is(extends));
    }
    const fs::path base = folder / extends.Scalar();
    const std::string where = origin.at(extends.Mark()) + "extends: ";
    const std::string base_text = read_text(base, where);
    chain.push_back(identity(base));
    if (std::ranges::count(chain, chain.back()) > 1) {
      std::vector<std::string> files;
      for (const fs::path& file : chain) files.push_back(file.string());
      fail("{}got a circle, {}, allowed: files that end somewhere; remove a link.", where, fmt::join(files, " -> "));
    }
    if (chain.size() > kLongestChain) {
      fail("{}got more than {} files that extend each other; merge some of them.", where, kLongestChain);
    }
    read_config(config, {base.string()}, base_text, base.parent_path(), std::move(chain));
  }
  read_node(origin, config, "", root, root);
}

void read_override(Config& config, const std::string& text) {
  const Origin origin{"command line, " + in_quotes(text), false};
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    origin.fail({}, "got no key and '=', allowed: key=value, such as train.steps=500.");
  }
  const std::string path = text.substr(0, equals);
  if (path == "extends") origin.fail({}, "extends is allowed in files only; name that file instead.");
  const YAML::Node value = parse_yaml(origin, text.substr(equals + 1));
  read_node(origin, config, path, value, value);
}

Config finish(Config config, const std::string& origin, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) read_override(config, text);
  try {
    check_config(config);
  } catch (const UserError& error) {
    fail("{}: {}", origin, error.what());
  }
  return config;
}

// ---- What goes together --------------------------------------------------------------------------------------------

void check_norm(const char* network, NetworkKind kind, NormKind norm) {
  if (kind != NetworkKind::mlp || norm != NormKind::instance) return;
  fail(
      "{0}.norm is instance, which averages over the positions of an image, but {0}.kind mlp has none; set {0}.norm to "
      "layer, rms or none.",
      network);
}

// What takes the discriminator's gradient at each sample.
void check_slope(const Config& config) {
  const NormKind norm = config.discriminator.norm;
  const bool gradient_normalization = config.discriminator.gradient_normalization;
  const auto on_gradient = std::ranges::find_if(config.penalties, [](const PenaltyOptions& penalty) {
    return penalty.kind != PenaltyKind::spectral && penalty.kind != PenaltyKind::orthogonal;
  });
  const bool has_penalty = on_gradient != config.penalties.end();
  // Statistics of the batch make D(x) depend on all of it (Gulrajani et al. 2017, section 4).
  if (norm == NormKind::batch || norm == NormKind::mean_only_batch) {
    if (has_penalty) {
      fail(
          "discriminator.norm is {}, but penalties has {}: this penalty is on each sample's own gradient, which batch "
          "normalization mixes with the other samples'; set discriminator.norm to layer or none, or take it out.",
          name_of(norm), name_of(on_gradient->kind));
    }
    if (gradient_normalization) {
      fail(
          "discriminator.norm is {}, but discriminator.gradient_normalization is true: it divides by each sample's own "
          "gradient, which batch normalization mixes with the other samples'; set discriminator.norm to layer or "
          "none.",
          name_of(norm));
    }
  }
  if (gradient_normalization && has_penalty) {
    fail(
        "discriminator.gradient_normalization is true, but penalties has {}: the normalized output's gradient holds "
        "second derivatives, so training on it would take third ones; set "
        "discriminator.gradient_normalization to false, or take the penalty out.",
        name_of(on_gradient->kind));
  }
}

// ---- Config to text ------------------------------------------------------------------------------------------------

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Quotes a text that YAML 1.1 or 1.2 could read as something else. The schema lets no control characters come here.
std::string yaml_text(const std::string& text) {
  static const std::set<std::string> kReserved{"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
  const auto is_plain = [](unsigned char c) { return std::isalnum(c) || std::strchr("_-./", c); };
  const bool begins_with_letter = !text.empty() && std::isalpha(static_cast<unsigned char>(text.front()));
  if (begins_with_letter && std::ranges::all_of(text, is_plain) && !kReserved.contains(lower(text))) return text;

  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

// A key as the reference shows it.
struct Row {
  std::string name, type, default_value, allowed, help;
};

template <class Owner>
Row row_of(const KeyOf<Owner>& key, const std::string& prefix) {
  const std::string value = key.get(Owner{});
  return {prefix + key.name, std::string(type_name(key.type)), key.type == KeyType::text ? yaml_text(value) : value,
          key.allowed, key.help};
}

std::vector<Row> reference() {
  std::vector<Row> rows{
      {"extends", "text", "none", "a path",
       "A config file that is read first, relative to this one: sections merge, lists are replaced."}};
  for (const Key& key : schema()) {
    rows.push_back(row_of(key, ""));
    if (key.type != KeyType::list) continue;
    for (const auto& item_key : penalty_schema()) rows.push_back(row_of(item_key, key.name + "[]."));
  }
  return rows;
}

std::string first_part(const std::string& path) {
  return path.substr(0, path.find_first_of(".["));
}

// Breaks a text between words; lines after the first begin with `indent` spaces.
std::string wrap(const std::string& text, size_t indent) {
  std::string result;
  size_t column = indent;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const bool is_first = column == indent;
    if (!is_first && column + 1 + (end - begin) > kColumns) {
      result += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (!is_first) {
      result += ' ';
      ++column;
    }
    result += text.substr(begin, end - begin);
    column += end - begin;
    begin = end + 1;
  }
  return result + '\n';
}

}  // namespace

Config load_config(const fs::path& file, const std::vector<std::string>& overrides) {
  Config config;
  const std::string text = read_text(file, "");
  read_config(config, {file.string()}, text, file.parent_path(), {identity(file)});
  return finish(std::move(config), file.string(), overrides);
}

Config parse_config(const std::string& text, const std::string& origin, const std::vector<std::string>& overrides) {
  Config config;
  read_config(config, {origin}, text, "", {});
  return finish(std::move(config), origin, overrides);
}

Config parse_resolved_config(const std::string& text, const std::string& origin) {
  const YAML::Node root = parse_yaml({origin}, text);
  if (root.IsMap() && root["extends"])
    fail("{}: got extends, which no resolved config has; the file was altered.", origin);
  return parse_config(text, origin);
}

std::vector<std::string> differing_keys(const Config& a, const Config& b) {
  std::vector<std::string> keys;
  for (const Key& key : schema()) {
    if (key.get(a) != key.get(b)) keys.push_back(key.name);
  }
  return keys;
}

void check_config(const Config& config) {
  const DataOptions& data = config.data;
  const auto check_network = [&](const char* key, NetworkKind kind) {
    if (is_planar(data.kind) && kind != NetworkKind::mlp) {
      fail(
          "{} is {}, but data.kind {} has points in the plane, no images; set {}=mlp, or data.kind to digits, "
          "folder or another kind of images.",
          key, name_of(kind), name_of(data.kind), key);
    }
  };
  check_network("generator.kind", config.generator.kind);
  check_network("discriminator.kind", config.discriminator.kind);
  if (reads_files(data.kind) && data.path.empty()) {
    fail("data.kind is {}, but data.path is empty; set data.path to where the images are.", name_of(data.kind));
  }
  if (data.size > 0 && data.size < 8) fail("data.size: got {}, allowed: 0 or 8 to 256.", data.size);
  if (data.channels == 2) fail("data.channels: got 2, allowed: 0, 1 or 3.");

  check_norm("generator", config.generator.kind, config.generator.norm);
  check_norm("discriminator", config.discriminator.kind, config.discriminator.norm);
  check_slope(config);
  if (config.sample.weights == SampleWeights::ema && config.ema.decay == 0) {
    fail("sample.weights is ema, but ema.decay is 0: no averaged weights are kept; set sample.weights to auto or raw.");
  }
  if (config.constraint.kind == ConstraintKind::clip && config.discriminator.weight == WeightKind::weight_norm) {
    fail(
        "constraint.kind is clip, but discriminator.weight is weight_norm, whose direction and gain clipping would "
        "cut, not the weight; set discriminator.weight=none or constraint.kind=none.");
  }
  const TrainOptions& train = config.train;
  if (config.loss == LossKind::relativistic && train.generator_batch != 0 && train.generator_batch != train.batch) {
    fail(
        "loss is relativistic, which pairs generated samples with real ones, but train.generator_batch is {} and "
        "train.batch {}; set train.generator_batch to 0.",
        train.generator_batch, train.batch);
  }
  if (config.schedule.kind == ScheduleKind::linear && config.schedule.start >= train.steps) {
    fail("schedule.start is {}, but train.steps is {}: the learning rates would never fall; set schedule.start lower.",
         config.schedule.start, train.steps);
  }
}

std::string dump_config(const Config& config) {
  std::string text;
  std::string open;  // the section that the last line belongs to
  for (const Key& key : schema()) {
    const std::string section = parent(key.name);
    for (size_t end = 0; end < section.size(); ++end) {
      end = std::min(section.find('.', end), section.size());
      const std::string part = section.substr(0, end);
      if (open != part && !open.starts_with(part + ".")) {
        text += fmt::format("{:{}}{}:\n", "", 2 * std::ranges::count(part, '.'), last_part(part));
      }
    }
    open = section;
    const std::string value = key.get(config);
    text += fmt::format("{:{}}{}: {}\n", "", 2 * std::ranges::count(key.name, '.'), last_part(key.name),
                        key.type == KeyType::text ? yaml_text(value) : value);
  }
  return text;
}

std::string describe_keys() {
  const std::vector<Row> rows = reference();
  size_t indent = 0;
  for (const Row& row : rows) indent = std::max(indent, row.name.size() + 2);
  std::string text;
  std::string group;  // the top-level section of the last row, or nothing
  for (const Row& row : rows) {
    const std::string row_group = row.name.find('.') == std::string::npos ? "" : first_part(row.name);
    if (row_group != group) text += '\n';
    group = row_group;
    text += fmt::format("{:{}}{}", row.name, indent, wrap(row.help, indent));
    text += fmt::format("{:{}}{}", "", indent,
                        wrap(fmt::format("{}, default {}; {}", row.type, row.default_value, row.allowed), indent));
  }
  return text;
}

std::string describe_keys_markdown() {
  std::string text = "| key | type | default | allowed | meaning |\n|---|---|---|---|---|\n";
  for (const Row& row : reference()) {
    text +=
        fmt::format("| `{}` | {} | `{}` | {} | {} |\n", row.name, row.type, row.default_value, row.allowed, row.help);
  }
  return text;
}

}  // namespace sgan
