// mlctr version
#include "app/version.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "image/platform.hpp"

namespace mlctr::cli {
namespace {

int show_version(Format format) {
  const std::string platform = Platform::host().to_string();
  if (format == Format::json)
    print_json({{"version", k_version}, {"platform", platform}});
  else
    print(fmt::format("mlctr {} ({})\n", k_version, platform));
  return 0;
}

}  // namespace

void add_version(CLI::App& program, Action& chosen) {
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("version", "Show mlctr's version");
  command->group(k_mlctr_group);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "One object: version, platform");
  command->final_callback([format, &chosen] { chosen = [format] { return show_version(*format); }; });
}

}  // namespace mlctr::cli
