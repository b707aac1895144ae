// mlctr history
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/inspect_image.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

using nlohmann::ordered_json;

// What the image's maker wrote, of whatever shape.
std::string text_at(const ordered_json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

ordered_json steps_of(const ImageInspection& image) {
  const ordered_json config = ordered_json::parse(image.config_body, nullptr, /*allow_exceptions=*/false);
  const auto history = config.is_object() ? config.find("history") : config.end();
  ordered_json steps = ordered_json::array();
  if (history == config.end() || !history->is_array()) return steps;
  std::size_t layer = 0;
  for (const ordered_json& step : *history) {
    const auto empty = step.is_object() ? step.find("empty_layer") : step.end();
    const bool has_layer = empty == step.end() || !empty->is_boolean() || !empty->get<bool>();
    const bool is_known = has_layer && image.config && layer < image.config->diff_ids.size();
    steps.push_back({{"created", text_at(step, "created")},
                     {"created_by", text_at(step, "created_by")},
                     {"comment", text_at(step, "comment")},
                     {"author", text_at(step, "author")},
                     {"diff_id", is_known ? ordered_json(image.config->diff_ids[layer].to_string()) : ordered_json()}});
    if (has_layer) ++layer;
  }
  return steps;
}

std::string describe(const ordered_json& steps) {
  Table table({{"CREATED"}, {"LAYER"}, {"BY", Align::left, Table::Narrow::cut_end}});
  for (const ordered_json& step : steps) {
    const std::string layer = step["diff_id"].is_string() ? step["diff_id"].get<std::string>() : "";
    const std::string by = text_at(step, "created_by"), author = text_at(step, "author");
    table.add({printable(text_at(step, "created").substr(0, 19)),
               layer.empty() ? "-" : layer.substr(layer.find(':') + 1, 12),
               printable((by.empty() ? text_at(step, "comment") : by) + (author.empty() ? "" : " (" + author + ")"), 4096)});
  }
  return table.text();
}

int history(const std::string& name, Format format) {
  const ImageInspection image = inspect_image(load_configuration(), name);
  const ordered_json steps = steps_of(image);
  if (format == Format::json) {
    print_json(steps);
  } else if (steps.empty()) {
    say(fmt::format("{} says nothing of how it was made", printable(name, 4096)));
  } else {
    print(describe(steps));
  }
  return 0;
}

}  // namespace

void add_history(CLI::App& program, Action& chosen) {
  auto name = std::make_shared<std::string>();
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("history", "Tell the steps an image was made by");
  command->group(k_images_group);
  command->add_option("IMAGE", *name, "A reference, a digest or the start of one, or a .sqsh file")
      ->type_name("")
      ->required();
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "A list");
  command->footer(
      "--json: [created, created_by, comment, author, diff_id], the oldest first; diff_id: null where a step made no "
      "layer\n");
  command->final_callback([name, format, &chosen] { chosen = [name, format] { return history(*name, *format); }; });
}

}  // namespace mlctr::cli
