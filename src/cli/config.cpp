// mlctr config
#include <nlohmann/json.hpp>

#include "app/configuration.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"

namespace mlctr::cli {
namespace {

void print_settings(const std::vector<SettingValue>& settings) {
  using Narrow = Table::Narrow;
  Table table({{"SETTING"},
               {"VALUE", Align::left, Narrow::cut_middle},
               {"FROM", Align::left, Narrow::cut_middle},
               {"WHAT IT IS", Align::left, Narrow::cut_end}});
  for (const SettingValue& setting : settings) {
    table.add({printable(setting.key), printable(setting.value, 4096), printable(setting.origin, 4096),
               printable(setting.description, 4096)});
  }
  print(table);
}

nlohmann::ordered_json to_json(const std::vector<SettingValue>& settings) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const SettingValue& setting : settings) {
    json.push_back({{"setting", setting.key},
                    {"value", setting.value},
                    {"origin", setting.origin},
                    {"variable", setting.variable},
                    {"description", setting.description}});
  }
  return json;
}

int show_configuration(Format format) {
  const std::vector<SettingValue> settings = list_settings(load_configuration());
  if (format == Format::json)
    print_json(to_json(settings));
  else
    print_settings(settings);
  return 0;
}

}  // namespace

void add_config(CLI::App& program, Action& chosen) {
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("config", "Show every setting and where it comes from");
  command->group(k_mlctr_group);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "An array of objects");
  command->footer(
      "Settings come from /etc/mlctr/mlctr.toml, then $XDG_CONFIG_HOME/mlctr/mlctr.toml (~/.config/mlctr/mlctr.toml), "
      "then\n"
      "MLCTR_* variables; the last one wins. pull.threads is MLCTR_PULL_THREADS; a variable's list has ':' between "
      "paths:\n"
      "MLCTR_EXTRA_STORES=/shared/mlctr:/scratch/team.\n"
      "--json: setting, value (as TOML), origin, variable, description\n");
  command->final_callback([format, &chosen] { chosen = [format] { return show_configuration(*format); }; });
}

}  // namespace mlctr::cli
