// mlctr help
#include "base/error.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

int show_help(const std::string& name) {
  Action none;
  const std::unique_ptr<CLI::App> program = make_program(none);
  if (name.empty()) return print(program_help(*program)), 0;
  const CLI::App* command = find_command(*program, name);
  if (command == nullptr) throw_unknown_command(name, *program);
  return print(command_help(*command)), 0;
}

}  // namespace

void add_help(CLI::App& program, Action& chosen) {
  auto name = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand("help", "Tell about a command");
  command->group(k_mlctr_group);
  command->add_option("COMMAND", *name, "The command")->type_name("");
  command->final_callback([name, &chosen] { chosen = [name] { return show_help(*name); }; });
}

}  // namespace mlctr::cli
