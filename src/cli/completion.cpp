// mlctr completion: scripts for bash, zsh and fish, made from the commands themselves so that they can't lag behind.
// The names of images and containers come from the store at the moment of completion, through the hidden
// `mlctr completion names`, `… containers` and `… targets` (both).
#include <fmt/format.h>

#include <algorithm>

#include "app/list_images.hpp"
#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

constexpr std::string_view k_shells = "bash zsh fish";

// What the words after a command are.
enum class Operands { none, images, containers, targets, shells, commands };

Operands operands_of(const std::string& command) {
  if (command == "inspect" || command == "rmi" || command == "export" || command == "pull") return Operands::images;
  if (command == "create") return Operands::images;
  if (command == "exec" || command == "rm") return Operands::containers;
  if (command == "run") return Operands::targets;
  if (command == "completion") return Operands::shells;
  if (command == "help") return Operands::commands;
  return Operands::none;
}

// What of `mlctr completion` prints those that only the store knows; empty for the others.
std::string_view names_word(Operands operands) {
  switch (operands) {
    case Operands::images:
      return "names";
    case Operands::containers:
      return "containers";
    case Operands::targets:
      return "targets";
    case Operands::none:
    case Operands::shells:
    case Operands::commands:
      return "";
  }
  return "";
}

std::string command_words(const CLI::App& program) {
  std::string words;
  for (const CLI::App* command : shown_commands_of(program)) words += (words.empty() ? "" : " ") + command->get_name();
  return words;
}

// The words that may follow a command; `substitution` is how a shell writes the output of a command.
std::string operand_words(const CLI::App& program, const CLI::App& command, std::string_view substitution) {
  const Operands operands = operands_of(command.get_name());
  switch (operands) {
    case Operands::images:
    case Operands::containers:
    case Operands::targets:
      return fmt::format("{}mlctr completion {} 2>/dev/null)", substitution, names_word(operands));
    case Operands::shells:
      return std::string(k_shells);
    case Operands::commands:
      return command_words(program);
    case Operands::none:
      return "";
  }
  return "";
}

struct CompletedOption {
  std::string name;  // "policy"
  std::string description;
  bool takes_value = false;
  std::string choices;  // "missing newer always"; empty where any value will do
};

// Where an option takes only some words, CLI11 describes its type as "POLICY:{missing,newer,always}".
std::string choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open == std::string::npos || close == std::string::npos || close < open) return "";
  std::string choices = type.substr(open + 1, close - open - 1);
  std::replace(choices.begin(), choices.end(), ',', ' ');
  return choices;
}

// A description inside a script's quotes and brackets.
std::string without_quotes(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '[' || c == ']'; });
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::vector<CompletedOption> options_of(const CLI::App& command) {
  std::vector<CompletedOption> options;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      options.push_back(
          {name, without_quotes(option->get_description()), option->get_items_expected_max() > 0, choices_of(*option)});
    }
  }
  return options;
}

std::string bash_option_words(const CLI::App& command) {
  std::string words;
  for (const CompletedOption& option : options_of(command)) words += (words.empty() ? "--" : " --") + option.name;
  return words;
}

// What follows an option that takes a value: its choices, or (nothing offered) bash's own completion of files.
std::string bash_value_cases(const CLI::App& command) {
  std::string cases;
  for (const CompletedOption& option : options_of(command)) {
    if (!option.takes_value) continue;
    cases += fmt::format("    {}:--{}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", command.get_name(),
                         option.name, option.choices);
  }
  return cases;
}

// bash ends a word at ":", so what it completes of python:3.8 is "3.8": the words offered lose what stands before it.
// It ends one at "=" too: --policy=m is three words to it.
std::string bash_script(const CLI::App& program) {
  std::string cases, value_cases;
  for (const CLI::App* command : shown_commands_of(program)) {
    cases += fmt::format("    {}) options='{}'; words=\"{}\" ;;\n", command->get_name(), bash_option_words(*command),
                         operand_words(program, *command, "$("));
    value_cases += bash_value_cases(*command);
  }
  return fmt::format(R"sh(# bash completion for mlctr:  source <(mlctr completion bash)
_mlctr() {{
  local line=${{COMP_LINE:0:COMP_POINT}} word options words command=${{COMP_WORDS[1]}}
  local before=${{COMP_WORDS[COMP_CWORD-1]}}
  word=${{line##*[[:space:]]}}
  COMPREPLY=()
  if [[ $COMP_CWORD -le 1 ]]; then
    COMPREPLY=($(compgen -W '{0} --help --version' -- "$word"))
    return
  fi
  if [[ $word == --*=* ]]; then
    before=${{word%%=*}} word=${{word#*=}}
  fi
  case $command:$before in
{2}  esac
  case $command in
{1}    *) return ;;
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local i
    before=${{word%"${{word##*:}}"}}
    for i in "${{!COMPREPLY[@]}}"; do COMPREPLY[i]=${{COMPREPLY[i]#"$before"}}; done
  fi
}}
complete -o default -F _mlctr mlctr
)sh",
                     command_words(program), cases, value_cases);
}

std::string zsh_operands(const CLI::App& program, const CLI::App& command) {
  const std::string_view names = names_word(operands_of(command.get_name()));
  if (!names.empty()) return fmt::format(" '*: :_mlctr_names {}'", names);
  const std::string words = operand_words(program, command, "");
  return words.empty() ? "" : fmt::format(" '1: :({})'", words);
}

std::string zsh_options(const CLI::App& command) {
  std::string words;
  for (const CompletedOption& option : options_of(command)) {
    const std::string values = option.choices.empty() ? "_files" : fmt::format("({})", option.choices);
    words += fmt::format(" '--{}[{}]{}'", option.name, option.description, option.takes_value ? ": :" + values : "");
  }
  return words;
}

std::string zsh_script(const CLI::App& program) {
  std::string list, cases;
  for (const CLI::App* command : shown_commands_of(program)) {
    list += fmt::format("    '{}:{}'\n", command->get_name(), without_quotes(command->get_description()));
    cases += fmt::format("    {}) _arguments{}{} ;;\n", command->get_name(), zsh_options(*command),
                         zsh_operands(program, *command));
  }
  return fmt::format(R"sh(#compdef mlctr
# zsh completion for mlctr:  source <(mlctr completion zsh), or put it into a directory of $fpath as _mlctr
_mlctr_names() {{
  local -a names
  names=(${{(f)"$(mlctr completion $1 2>/dev/null)"}})
  compadd -a names
  _files
}}
_mlctr() {{
  local -a commands
  commands=(
{0}  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{1}  esac
}}
compdef _mlctr mlctr
)sh",
                     list, cases);
}

std::string fish_options(const CLI::App& command) {
  std::string lines;
  for (const CompletedOption& option : options_of(command)) {
    const std::string choices = option.choices.empty() ? "" : fmt::format(" -f -a '{}'", option.choices);
    lines += fmt::format("complete -c mlctr -n '__fish_seen_subcommand_from {}' -l {}{}{} -d '{}'\n",
                         command.get_name(), option.name, option.takes_value ? " -r" : "", choices, option.description);
  }
  return lines;
}

std::string fish_script(const CLI::App& program) {
  std::string text = "# fish completion for mlctr:  mlctr completion fish | source\n";
  for (const CLI::App* command : shown_commands_of(program)) {
    const std::string& name = command->get_name();
    text += fmt::format("complete -c mlctr -n __fish_use_subcommand -f -a {} -d '{}'\n", name,
                        without_quotes(command->get_description()));
    const std::string operands = operand_words(program, *command, "(");
    if (!operands.empty()) {
      text += fmt::format("complete -c mlctr -n '__fish_seen_subcommand_from {}' -a '{}'\n", name, operands);
    }
    text += fish_options(*command);
  }
  return text;
}

// Nobody wants to read an error in the middle of a line being typed: what can't be listed is left out.
int print_names(Operands operands) {
  const Configuration configuration = load_configuration();
  std::string names;
  if (operands != Operands::images) {
    for (const StoredContainer& container : open_containers(configuration).list().containers) {
      names += container.record.name + "\n";
    }
  }
  if (operands != Operands::containers) {
    for (const ListedImage& image : list_images(configuration).images) {
      if (!image.familiar_reference.empty()) names += printable(image.familiar_reference, 4096) + "\n";
    }
  }
  return print(names), 0;
}

int complete(const std::string& what) {
  for (const Operands operands : {Operands::images, Operands::containers, Operands::targets}) {
    if (what == names_word(operands)) return print_names(operands);
  }
  Action none;
  const std::unique_ptr<CLI::App> program = make_program(none);
  if (what == "bash") return print(bash_script(*program)), 0;
  if (what == "zsh") return print(zsh_script(*program)), 0;
  if (what == "fish") return print(fish_script(*program)), 0;
  throw UsageError(fmt::format("no completion for {}", printable(what)), "there is one for bash, zsh and fish");
}

}  // namespace

void add_completion(CLI::App& program, Action& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand("completion", "Print a completion script for bash, zsh or fish");
  command->group(k_mlctr_group);
  command->add_option("SHELL", *shell, "bash, zsh or fish")->type_name("")->required();
  command->footer("In ~/.bashrc:  source <(mlctr completion bash)\n");
  command->final_callback([shell, &chosen] { chosen = [shell] { return complete(*shell); }; });
}

}  // namespace mlctr::cli
