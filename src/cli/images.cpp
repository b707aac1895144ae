// mlctr images
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/list_images.hpp"
#include "base/printable.hpp"
#include "cli/age.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"

namespace mlctr::cli {
namespace {

enum class Listing { table, names, json };

// What the other commands take for this image.
std::string name_of(const ListedImage& image) {
  return image.familiar_reference.empty() ? image.manifest_digest.to_string() : image.familiar_reference;
}

void print_table(const std::vector<ListedImage>& images) {
  using Narrow = Table::Narrow;
  Table table({{"REFERENCE", Align::left, Narrow::cut_middle},
               {"DIGEST"},
               {"PLATFORM", Align::left, Narrow::drop},
               {"PULLED"},
               {"SIZE", Align::right}});
  for (const ListedImage& image : images) {
    const std::string reference = image.familiar_reference.empty() ? "-" : image.familiar_reference;
    table.add({printable(reference, 4096), image.manifest_digest.short_hex(), printable(image.platform.to_string()),
               age_of(image.pulled_at), format_bytes(image.size_bytes)});
  }
  print(table);
}

nlohmann::ordered_json to_json(const ListedImage& image) {
  return {{"reference", image.reference},
          {"name", name_of(image)},
          {"digest", image.manifest_digest.to_string()},
          {"platform", image.platform.to_string()},
          {"layers", image.layers},
          {"size", image.size_bytes},
          {"created", image.created},
          {"pulled", image.pulled_at},
          {"squashfs", image.squashfs.string()},
          {"store", image.store.string()}};
}

int list(Listing listing) {
  const ImageListing found = list_images(load_configuration());
  warn_of(found.broken);
  if (listing == Listing::json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const ListedImage& image : found.images) json.push_back(to_json(image));
    print_json(json);
  } else if (listing == Listing::names) {
    for (const ListedImage& image : found.images) print(printable(name_of(image), 4096) + "\n");
  } else if (found.images.empty()) {
    say("no images yet. Try: mlctr pull python:3.8");
  } else {
    print_table(found.images);
  }
  return 0;
}

}  // namespace

void add_images(CLI::App& program, Action& chosen) {
  auto listing = std::make_shared<Listing>(Listing::table);
  CLI::App* command = program.add_subcommand("images", "List the images of the store");
  command->group(k_images_group);
  command->add_flag_callback(
      "--quiet,-q", [listing] { *listing = Listing::names; }, "Only names, as other commands take them");
  command->add_flag_callback(
      "--json", [listing] { *listing = Listing::json; }, "An array of objects");
  command->footer(
      "--json: reference (canonical, empty where none leads to the image), name, digest, platform, layers, size "
      "(bytes),\n"
      "        created (RFC 3339), pulled (seconds since 1970), squashfs, store\n");
  command->final_callback([listing, &chosen] { chosen = [listing] { return list(*listing); }; });
}

}  // namespace mlctr::cli
