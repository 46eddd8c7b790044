#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands.h"
#include "app/version.h"
#include "configs/schema.h"

namespace sgan {
namespace {

// An option of a command as a shell completes it.
struct Flag {
  std::string name;  // "--weights"
  std::string help;
  bool has_value = false;
  std::vector<std::string> choices;  // of its value; none: whatever files there are
};

struct Command {
  std::string path;  // "data inspect"
  std::string help;
  std::vector<Flag> flags;
  std::vector<std::string> choices;  // of its first argument, or the commands below it
  bool takes_keys = false;           // key=value of a config
};

// The names in "TEXT:{auto,ema,raw}", which is how CLI11 prints a choice.
std::vector<std::string> choices_of(const CLI::Option& option) {
  const auto text = option.get_type_name();
  const auto begin = text.find('{');
  const auto end = text.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  std::vector<std::string> choices;
  std::string_view rest = std::string_view(text).substr(begin + 1, end - begin - 1);
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    choices.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

std::vector<const CLI::App*> commands_below(const CLI::App& app) {
  std::vector<const CLI::App*> commands;
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (!command->get_group().empty()) commands.push_back(command);
  }
  return commands;
}

void collect(const CLI::App& app, const std::string& path, std::vector<Command>& commands) {
  Command command{path, app.get_description(), {}, {}, false};
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) {
      command.flags.push_back(
          {"--" + name, option->get_description(), option->get_expected_min() > 0, choices_of(*option)});
    }
    if (!option->get_positional()) continue;
    if (option->get_name() == "overrides") command.takes_keys = true;
    if (command.choices.empty()) command.choices = choices_of(*option);
  }
  const auto below = commands_below(app);
  for (const auto* inner : below) command.choices.push_back(inner->get_name());
  commands.push_back(command);
  for (const auto* inner : below) {
    collect(*inner, path.empty() ? inner->get_name() : path + " " + inner->get_name(), commands);
  }
}

std::vector<std::string> config_keys() {
  std::vector<std::string> keys;
  for (const auto& key : schema()) keys.push_back(key.name + "=");
  return keys;
}

// What a key's value can be: the names of a choice, none where it is free.
std::vector<std::string> values_of(const Key& key) {
  if (key.type == KeyType::flag) return {"true", "false"};
  if (key.type != KeyType::choice) return {};
  std::vector<std::string> names;
  std::string_view rest = key.allowed;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(", "), rest.size());
    names.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 2, rest.size()));
  }
  return names;
}

// Inside '…' of a shell.
std::string single_quoted(const std::string& text) {
  std::string result;
  for (const char character : text) result += character == '\'' ? std::string("'\\''") : std::string(1, character);
  return result;
}

std::vector<std::string> names_of(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const auto& flag : flags) names.push_back(flag.name);
  return names;
}

std::string bash_completion(const std::vector<Command>& commands) {
  std::string flags;
  std::string values;
  std::string words;
  std::string keyed;
  std::string paths;
  for (const auto& command : commands) {
    if (!command.path.empty()) paths += fmt::format("    '{}') ;;\n", command.path);
    flags += fmt::format("    '{}') options='{}' ;;\n", command.path, fmt::join(names_of(command.flags), " "));
    if (!command.choices.empty()) {
      words += fmt::format("    '{}') words='{}' ;;\n", command.path, fmt::join(command.choices, " "));
    }
    if (command.takes_keys) keyed += (keyed.empty() ? "'" : "|'") + command.path + "'";
    for (const auto& flag : command.flags) {
      if (!flag.has_value) continue;
      const auto offer = flag.choices.empty() ? "compopt -o default"
                                              : fmt::format("_spectral_gan_offer '{}'", fmt::join(flag.choices, " "));
      values += fmt::format("    '{} {}') {}; return ;;\n", command.path, flag.name, offer);
    }
  }
  std::string of_keys;
  for (const auto& key : schema()) {
    const auto names = values_of(key);
    if (!names.empty()) {
      of_keys += fmt::format("      '{}') _spectral_gan_offer '{}' ;;\n", key.name, fmt::join(names, " "));
    }
    if (key.type == KeyType::text) of_keys += fmt::format("      '{}') compopt -o default ;;\n", key.name);
  }
  return fmt::format(R"(# bash completion of spectral-gan: source it, or install it as
# share/bash-completion/completions/spectral-gan. Written by `spectral-gan completion bash`.
_spectral_gan_offer() {{
  COMPREPLY=($(compgen -P "$prefix" -W "$1" -- "$word"))
}}
# Files are left to bash's own completion (the option "default"), which knows how to quote them.
_spectral_gan() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command='' i options='' words=''
  local key='' prefix='' keys files
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{command:+$command }}${{COMP_WORDS[i]}}" in
{0}    *) continue ;;
    esac
    command="${{command:+$command }}${{COMP_WORDS[i]}}"
  done
  # key=value is three words where = breaks words (COMP_WORDBREAKS), which it does unless somebody has changed that.
  if [[ $word == = ]]; then
    key=$before word=''
  elif [[ $before == = ]]; then
    key=${{COMP_WORDS[COMP_CWORD-2]}}
  elif [[ $word == ?*=* ]]; then
    key=${{word%%=*}} prefix=${{word%%=*}}= word=${{word#*=}}
  fi
  [[ $key != --* ]] || before=$key
  case "$command $before" in
{1}  esac
  if [[ -n $key ]]; then
    case "$command" in
    {4})
      case "$key" in
{6}      esac
      ;;
    *) compopt -o default ;;
    esac
    return
  fi
  if [[ $word == -* ]]; then
    case "$command" in
{2}    esac
    _spectral_gan_offer "$options"
    return
  fi
  case "$command" in
{3}  esac
  if [[ -n $words ]]; then
    _spectral_gan_offer "$words"
    return
  fi
  case "$command" in
  {4})
    mapfile -t keys < <(compgen -W '{5}' -- "$word")
    if [[ ${{#keys[@]}} -gt 0 ]]; then
      mapfile -t files < <(compgen -f -- "$word")
      [[ ${{#files[@]}} -eq 0 ]] || compopt -o filenames
      compopt -o nospace
      COMPREPLY=("${{keys[@]}}" "${{files[@]}}")
      return
    fi
    ;;
  esac
  compopt -o default
}}
complete -F _spectral_gan spectral-gan
)",
                     paths, values, flags, words, keyed, fmt::join(config_keys(), " "), of_keys);
}

// In a specification of zsh's _arguments also : and brackets must not stand bare.
std::string zsh_text(const std::string& text) {
  std::string result;
  for (const char character : single_quoted(text)) {
    if (character == '[' || character == ']' || character == ':') result += '\\';
    result += character;
  }
  return result;
}

std::string zsh_completion(const std::vector<Command>& commands) {
  std::string cases;
  for (const auto& command : commands) {
    cases += fmt::format("    '{}')\n      specs=(\n", command.path);
    for (const auto& flag : command.flags) {
      std::string value;
      if (flag.has_value) {
        value = flag.choices.empty() ? ":value:_files" : fmt::format(":value:({})", fmt::join(flag.choices, " "));
      }
      cases += fmt::format("        '{}[{}]{}'\n", flag.name, zsh_text(flag.help), value);
    }
    cases += "      )\n";
    if (!command.choices.empty()) cases += fmt::format("      words_here=({})\n", fmt::join(command.choices, " "));
    if (command.takes_keys) cases += "      takes_keys=1\n";
    cases += "      ;;\n";
  }
  std::string paths;
  for (const auto& command : commands) {
    if (!command.path.empty()) paths += fmt::format("      '{}') ;;\n", command.path);
  }
  return fmt::format(R"(#compdef spectral-gan
# zsh completion of spectral-gan: a file _spectral-gan in a folder of $fpath. Written by `spectral-gan completion zsh`.
_spectral_gan_rest() {{
  if (( ${{#words_here}} )); then
    compadd -- $words_here
    return
  fi
  (( takes_keys )) && compadd -S '' -- {2}
  _files
}}
_spectral-gan() {{
  local command='' i takes_keys=0
  local -a specs words_here
  for ((i = 2; i < CURRENT; i++)); do
    case "${{command:+$command }}${{words[i]}}" in
{0}      *) continue ;;
    esac
    command="${{command:+$command }}${{words[i]}}"
  done
  case "$command" in
{1}  esac
  _arguments $specs '*:argument:_spectral_gan_rest'
}}
_spectral-gan "$@"
)",
                     paths, cases, fmt::join(config_keys(), " "));
}

std::string fish_completion(const std::vector<Command>& commands) {
  std::string text =
      "# fish completion of spectral-gan: ~/.config/fish/completions/spectral-gan.fish. Written by\n"
      "# `spectral-gan completion fish`.\n";
  for (const auto& command : commands) {
    const auto words = command.path;
    const auto space = words.find(' ');
    std::string condition = "__fish_use_subcommand";
    if (!words.empty()) condition = "__fish_seen_subcommand_from " + words.substr(0, space);
    if (space != std::string::npos) condition += "; and __fish_seen_subcommand_from " + words.substr(space + 1);
    for (const auto& choice : command.choices) {
      const auto inner = std::ranges::find_if(commands, [&](const Command& other) {
        return other.path == (words.empty() ? choice : words + " " + choice);
      });
      text += fmt::format("complete -c spectral-gan -n '{}' -a '{}'{}\n", condition, choice,
                          inner == commands.end() ? "" : fmt::format(" -d '{}'", single_quoted(inner->help)));
    }
    for (const auto& flag : command.flags) {
      std::string value;
      if (flag.has_value)
        value = flag.choices.empty() ? " -r" : fmt::format(" -x -a '{}'", fmt::join(flag.choices, " "));
      text += fmt::format("complete -c spectral-gan -n '{}' -l {}{} -d '{}'\n", condition, flag.name.substr(2), value,
                          single_quoted(flag.help));
    }
    if (command.takes_keys) {
      text += fmt::format("complete -c spectral-gan -n '{}' -a '{}'\n", condition, fmt::join(config_keys(), " "));
    }
  }
  return text;
}

// As roff takes it: what stands for itself.
std::string roff(std::string_view text) {
  std::string result;
  bool line_begins = true;
  for (const char character : text) {
    if (line_begins && (character == '.' || character == '\'')) result += "\\&";
    if (character == '\\') {
      result += "\\e";
    } else if (character == '-') {
      result += "\\-";
    } else {
      result += character;
    }
    line_begins = character == '\n';
  }
  return result;
}

std::string manual_page(const CLI::App& program, const std::vector<Command>& commands) {
  std::string text = fmt::format(
      ".\\\" Written by `spectral-gan manual`.\n.TH SPECTRAL\\-GAN 1 \"\" \"spectral\\-gan {}\" \"User Commands\"\n"
      ".SH NAME\nspectral\\-gan \\- train, measure and compare GANs whose discriminators are stabilised\n"
      ".SH SYNOPSIS\n.B spectral\\-gan\n.I COMMAND\n[\\fIarguments\\fR]\n.SH DESCRIPTION\n.nf\n{}\n.fi\n.SH COMMANDS\n",
      roff(version()), roff(program.get_description()));
  for (const auto& command : commands) {
    if (command.path.empty()) continue;
    const auto* app = &program;
    std::string called = "spectral-gan";  // help() itself adds the command's name
    std::string_view rest = command.path;
    while (!rest.empty()) {
      if (app != &program) called += " " + app->get_name();
      const auto space = std::min(rest.find(' '), rest.size());
      app = app->get_subcommand(std::string(rest.substr(0, space)));
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    text += fmt::format(".SS {}\n.nf\n{}\n.fi\n", roff(command.path), roff(app->help(called)));
  }
  text +=
      ".SH EXIT STATUS\n0 done, 1 failed, 2 usage or config, 130 interrupted (after saving a checkpoint).\n"
      ".SH SEE ALSO\n`spectral\\-gan config` explains every key of a config.\n";
  return text;
}

const CLI::App& program_of(const CLI::App& command) {
  return *command.get_parent();
}

std::vector<Command> commands_of(const CLI::App& program) {
  std::vector<Command> commands;
  collect(program, "", commands);
  return commands;
}

}  // namespace

void add_completion_command(CLI::App& program) {
  auto shell = std::make_shared<std::string>();
  auto* command = program.add_subcommand("completion", "Print a shell's completion script");
  command->add_option("shell", *shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "\n  source <(spectral-gan completion bash)\n"
      "  spectral-gan completion zsh > ~/.zfunc/_spectral-gan          with ~/.zfunc in $fpath\n"
      "  spectral-gan completion fish > ~/.config/fish/completions/spectral-gan.fish\n");
  command->callback([shell, command] {
    const auto commands = commands_of(program_of(*command));
    fmt::print("{}", *shell == "bash"  ? bash_completion(commands)
                     : *shell == "zsh" ? zsh_completion(commands)
                                       : fish_completion(commands));
  });
}

void add_manual_command(CLI::App& program) {
  auto* command = program.add_subcommand("manual", "Print all commands' help as a man page");
  command->footer("\n  spectral-gan manual | man -l -\n");
  command->callback(
      [command] { fmt::print("{}", manual_page(program_of(*command), commands_of(program_of(*command)))); });
}

}  // namespace sgan
