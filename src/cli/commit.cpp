// mlctr commit
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/commit_container.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct CommitOptions {
  CommitRequest request;
  Verbosity verbosity = Verbosity::normal;
  Format format = Format::text;
};

CommittedImage commit_as_asked(const CommitOptions& options, const Configuration& configuration, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(
      board, {.action = "commit " + printable(options.request.container), .verbosity = options.verbosity});
  return commit_container(configuration, options.request, board, std::move(stop));
}

int commit(const CommitOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const Configuration configuration = load_configuration();
  read_files_as_owner();
  std::optional<CommittedImage> image;
  run_stoppable([&](std::stop_token stop) { image = commit_as_asked(options, configuration, std::move(stop)); },
                "nothing was written");
  if (options.format == Format::json) {
    print_json({{"container", options.request.container},
                {"reference", image->reference},
                {"digest", image->digest.to_string()},
                {"size", image->bytes}});
  } else if (options.verbosity == Verbosity::normal) {
    say(fmt::format("{} is the image {} ({}, {}). Try: mlctr run {}", printable(options.request.container),
                    image->reference, format_bytes(image->bytes),
                    format_duration(std::chrono::steady_clock::now() - started), shell_word(image->reference)));
  }
  return 0;
}

}  // namespace

void add_commit(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<CommitOptions>();
  CLI::App* command =
      program.add_subcommand("commit", "Make a named container, changes included, an image of the store");
  command->group(k_containers_group);
  command->add_option("NAME", options->request.container, "The container")->type_name("")->required();
  command->add_option("REF", options->request.reference, "What the image is to be called: py38:mine")
      ->type_name("")
      ->required()
      ->check([](const std::string& name) { return name.empty() ? "it is empty: name it like py38:mine" : ""; });
  command->add_flag_callback(
      "--live", [options] { options->request.running = RunningContainers::take_as_is; },
      "Even while programs run in it: their files as they are at the moment");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "Only errors");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "The image is what `mlctr save` would write. A container's name comes before a reference's where one could mean "
      "both.\n"
      "--json: container, reference, digest, size (bytes)\n");
  command->final_callback([options, &chosen] { chosen = [options] { return commit(*options); }; });
}

}  // namespace mlctr::cli
