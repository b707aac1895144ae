// mlctr ps
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "app/list_containers.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/age.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/slurm_listing.hpp"
#include "cli/table.hpp"

namespace mlctr::cli {
namespace {

struct ListOptions {
  ListedContainers which = ListedContainers::running;
  Format format = Format::text;
  enum class Whose { machines, slurms } whose = Whose::machines;
};

std::string command_line(const std::vector<std::string>& command) {
  std::string line;
  for (const std::string& word : command) line += (line.empty() ? "" : " ") + shell_word(word);
  return line.empty() ? "-" : printable(line, 4096);
}

void print_running(const std::vector<ListedContainer>& containers) {
  using Narrow = Table::Narrow;
  Table table({{"CONTAINER"},
               {"IMAGE", Align::left, Narrow::cut_middle},
               {"PROCESSES", Align::right},
               {"SINCE"},
               {"COMMAND", Align::left, Narrow::cut_end}});
  for (const ListedContainer& container : containers) {
    table.add({printable(container.id), printable(container.image, 4096), fmt::format("{}", container.pids.size()),
               age_of(container.started_at), command_line(container.command)});
  }
  print(table);
}

void print_all(const std::vector<ListedContainer>& containers) {
  using Narrow = Table::Narrow;
  Table table({{"CONTAINER"},
               {"IMAGE", Align::left, Narrow::cut_middle},
               {"CREATED"},
               {"CHANGES", Align::right},
               {"PROCESSES", Align::right},
               {"SINCE", Align::left, Narrow::drop},
               {"COMMAND", Align::left, Narrow::cut_end}});
  for (const ListedContainer& container : containers) {
    const bool is_running = !container.pids.empty();
    table.add({printable(container.id), printable(container.image, 4096), age_of(container.created_at),
               container.name.empty() ? "-" : format_bytes(container.changes_bytes),
               is_running ? fmt::format("{}", container.pids.size()) : "-", age_of(container.started_at),
               command_line(container.command)});
  }
  print(table);
}

nlohmann::ordered_json to_json(const ListedContainer& container, ListedContainers which) {
  nlohmann::ordered_json json{{"id", container.id},
                              {"name", container.name},
                              {"image", container.image},
                              {"running", !container.pids.empty()},
                              {"pids", container.pids},
                              {"command", container.command},
                              {"started", container.started_at}};
  if (which == ListedContainers::all) {
    json["created"] = container.created_at;
    json["changes"] = container.changes_bytes;
  }
  return json;
}

int list(const ListOptions& options) {
  const ContainerOverview overview = list_containers(load_configuration(), options.which);
  warn_of(overview.broken);
  if (options.format == Format::json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const ListedContainer& container : overview.containers) json.push_back(to_json(container, options.which));
    print_json(json);
  } else if (options.which == ListedContainers::all) {
    if (overview.containers.empty())
      say("no containers yet. Try: mlctr create --name py38 python:3.8");
    else
      print_all(overview.containers);
  } else if (overview.containers.empty()) {
    say("no container of yours runs on this machine; --all lists the named ones");
  } else {
    print_running(overview.containers);
  }
  return 0;
}

}  // namespace

void add_ps(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = program.add_subcommand("ps", "List the containers that run");
  command->group(k_containers_group);
  command->add_flag_callback(
      "--all,-a", [options] { options->which = ListedContainers::all; }, "The named ones that don't run as well");
  command->add_flag_callback(
      "--slurm", [options] { options->whose = ListOptions::Whose::slurms; },
      "Those of Slurm steps, on all nodes of your running jobs");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "An array of objects");
  command->footer(
      "An unnamed container has a number, which exec takes.\n"
      "--json: id, name (empty: unnamed), image, running, pids, command, started (seconds since 1970; 0: not "
      "running),\n"
      "        and with --all: created, changes (bytes on disk);\n"
      "        with --slurm: job, step, node, user, id, name, image, processes, started\n");
  command->final_callback([options, &chosen] {
    chosen = [options] {
      return options->whose == ListOptions::Whose::slurms ? list_slurm(options->format) : list(*options);
    };
  });
}

}  // namespace mlctr::cli
