// argv -> the action to run.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/commands.hpp"

namespace mlctr::cli {

/// Throws UsageError, with the nearest command or option where there is one.
Action parse_command_line(int argc, const char* const* argv);

/// What `mlctr COMMAND --help` prints, 80 columns wide.
std::string command_help(const CLI::App& command);

/// What `mlctr` alone prints: the three lines that matter, then every command.
std::string program_help(const CLI::App& program);

/// The program with all its commands, of which parsing sets `chosen`; with one alone where `only` is its name.
std::unique_ptr<CLI::App> make_program(Action& chosen, std::string_view only = {});

std::vector<const CLI::App*> commands_of(const CLI::App& program);

/// Without those that only other programs run, which have no group.
std::vector<const CLI::App*> shown_commands_of(const CLI::App& program);

/// Null where there is none of that name.
const CLI::App* find_command(const CLI::App& program, std::string_view name);

/// Throws UsageError with the nearest command of `program`.
[[noreturn]] void throw_unknown_command(std::string_view word, const CLI::App& program);

}  // namespace mlctr::cli
