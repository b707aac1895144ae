#include "app/inspect_image.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/find_image.hpp"
#include "app/lost_recording.hpp"
#include "app/open_stores.hpp"
#include "app/own_files.hpp"
#include "app/source_file.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "squashfs/image_pieces.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

// A string at the top of a JSON object; empty where there is none: whoever wrote the file, inspecting must not fail.
std::string text_if_any(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<Provenance> parse_provenance(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  return Provenance{.reference = text_if_any(json, "reference"),
                    .manifest_digest = text_if_any(json, "manifest_digest"),
                    .container = text_if_any(json, "container"),
                    .mlctr_version = text_if_any(json, "mlctr_version")};
}

std::vector<InspectedLayer> list_layers(const Manifest& manifest, const std::optional<ImageConfig>& config) {
  std::vector<InspectedLayer> layers;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    InspectedLayer layer{.digest = manifest.layers[i].digest,
                         .blob_bytes = manifest.layers[i].size_bytes,
                         .diff_id = std::nullopt,
                         .cached = {}};
    if (config && i < config->diff_ids.size()) layer.diff_id = config->diff_ids[i];
    layers.push_back(std::move(layer));
  }
  return layers;
}

// Fills in what manifest and config say; both may be missing.
void interpret(ImageInspection& image) {
  if (!image.config_body.empty()) image.config = parse_image_config(image.config_body);
  if (image.manifest_body.empty()) return;
  const auto parsed = parse_manifest(image.manifest_body, "");
  if (const auto* manifest = std::get_if<Manifest>(&parsed)) image.layers = list_layers(*manifest, image.config);
}

// All names of the image; which one was asked for, and when it was pulled under that (or last under any).
void add_references(ImageInspection& image, const FoundImage& found, const Configuration& configuration) {
  for (const ReferenceRecord& record : references_to(open_stores(configuration), found.image.manifest_digest)) {
    image.references.push_back(record.reference);
    if (!found.record) image.pulled_at = std::max(image.pulled_at, record.pulled_at);
  }
  if (!found.record) return;
  image.reference = found.record->reference;
  image.pulled_at = found.record->pulled_at;
}

void add_file(ImageInspection& image, const std::filesystem::path& path) {
  const Fd file = open_file(path, O_RDONLY);
  image.squashfs = path;
  image.size_bytes = file_size(file.get(), path.string());
  image.is_in_pieces = squashfs::has_pieces(file.get(), path.string());
}

ImageInspection inspect_stored(const FoundImage& found, const Configuration& configuration) {
  ImageInspection image;
  add_references(image, found, configuration);
  image.manifest_digest = found.image.manifest_digest;
  image.store = found.store;
  add_file(image, found.image.squashfs);
  image.manifest_body = read_file(found.image.manifest, k_max_manifest_bytes);
  image.config_body = read_file(found.image.config, k_max_config_bytes);
  image.provenance_body = OwnFiles(found.image.squashfs).read("provenance.json");
  image.provenance = parse_provenance(image.provenance_body);
  interpret(image);

  const Store store(found.store, Store::Access::read_only);
  for (InspectedLayer& layer : image.layers) {
    if (layer.diff_id && store.has_layer(*layer.diff_id)) layer.cached = store.layer_path(*layer.diff_id);
  }
  return image;
}

ImageInspection inspect_file(const std::filesystem::path& path) {
  const OwnFiles files(path);
  ImageInspection image;
  add_file(image, path);
  image.manifest_body = files.read("manifest.json");
  image.config_body = files.read("config.json");
  image.provenance_body = files.read("provenance.json");
  image.provenance = parse_provenance(image.provenance_body);
  if (!image.manifest_body.empty()) image.manifest_digest = Digest::of(image.manifest_body);
  interpret(image);
  return image;
}

}  // namespace

ImageInspection inspect_image(const Configuration& configuration, std::string_view text) {
  try {
    if (const std::optional<FoundImage> found = find_image(configuration, text)) {
      return inspect_stored(*found, configuration);
    }
    refuse_lost_recording(configuration, text, RecordedFile::State::away);  // one that changed can be looked at
    if (!parse_image_id(text)) {
      if (look_at(text) == SourceFile::sif) return inspect_file(text);
      const ImageSource source = find_source(text);
      check_source(source);
      if (const auto* file = std::get_if<SquashfsSource>(&source)) return inspect_file(file->path);
    }
  } catch (Error& error) {
    error.add_context(fmt::format("cannot inspect {}", printable(text, 4096)));
    throw;
  }
  return inspect_stored(require_image(configuration, text), configuration);  // throws: it says what to do
}

}  // namespace mlctr
