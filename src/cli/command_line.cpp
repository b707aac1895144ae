#include "cli/command_line.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <optional>

#include "app/version.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"
#include "cli/output.hpp"
#include "cli/push.hpp"

namespace mlctr::cli {
namespace {

// What other tools call it.
struct Synonym {
  std::string_view other, ours;
};
constexpr std::array<Synonym, 14> k_synonyms{{{"ls", "images"},
                                              {"list", "images"},
                                              {"import", "pull"},
                                              {"download", "pull"},
                                              {"remove", "rmi"},
                                              {"start", "run"},
                                              {"attach", "exec"},
                                              {"enter", "exec"},
                                              {"containers", "ps"},
                                              {"delete", "rmi"},
                                              {"prune", "gc"},
                                              {"clean", "gc"},
                                              {"df", "du"},
                                              {"show", "inspect"}}};

// What follows the options, where it is not mlctr's to parse and CLI11 knows nothing of it.
struct ProgramWords {
  std::string_view command, words;
};
constexpr std::array<ProgramWords, 2> k_program_words{
    {{"run", " IMAGE|NAME|FILE.sqsh [COMMAND...]"}, {"exec", " NAME|PID [COMMAND...]"}}};
constexpr std::string_view k_options_word = "[OPTIONS]";

constexpr std::size_t k_help_columns = 80;
constexpr std::size_t k_description_column = 28;

// An option's description goes on below itself, a list of JSON's names behind "--json: ".
std::size_t indent_of(std::string_view line) {
  if (line.starts_with("--json")) return std::string_view("--json: ").size();
  const bool is_option = line.starts_with("  ") && line.size() > k_description_column &&
                         line[k_description_column - 1] == ' ' && line[k_description_column] != ' ';
  return is_option ? k_description_column : std::min(line.find_first_not_of(' '), line.size());
}

std::vector<std::string> command_names(const CLI::App& program) {
  std::vector<std::string> names;
  for (const CLI::App* command : shown_commands_of(program)) {
    names.push_back(command->get_name());
  }
  return names;
}

struct Command {
  std::string_view name;
  void (*add)(CLI::App& program, Action& chosen);
};

// In the order in which help lists them.
constexpr Command k_commands[]{{"pull", add_pull},     {"build", add_build},     {"run", add_run},
                               {"exec", add_exec},     {"ps", add_ps},           {"create", add_create},
                               {"rm", add_rm},         {"save", add_save},       {"srun", add_srun},
                               {"step", add_step},     {"commit", add_commit},   {"push", add_push},
                               {"images", add_images}, {"inspect", add_inspect}, {"history", add_history},
                               {"diff", add_diff},     {"lock", add_lock},       {"export", add_export},
                               {"rmi", add_rmi},       {"du", add_du},           {"gc", add_gc},
                               {"login", add_login},   {"logout", add_logout},   {"gpus", add_gpus},
                               {"doctor", add_doctor}, {"config", add_config},   {"completion", add_completion},
                               {"help", add_help},     {"version", add_version}};

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string nearest_command(std::string_view word, const CLI::App& program) {
  for (const Synonym& synonym : k_synonyms) {
    if (synonym.other == word) return std::string(synonym.ours);
  }
  return nearest(word, command_names(program));
}

// The command that the words up to the mistake had reached.
const CLI::App& reached_command(const CLI::App& program) {
  const std::vector<CLI::App*> parsed = program.get_subcommands();
  return parsed.empty() ? program : *parsed.front();
}

// What follows is Slurm's to parse. A link named srun stands for `mlctr srun`; to --help it adds srun's own.
std::optional<Action> find_srun_action(const std::vector<std::string>& words) {
  const bool is_link = !words.empty() && std::filesystem::path(words[0]).filename() == "srun";
  if (!is_link && (words.size() < 2 || words[1] != "srun")) return std::nullopt;
  if (!is_link && words.size() == 3 && (words[2] == "--help" || words[2] == "-h")) return std::nullopt;
  return make_srun_action({words.begin() + (is_link ? 1 : 2), words.end()});
}

[[noreturn]] void throw_usage_error(const CLI::ParseError& mistake, const CLI::App& program) {
  const CLI::App& command = reached_command(program);
  const std::string full_name = &command == &program ? "mlctr" : "mlctr " + command.get_name();
  const std::string help = fmt::format("{} --help", full_name);
  const std::vector<std::string> extras = command.remaining();
  if (dynamic_cast<const CLI::ExtrasError*>(&mistake) == nullptr || extras.empty()) {
    throw UsageError(fmt::format("{}: {}", full_name, printable_lines(mistake.what())), help);
  }
  const std::string& extra = extras.front();
  const std::string meant = extra.starts_with("-") ? nearest(extra, option_names(command)) : "";
  throw UsageError(fmt::format("{}: {}: {}", full_name,
                               extra.starts_with("-") ? "no such option" : "one argument too many", printable(extra)),
                   meant.empty() ? help : fmt::format("did you mean {}? See {}", meant, help));
}

}  // namespace

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<const CLI::App*> shown_commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

void throw_unknown_command(std::string_view word, const CLI::App& program) {
  const std::string meant = nearest_command(word, program);
  throw UsageError(fmt::format("no such command: {}", printable(word)),
                   meant.empty() ? "mlctr help lists the commands" : fmt::format("did you mean: mlctr {}", meant));
}

const CLI::App* find_command(const CLI::App& program, std::string_view name) {
  for (const CLI::App* command : commands_of(program)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

std::unique_ptr<CLI::App> make_program(Action& chosen, std::string_view only) {
  auto program = std::make_unique<CLI::App>("", "mlctr");
  program->require_subcommand(0, 1);
  program->set_version_flag("--version", std::string("mlctr ") + k_version);
  program->get_formatter()->column_width(k_description_column);
  program->get_formatter()->label("REQUIRED", "");
  program->get_formatter()->label("Positionals", "Arguments");
  const auto is_wanted = [&](const Command& command) { return command.name == only; };
  const bool is_known = std::ranges::any_of(k_commands, is_wanted);
  for (const Command& command : k_commands) {
    if (!is_known || is_wanted(command)) command.add(*program, chosen);
  }
  return program;
}

std::string program_help(const CLI::App& program) {
  std::string text =
      "  mlctr pull python:3.8             an image from Docker Hub or any registry\n"
      "  mlctr run -r --name py38 python:3.8 pip install numpy     kept in \"py38\"\n"
      "  mlctr run py38 python train.py    your home and this directory are there\n";
  for (const char* group : {k_containers_group, k_images_group, k_store_group, k_registry_group, k_mlctr_group}) {
    text += fmt::format("\n{}\n", group);
    for (const CLI::App* command : commands_of(program)) {
      if (command->get_group() != group) continue;
      text += fmt::format("  {:<12} {}\n", command->get_name(), command->get_description());
    }
  }
  return text + "\nmlctr COMMAND --help tells more. Exit code 125: mlctr itself failed.\n";
}

std::string command_help(const CLI::App& command) {
  std::string text = command.help("mlctr");
  for (const auto& [name, words] : k_program_words) {
    const std::size_t usage = name == command.get_name() ? text.find(k_options_word) : text.npos;
    if (usage != text.npos) text.insert(usage + k_options_word.size(), words);
  }
  std::string folded;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    folded += fold(line, k_help_columns, indent_of(line)) + "\n";
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return folded;
}

Action parse_command_line(int argc, const char* const* argv) {
  if (std::optional<Action> srun = find_srun_action({argv, argv + argc})) return *srun;
  Action chosen;
  // To make all of them takes longer than all else that a task of a step does before it joins its container.
  const std::unique_ptr<CLI::App> program = make_program(chosen, argc > 1 ? argv[1] : "");
  if (argc > 1 && argv[1][0] != '-' && find_command(*program, argv[1]) == nullptr) {
    throw_unknown_command(argv[1], *program);
  }
  try {
    program->parse(argc, argv);
  } catch (const CLI::CallForVersion& version) {
    return [text = std::string(version.what())] { return print(text + "\n"), 0; };
  } catch (const CLI::CallForHelp&) {
    const CLI::App& command = reached_command(*program);
    const std::string text = &command == program.get() ? program_help(*program) : command_help(command);
    return [text] { return print(text), 0; };
  } catch (const CLI::ParseError& mistake) {
    throw_usage_error(mistake, *program);
  }
  if (!chosen) return [text = program_help(*program)] { return print(text), 0; };
  return chosen;
}

}  // namespace mlctr::cli
