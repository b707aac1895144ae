// mlctr completion: scripts for bash, zsh and fish, made from the commands themselves so that they can't lag behind.
// The names of images come from the store at the moment of completion, through the hidden `mlctr completion names`.
#include <fmt/format.h>

#include "app/list_images.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

std::string option_words(const CLI::App& command) {
  std::string words;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) words += (words.empty() ? "--" : " --") + name;
  }
  return words;
}

// What the words after a command are.
enum class Operands { none, images, shells, commands };

Operands operands_of(const std::string& command) {
  if (command == "inspect" || command == "rmi" || command == "export" || command == "pull") return Operands::images;
  if (command == "completion") return Operands::shells;
  if (command == "help") return Operands::commands;
  return Operands::none;
}

std::string command_words(const CLI::App& program) {
  std::string words;
  for (const CLI::App* command : commands_of(program)) words += (words.empty() ? "" : " ") + command->get_name();
  return words;
}

constexpr std::string_view k_shells = "bash zsh fish";

// The words that a shell function prints for one command, as shell code.
std::string bash_words(const CLI::App& program, const CLI::App& command) {
  switch (operands_of(command.get_name())) {
    case Operands::images:
      return "$(mlctr completion names 2>/dev/null)";
    case Operands::shells:
      return std::string(k_shells);
    case Operands::commands:
      return command_words(program);
    case Operands::none:
      return "";
  }
  return "";
}

// bash ends a word at ":", so what it completes of python:3.8 is "3.8": the words offered lose what stands before it.
std::string bash_script(const CLI::App& program) {
  std::string cases;
  for (const CLI::App* command : commands_of(program)) {
    cases += fmt::format("    {}) options='{}'; words=\"{}\" ;;\n", command->get_name(), option_words(*command),
                         bash_words(program, *command));
  }
  return fmt::format(R"sh(# bash completion for mlctr:  source <(mlctr completion bash)
_mlctr() {{
  local line=${{COMP_LINE:0:COMP_POINT}} word options words command=${{COMP_WORDS[1]}}
  word=${{line##*[[:space:]]}}
  COMPREPLY=()
  if [[ $COMP_CWORD -le 1 ]]; then
    COMPREPLY=($(compgen -W '{0} --help --version' -- "$word"))
    return
  fi
  case $command in
{1}    *) return ;;
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local before=${{word%"${{word##*:}}"}} i
    for i in "${{!COMPREPLY[@]}}"; do COMPREPLY[i]=${{COMPREPLY[i]#"$before"}}; done
  fi
}}
complete -o default -F _mlctr mlctr
)sh",
                     command_words(program), cases);
}

std::string without_quotes(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '[' || c == ']' || c == '\n'; });
  return text;
}

std::string zsh_operands(const CLI::App& program, const CLI::App& command) {
  switch (operands_of(command.get_name())) {
    case Operands::images:
      return " '*: :_mlctr_images'";
    case Operands::shells:
      return fmt::format(" '1: :({})'", k_shells);
    case Operands::commands:
      return fmt::format(" '1: :({})'", command_words(program));
    case Operands::none:
      return "";
  }
  return "";
}

std::string zsh_options(const CLI::App& command) {
  std::string words;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      words += fmt::format(" '--{}[{}]{}'", name, without_quotes(option->get_description()),
                           option->get_type_size() > 0 ? ": :_files" : "");
    }
  }
  return words;
}

std::string zsh_script(const CLI::App& program) {
  std::string list, cases;
  for (const CLI::App* command : commands_of(program)) {
    list += fmt::format("    '{}:{}'\n", command->get_name(), without_quotes(command->get_description()));
    cases += fmt::format("    {}) _arguments{}{} ;;\n", command->get_name(), zsh_options(*command),
                         zsh_operands(program, *command));
  }
  return fmt::format(R"sh(#compdef mlctr
# zsh completion for mlctr:  source <(mlctr completion zsh), or put it into a directory of $fpath as _mlctr
_mlctr_images() {{
  local -a images
  images=(${{(f)"$(mlctr completion names 2>/dev/null)"}})
  compadd -a images
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

std::string fish_operands(const CLI::App& program, const CLI::App& command) {
  switch (operands_of(command.get_name())) {
    case Operands::images:
      return "(mlctr completion names 2>/dev/null)";
    case Operands::shells:
      return std::string(k_shells);
    case Operands::commands:
      return command_words(program);
    case Operands::none:
      return "";
  }
  return "";
}

std::string fish_script(const CLI::App& program) {
  std::string text = "# fish completion for mlctr:  mlctr completion fish | source\n";
  for (const CLI::App* command : commands_of(program)) {
    const std::string& name = command->get_name();
    text += fmt::format("complete -c mlctr -n __fish_use_subcommand -f -a {} -d '{}'\n", name,
                        without_quotes(command->get_description()));
    const std::string operands = fish_operands(program, *command);
    if (!operands.empty()) {
      text += fmt::format("complete -c mlctr -n '__fish_seen_subcommand_from {}' -a '{}'\n", name, operands);
    }
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& option_name : option->get_lnames()) {
        text +=
            fmt::format("complete -c mlctr -n '__fish_seen_subcommand_from {}' -l {}{} -d '{}'\n", name, option_name,
                        option->get_type_size() > 0 ? " -r" : "", without_quotes(option->get_description()));
      }
    }
  }
  return text;
}

// Nobody wants to read an error in the middle of a line being typed: what can't be listed is left out.
int print_names() {
  std::string names;
  for (const ListedImage& image : list_images(load_configuration()).images) {
    if (!image.familiar_reference.empty()) names += printable(image.familiar_reference, 4096) + "\n";
  }
  return print(names), 0;
}

int complete(const std::string& what) {
  if (what == "names") return print_names();
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
