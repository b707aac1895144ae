// mlctr save
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/save_container.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/image_output.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct SaveOptions {
  std::string container;
  std::shared_ptr<ImageOutput> output = std::make_shared<ImageOutput>();
  RunningContainers running = RunningContainers::refuse;
  Verbosity verbosity = Verbosity::normal;
};

// Returns how many bytes the image has.
std::uint64_t save_as_asked(const SaveOptions& options, const Configuration& configuration, std::stop_token stop) {
  ProgressBoard board;
  const ProgressDisplay display(board,
                                {.action = "save " + printable(options.container), .verbosity = options.verbosity});
  if (options.output->is_piped()) {
    const UnnamedFile file = save_unnamed(configuration, options.container, options.running, board, stop);
    return print_image(fmt::format("/proc/self/fd/{}", file.fd()), std::move(stop));
  }
  const SaveRequest request{.container = options.container,
                            .destination = options.output->file,
                            .overwrite = options.output->overwrite,
                            .running = options.running};
  return save_container(configuration, request, board, std::move(stop));
}

void tell(const SaveOptions& options, std::uint64_t bytes, std::chrono::duration<double> took) {
  if (options.output->format == Format::json) {
    print_json(
        {{"container", options.container}, {"file", options.output->file}, {"size", bytes}, {"seconds", took.count()}});
  } else if (options.verbosity == Verbosity::normal) {
    const std::string place =
        options.output->is_piped() ? "written to standard output" : "saved in " + options.output->file;
    const std::string next =
        options.output->is_piped()
            ? ""
            : fmt::format(". Try: mlctr run {}", printable(shell_word(options.output->file), 4096));
    say(fmt::format("{} is {} ({}, {}){}", printable(options.container), printable(place, 4096), format_bytes(bytes),
                    format_duration(took), next));
  }
}

int save(const SaveOptions& options) {
  check_image_output(*options.output, fmt::format("mlctr save {}", shell_word(options.container)));
  const auto started = std::chrono::steady_clock::now();
  const Configuration configuration = load_configuration();
  read_files_as_owner();
  std::uint64_t bytes = 0;
  run_stoppable([&](std::stop_token stop) { bytes = save_as_asked(options, configuration, std::move(stop)); },
                options.output->what_is_left());
  tell(options, bytes, std::chrono::steady_clock::now() - started);
  return 0;
}

}  // namespace

void add_save(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<SaveOptions>();
  CLI::App* command = program.add_subcommand("save", "Write a named container, changes included, as one squashfs file");
  command->group(k_containers_group);
  command->add_option("NAME", options->container, "The container")->type_name("")->required();
  add_image_output(*command, options->output);
  command->add_flag_callback(
      "--live", [options] { options->running = RunningContainers::take_as_is; },
      "Even while programs run in it: their files as they are at the moment");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "Only errors");
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
