#include "cli/image_output.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace mlctr::cli {

void add_image_output(CLI::App& command, const std::shared_ptr<ImageOutput>& output) {
  command.add_option("FILE.sqsh", output->file, "The file to write; - is standard output")
      ->type_name("")
      ->required()
      ->check(check_file_name);
  command.add_flag_callback(
      "--force,-f", [output] { output->overwrite = Overwrite::replace; }, "Replace the file if it exists");
  command.add_flag_callback(
      "--json", [output] { output->format = Format::json; }, "One object");
}

void check_image_output(const ImageOutput& output, std::string_view command) {
  if (!output.is_piped()) return;
  if (output.format == Format::json) {
    throw UsageError("--json and the image can't both go to standard output", "name a file for the image");
  }
  refuse_terminal(fmt::format("{} - | ssh HOST 'cat >image.sqsh'", command));
}

}  // namespace mlctr::cli
