// mlctr inspect
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "app/inspect_image.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/age.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

constexpr std::size_t k_longest_value = 4096;

enum class Part { all, provenance };

std::string safe(std::string_view text) {
  return printable(text, k_longest_value);
}

// "name        value": lines with the value in one column.
class Lines {
 public:
  /// Nothing where the value is empty: what an image does not say needs no line.
  void add(std::string_view name, const std::string& value) {
    if (!value.empty()) text_ += fmt::format("{:<12} {}\n", name, value);
  }
  /// The name once, then a value a line.
  void add(std::string_view name, const std::vector<std::string>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) text_ += fmt::format("{:<12} {}\n", i == 0 ? name : "", values[i]);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string as_command(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + safe(shell_word(word));
  return line;
}

std::vector<std::string> safe_list(const std::vector<std::string>& values) {
  std::vector<std::string> list;
  for (const std::string& value : values) list.push_back(safe(value));
  return list;
}

void add_config_lines(Lines& lines, const ImageConfig& config) {
  lines.add("platform", safe(config.platform.to_string()));
  lines.add("created", safe(config.created));
  lines.add("author", safe(config.author));
  lines.add("entrypoint", as_command(config.entrypoint));
  lines.add("command", as_command(config.command));
  lines.add("workdir", safe(config.working_directory));
  lines.add("user", safe(config.user));
  lines.add("environment", safe_list(config.environment));
  lines.add("volumes", safe_list(config.volumes));
  lines.add("ports", safe_list(config.exposed_ports));
  std::vector<std::string> labels;
  for (const auto& [name, value] : config.labels) labels.push_back(fmt::format("{}={}", safe(name), safe(value)));
  lines.add("labels", labels);
}

void add_layer_lines(Lines& lines, const std::vector<InspectedLayer>& layers) {
  std::vector<std::string> list;
  std::uint64_t total = 0;
  for (const InspectedLayer& layer : layers) {
    total += layer.blob_bytes;
    list.push_back(fmt::format("{}  {:>8}{}", layer.digest.short_hex(), format_bytes(layer.blob_bytes),
                               layer.cached.empty() ? "" : "  cached"));
  }
  if (layers.size() > 1)
    list.push_back(fmt::format("{:<12}  {:>8}  compressed, in the registry", "total", format_bytes(total)));
  lines.add("layers", list);
}

// The one that was asked for, then the image's others.
std::vector<std::string> references_of(const ImageInspection& image) {
  std::vector<std::string> references = safe_list(image.references);
  std::stable_partition(references.begin(), references.end(),
                        [&](const std::string& each) { return each == safe(image.reference); });
  return references;
}

std::string describe(const ImageInspection& image) {
  Lines lines;
  lines.add("reference", references_of(image));
  lines.add("digest", image.manifest_digest ? image.manifest_digest->to_string() : "");
  lines.add("file", safe(image.squashfs.string()) +
                        (image.is_in_pieces ? ", in pieces: `mlctr export` makes one file of them" : ""));
  lines.add("size", format_bytes(image.size_bytes));
  if (image.pulled_at != 0) lines.add("pulled", age_of(image.pulled_at));
  if (image.config)
    add_config_lines(lines, *image.config);
  else
    lines.add("contents", "a squashfs that mlctr did not make: it carries no configuration");
  add_layer_lines(lines, image.layers);
  if (image.provenance) {
    const std::string& container = image.provenance->container;
    lines.add("made from", safe(image.provenance->reference) +
                               (container.empty() ? "" : ", with the changes of the container " + safe(container)));
    lines.add("made by", "mlctr " + safe(image.provenance->mlctr_version));
  }
  return lines.text();
}

// null where there is none, as it is where the text is no JSON: it comes from whoever made the image.
nlohmann::ordered_json parsed(const std::string& body) {
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(body, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? nlohmann::ordered_json() : json;
}

nlohmann::ordered_json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(text);
}

nlohmann::ordered_json to_json(const InspectedLayer& layer) {
  return {{"digest", layer.digest.to_string()},
          {"size", layer.blob_bytes},
          {"diff_id", text_or_null(layer.diff_id ? layer.diff_id->to_string() : "")},
          {"cached", text_or_null(layer.cached.string())}};
}

nlohmann::ordered_json to_json(const ImageInspection& image) {
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (const InspectedLayer& layer : image.layers) layers.push_back(to_json(layer));
  nlohmann::ordered_json provenance;
  if (image.provenance) {
    provenance = {{"reference", image.provenance->reference},
                  {"manifest_digest", image.provenance->manifest_digest},
                  {"container", text_or_null(image.provenance->container)},
                  {"mlctr_version", image.provenance->mlctr_version}};
  }
  return {{"reference", text_or_null(image.reference)},
          {"references", image.references},
          {"digest", text_or_null(image.manifest_digest ? image.manifest_digest->to_string() : "")},
          {"squashfs", image.squashfs.string()},
          {"in_pieces", image.is_in_pieces},
          {"store", text_or_null(image.store.string())},
          {"size", image.size_bytes},
          {"pulled", image.pulled_at},
          {"platform", text_or_null(image.config ? image.config->platform.to_string() : "")},
          {"layers", layers},
          {"provenance", provenance},
          {"manifest", parsed(image.manifest_body)},
          {"config", parsed(image.config_body)}};
}

// A level a line, the newest first: what it was made from, and what that one was made from.
std::string describe_provenance(const ImageInspection& image) {
  constexpr int k_most_levels = 64;
  std::string text;
  nlohmann::ordered_json level = parsed(image.provenance_body);
  for (int i = 0; level.is_object() && i < k_most_levels; ++i) {
    const auto text_at = [&](const char* key) {
      const auto found = level.find(key);
      return found != level.end() && found->is_string() ? safe(found->get<std::string>()) : std::string();
    };
    Lines lines;
    lines.add("container", text_at("container"));
    lines.add("from", text_at("reference"));
    lines.add("digest", text_at("manifest_digest"));
    lines.add("by", text_at("user"));
    lines.add("at", text_at("created"));
    lines.add("mlctr", text_at("mlctr_version"));
    text += (i == 0 ? "" : "\n") + lines.text();
    level = level.value("base", nlohmann::ordered_json());
  }
  return text;
}

int inspect_provenance(const std::string& name, Format format) {
  const ImageInspection image = inspect_image(load_configuration(), name);
  if (image.provenance_body.empty()) {
    throw Error(fmt::format("{} says nothing of where it comes from", printable(name, 4096)), "mlctr did not make it");
  }
  if (format == Format::json)
    print_json(parsed(image.provenance_body));
  else
    print(describe_provenance(image));
  return 0;
}

int inspect(const std::string& name, Format format) {
  const ImageInspection image = inspect_image(load_configuration(), name);
  if (format == Format::json)
    print_json(to_json(image));
  else
    print(describe(image));
  return 0;
}

}  // namespace

void add_inspect(CLI::App& program, Action& chosen) {
  auto name = std::make_shared<std::string>();
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("inspect", "Tell all about an image");
  command->group(k_images_group);
  command->add_option("IMAGE", *name, "A reference, a digest or the start of one, or a .sqsh file")
      ->type_name("")
      ->required();
  auto part = std::make_shared<Part>(Part::all);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "One object");
  command->add_flag_callback(
      "--provenance", [part] { *part = Part::provenance; }, "What it was made from, level by level");
  command->footer(
      "--json: reference (as asked for), references (all of the image's), digest, squashfs,\n"
      "        in_pieces (whether large layers lie beside that file, as parts of it), store, size (bytes),\n"
      "        pulled (seconds since 1970), platform,\n"
      "        layers [digest, size, diff_id, cached], provenance {reference, manifest_digest, container, "
      "mlctr_version},\n"
      "        manifest and config (as the registry has them); null where unknown\n");
  command->final_callback([name, format, part, &chosen] {
    chosen = [name, format, part] {
      return *part == Part::provenance ? inspect_provenance(*name, *format) : inspect(*name, *format);
    };
  });
}

}  // namespace mlctr::cli
