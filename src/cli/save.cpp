// mlctr save
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/save_container.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct SaveOptions {
  std::string container;
  std::string file;
  Overwrite overwrite = Overwrite::refuse;
  RunningContainers running = RunningContainers::refuse;
  Verbosity verbosity = Verbosity::normal;
  Format format = Format::text;
};

bool is_piped(const SaveOptions& options) {
  return options.file == k_standard_output;
}

// Returns how many bytes the image has.
std::uint64_t save_as_asked(const SaveOptions& options, const Configuration& configuration, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board,
                                {.action = "save " + printable(options.container), .verbosity = options.verbosity});
  if (is_piped(options)) {
    const UnnamedFile file = save_unnamed(configuration, options.container, options.running, board, stop);
    return print_image(fmt::format("/proc/self/fd/{}", file.fd()), std::move(stop));
  }
  const SaveRequest request{.container = options.container,
                            .destination = options.file,
                            .overwrite = options.overwrite,
                            .running = options.running};
  return save_container(configuration, request, board, std::move(stop));
}

void tell(const SaveOptions& options, std::uint64_t bytes, std::chrono::duration<double> took) {
  if (options.format == Format::json) {
    print_json({{"container", options.container}, {"file", options.file}, {"size", bytes}, {"seconds", took.count()}});
  } else if (options.verbosity == Verbosity::normal) {
    const std::string place = is_piped(options) ? "written to standard output" : "saved in " + options.file;
    const std::string next =
        is_piped(options) ? "" : fmt::format(". Try: mlctr run {}", printable(shell_word(options.file), 4096));
    say(fmt::format("{} is {} ({}, {}){}", printable(options.container), printable(place, 4096), format_bytes(bytes),
                    format_duration(took), next));
  }
}

int save(const SaveOptions& options) {
  if (is_piped(options) && options.format == Format::json) {
    throw UsageError("--json and the image can't both go to standard output", "name a file for the image");
  }
  if (is_piped(options)) {
    refuse_terminal(fmt::format("mlctr save {} - | ssh HOST 'cat >image.sqsh'", shell_word(options.container)));
  }
  const auto started = std::chrono::steady_clock::now();
  const Configuration configuration = load_configuration();
  read_files_as_owner();
  std::uint64_t bytes = 0;
  run_stoppable([&](std::stop_token stop) { bytes = save_as_asked(options, configuration, std::move(stop)); },
                is_piped(options) ? "what was written is not whole" : "nothing was written");
  tell(options, bytes, std::chrono::steady_clock::now() - started);
  return 0;
}

}  // namespace

void add_save(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<SaveOptions>();
  CLI::App* command = program.add_subcommand("save", "Write a named container, changes included, as one squashfs file");
  command->group(k_containers_group);
  command->add_option("NAME", options->container, "The container")->type_name("")->required();
  command->add_option("FILE.sqsh", options->file, "The file to write; - is standard output")
      ->type_name("")
      ->required()
      ->check(check_file_name);
  command->add_flag_callback(
      "--force,-f", [options] { options->overwrite = Overwrite::replace; }, "Replace the file if it exists");
  command->add_flag_callback(
      "--live", [options] { options->running = RunningContainers::take_as_is; },
      "Even while programs run in it: their files as they are at the moment");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "Only errors");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "Examples:\n"
      "  mlctr save py38 py38.sqsh\n"
      "  mlctr run ./py38.sqsh python train.py\n"
      "Of the image it was made from everything is copied as it is; only changed files are compressed. A changed file\n"
      "keeps the owner it has in that image, a new one belongs to root. The same container gives the same bytes. The\n"
      "file appears whole or not at all.\n"
      "--json: container, file, size (bytes), seconds\n");
  command->final_callback([options, &chosen] { chosen = [options] { return save(*options); }; });
}

}  // namespace mlctr::cli
