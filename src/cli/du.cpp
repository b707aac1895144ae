// mlctr du
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/disk_usage.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"

namespace mlctr::cli {
namespace {

std::string name_of(const ImageUsage& image) {
  return image.references.empty() ? image.manifest_digest.short_hex() : printable(image.references.front(), 4096);
}

void print_tables(const DiskUsage& usage) {
  if (!usage.images.empty()) {
    Table images({{"IMAGE", Align::left, Table::Narrow::cut_middle},
                  {"SIZE", Align::right},
                  {"OWN CACHE", Align::right},
                  {"SHARED CACHE", Align::right}});
    for (const ImageUsage& image : usage.images) {
      images.add({name_of(image), format_bytes(image.image_bytes), format_bytes(image.unique_layer_bytes),
                  format_bytes(image.shared_layer_bytes)});
    }
    print(images);
    print("\n");
  }
  if (!usage.containers.empty()) {
    Table containers({{"CONTAINER"}, {"CHANGES", Align::right}, {"OWN IMAGE", Align::right}});
    for (const ContainerUsage& container : usage.containers) {
      containers.add({container.name, format_bytes(container.changes_bytes), format_bytes(container.image_bytes)});
    }
    print(containers);
    print("\n");
  }
  Table sums({{"WHAT"}, {"SIZE", Align::right}, {""}});
  const auto number = [](std::size_t count) { return count == 0 ? std::string() : fmt::format("{}", count); };
  const std::string unused = usage.unused_layers_bytes == 0
                                 ? ""
                                 : fmt::format("; {} of no image here", format_bytes(usage.unused_layers_bytes));
  sums.add({"images", format_bytes(usage.images_bytes), number(usage.images.size())});
  sums.add({"layers", format_bytes(usage.layers_bytes), number(usage.layers) + unused});
  sums.add({"unfinished pulls", format_bytes(usage.partial_bytes), ""});
  sums.add({"containers", format_bytes(usage.containers_bytes), number(usage.containers.size())});
  if (usage.build_steps > 0 || usage.build_bytes > 0) {
    sums.add(
        {"builds", format_bytes(usage.build_bytes), fmt::format("{} steps, their layers above", usage.build_steps)});
  }
  sums.add({"total", format_bytes(usage.total_bytes), fmt::format("{} free", format_bytes(usage.free_bytes))});
  print(sums);
  print(fmt::format("\n{}\n", printable(usage.store.string(), 4096)));
}

nlohmann::ordered_json to_json(const DiskUsage& usage) {
  nlohmann::ordered_json images = nlohmann::ordered_json::array();
  for (const ImageUsage& image : usage.images) {
    images.push_back({{"digest", image.manifest_digest.to_string()},
                      {"references", image.references},
                      {"size", image.image_bytes},
                      {"own_layers", image.unique_layer_bytes},
                      {"shared_layers", image.shared_layer_bytes}});
  }
  nlohmann::ordered_json containers = nlohmann::ordered_json::array();
  for (const ContainerUsage& container : usage.containers) {
    containers.push_back(
        {{"name", container.name}, {"changes", container.changes_bytes}, {"own_image", container.image_bytes}});
  }
  return {{"store", usage.store.string()},
          {"total", usage.total_bytes},
          {"free", usage.free_bytes},
          {"images_total", usage.images_bytes},
          {"layers_total", usage.layers_bytes},
          {"layers_unused", usage.unused_layers_bytes},
          {"layers_count", usage.layers},
          {"unfinished_pulls", usage.partial_bytes},
          {"containers", usage.containers_bytes},
          {"builds", usage.build_bytes},
          {"build_steps", usage.build_steps},
          {"named_containers", containers},
          {"images", images}};
}

int show_usage(Format format) {
  const DiskUsage usage = disk_usage(load_configuration());
  warn_of(usage.broken);
  if (format == Format::json)
    print_json(to_json(usage));
  else
    print_tables(usage);
  return 0;
}

}  // namespace

void add_du(CLI::App& program, Action& chosen) {
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("du", "Show what takes how much space");
  command->group(k_store_group);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "One object");
  command->footer(
      "--json (bytes): store, total, free, images_total, layers_total, layers_unused, layers_count, unfinished_pulls,\n"
      "        containers, builds, build_steps, named_containers [name, changes, own_image (kept where the store has "
      "the image no more)],\n"
      "        images [digest, references, size, own_layers, shared_layers]\n");
  command->final_callback([format, &chosen] { chosen = [format] { return show_usage(*format); }; });
}

}  // namespace mlctr::cli
