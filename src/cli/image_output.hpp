// Where an image goes that leaves the store: a file, or standard output. What `export` and `save` have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "app/export_image.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {

struct ImageOutput {
  std::string file;
  Overwrite overwrite = Overwrite::refuse;
  Format format = Format::text;

  bool is_piped() const { return file == k_standard_output; }
  /// What a stop leaves.
  std::string_view what_is_left() const { return is_piped() ? "what was written is not whole" : "nothing was written"; }
};

/// FILE.sqsh, --force and --json.
void add_image_output(CLI::App& command, const std::shared_ptr<ImageOutput>& output);

/// Throws UsageError where the image can't go to standard output: beside JSON, or to a terminal. `command` is what
/// could be typed up to the file's name: "mlctr save py38".
void check_image_output(const ImageOutput& output, std::string_view command);

}  // namespace mlctr::cli
