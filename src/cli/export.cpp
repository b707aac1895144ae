// mlctr export
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/export_enroot.hpp"
#include "app/export_image.hpp"
#include "app/find_image.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/image_output.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct ExportOptions {
  std::string image;
  std::string format = "mlctr";
  std::shared_ptr<ImageOutput> output = std::make_shared<ImageOutput>();
};

ExportRequest make_request(const ExportOptions& options) {
  return {.image = options.image, .destination = options.output->file, .overwrite = options.output->overwrite};
}

void export_to_file(const ExportOptions& options, std::stop_token stop) {
  const ExportedImage exported = export_image(load_configuration(), make_request(options), std::move(stop));
  if (options.output->format == Format::json) {
    print_json(
        {{"file", exported.file.string()}, {"digest", exported.manifest_digest.to_string()}, {"size", exported.bytes}});
    return;
  }
  say(fmt::format("{} is in {} ({}). Try: mlctr inspect {}", printable(options.image, 4096),
                  printable(exported.file.string(), 4096), format_bytes(exported.bytes),
                  printable(shell_word(exported.file.string()), 4096)));
}

void export_to_enroot(const ExportOptions& options, std::stop_token stop) {
  const ExportedForEnroot exported = export_for_enroot(load_configuration(), make_request(options), std::move(stop));
  if (options.output->format == Format::json) {
    print_json({{"file", exported.file.string()},
                {"digest", exported.manifest_digest},
                {"size", exported.bytes},
                {"left_out", exported.left_out}});
    return;
  }
  for (const std::string& what : exported.left_out) say(fmt::format("enroot has no place for {}: left out", what));
  say(fmt::format("{} is in {} ({}). Try: enroot start {}", printable(options.image, 4096),
                  printable(exported.file.string(), 4096), format_bytes(exported.bytes),
                  printable(shell_word(exported.file.string()), 4096)));
}

void export_to_standard_output(const ExportOptions& options, std::stop_token stop) {
  const FoundImage found = require_image(load_configuration(), options.image);
  const std::uint64_t bytes = print_image(found.image.squashfs, std::move(stop));
  say(fmt::format("{} is written to standard output ({})", printable(options.image, 4096), format_bytes(bytes)));
}

int export_as_asked(const ExportOptions& options) {
  check_image_output(*options.output, fmt::format("mlctr export {}", shell_word(options.image)));
  const bool is_for_enroot = options.format == "enroot";
  if (is_for_enroot && options.output->is_piped()) throw UsageError("--format enroot writes to a file only");
  run_stoppable(
      [&](std::stop_token stop) {
        if (is_for_enroot)
          export_to_enroot(options, std::move(stop));
        else if (options.output->is_piped())
          export_to_standard_output(options, std::move(stop));
        else
          export_to_file(options, std::move(stop));
      },
      options.output->what_is_left());
  return 0;
}

}  // namespace

void add_export(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = program.add_subcommand("export", "Copy an image out of the store, as one squashfs file");
  command->group(k_images_group);
  command->add_option("IMAGE", options->image, "A reference, a digest or the start of one")->type_name("")->required();
  add_image_output(*command, options->output);
  command
      ->add_option("--format", options->format,
                   "mlctr (default), or enroot: with /etc/rc, /etc/environment and /etc/fstab too")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"mlctr", "enroot"}));
  command->footer(
      "The file carries its manifest, configuration and origin: any machine's mlctr can inspect it. It appears whole "
      "or not\n"
      "at all, and shares its blocks with the store where the filesystem can.\n"
      "--json: file, digest, size (bytes); with --format enroot also left_out (what enroot has no place for)\n");
  command->final_callback([options, &chosen] { chosen = [options] { return export_as_asked(*options); }; });
}

}  // namespace mlctr::cli
