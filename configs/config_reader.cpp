#include "configs/config_reader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "configs/key_paths.h"
#include "configs/schema.h"

namespace sgan {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLongestChain = 16;   // files that extend each other
constexpr size_t kMostPenalties = 32;  // so that a config of aliases cannot have more items than bytes
constexpr std::string_view kPenaltyExample = "{kind: gp, weight: 10}";

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
  if (list.size() > kMostPenalties) {
    origin.fail(list.Mark(), "penalties: got {} items, allowed: at most {}. {}", list.size(), kMostPenalties,
                kReference);
  }
  config.penalties.clear();
  for (const YAML::Node& item : list) {
    const std::string path = fmt::format("penalties[{}]", config.penalties.size());
    config.penalties.push_back(read_penalty(origin, path, list, item));
  }
}

[[noreturn]] void fail_unknown(const Origin& origin, const std::string& path, const YAML::Node& key_node) {
  for (std::string above = parent_path(path); !above.empty(); above = parent_path(above)) {
    if (const Key* key = find_key(schema(), above)) {
      origin.fail(key_node.Mark(), "unknown key {}; '{}' is one value ({}, {}) and is set whole. {}", in_quotes(path),
                  above, type_name(key->type), key->allowed, kReference);
    }
  }
  const std::string section = parent_path(path);
  const std::vector<std::string> siblings = children(section);
  const std::string keys =
      siblings.empty()
          ? ""
          : fmt::format("{} has the keys {}. ", section.empty() ? "A config" : section, fmt::join(siblings, ", "));
  origin.fail(key_node.Mark(), "unknown key {}; {}{}{}", in_quotes(path), did_you_mean(path), keys, kReference);
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
    const std::string base_text = read_yaml_text(base, where);
    chain.push_back(identity(base));
    if (std::ranges::count(chain, chain.back()) > 1) {
      std::vector<std::string> files;
      for (const fs::path& file : chain) files.push_back(file.string());
      fail_usage("{}got a circle, {}, allowed: files that end somewhere; remove a link.", where,
                 fmt::join(files, " -> "));
    }
    if (chain.size() > kLongestChain) {
      fail_usage("{}got more than {} files that extend each other; merge some of them.", where, kLongestChain);
    }
    read_config(config, {base.string()}, base_text, base.parent_path(), std::move(chain));
  }
  read_node(origin, config, "", root, root);
}

}  // namespace

// The schema bounds the recursion, so neither deep nesting nor aliases, circular ones included, can make it long.
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
                  in_quotes(name), last_part(name), parent_path(child_path));
    }
    read_node(origin, config, child_path, child_key, child);
  });
}

void read_config_file(Config& config, const fs::path& file, const std::string& where) {
  const std::string text = read_yaml_text(file, where);
  read_config(config, {file.string()}, text, file.parent_path(), {identity(file)});
}

void read_config_text(Config& config, const Origin& origin, const std::string& text) {
  read_config(config, origin, text, "", {});
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

}  // namespace sgan
