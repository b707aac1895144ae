// mlctr export
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/export_image.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct ExportOptions {
  ExportRequest request;
  Format format = Format::text;
};

void export_to_file(const ExportOptions& options, std::stop_token stop) {
  const ExportedImage exported = export_image(load_configuration(), options.request, std::move(stop));
  if (options.format == Format::json) {
    print_json(
        {{"file", exported.file.string()}, {"digest", exported.manifest_digest.to_string()}, {"size", exported.bytes}});
    return;
  }
  say(fmt::format("{} is in {} ({}). Try: mlctr inspect {}", printable(options.request.image, 4096),
                  printable(exported.file.string(), 4096), format_bytes(exported.bytes),
                  printable(shell_word(exported.file.string()), 4096)));
}

}  // namespace

void add_export(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App* command = program.add_subcommand("export", "Copy an image out of the store, as one squashfs file");
  command->group(k_images_group);
  command->add_option("IMAGE", options->request.image, "A reference, a digest or the start of one")
      ->type_name("")
      ->required();
  command->add_option("FILE.sqsh", options->request.destination, "The file to write")->type_name("")->required();
  command->add_flag_callback(
      "--force,-f", [options] { options->request.overwrite = Overwrite::replace; }, "Replace the file if it exists");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "The file carries its manifest, configuration and origin: any machine's mlctr can inspect it. It appears whole "
      "or not\n"
      "at all, and shares its blocks with the store where the filesystem can.\n"
      "--json: file, digest, size (bytes)\n");
  command->final_callback([options, &chosen] {
    chosen = [options] {
      run_stoppable([&](std::stop_token stop) { export_to_file(*options, std::move(stop)); }, "nothing was written");
      return 0;
    };
  });
}

}  // namespace mlctr::cli
