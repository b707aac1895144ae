#include "app/save_archive.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "app/blob_directory.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "image/media_type.hpp"

namespace mlctr {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view k_name_annotation = "org.opencontainers.image.ref.name";

std::string name_of(const ArchiveRequest& request, const FoundImage& found) {
  if (!request.name.empty()) return request.name;
  return found.record ? familiar_name(found.record->reference) : std::string();
}

// One layer after the other: disks like that, and all threads compress.
class ArchiveWriter {
 public:
  ArchiveWriter(const Configuration& configuration, const ArchiveRequest& request, PortableImage image,
                ProgressBoard& board, std::stop_token stop)
      : configuration_(configuration), request_(request), image_(std::move(image)), stop_(std::move(stop)) {
    for (const PortableLayer& layer : image_.layers) {
      progress_.push_back(board.add(layer.diff_id.short_hex(), 0));
    }
  }

  void write_oci(BlobDirectory& to) {
    to.replace("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    std::map<Digest, Descriptor> known;
    std::vector<Descriptor> layers;
    for (std::size_t i = 0; i < image_.layers.size(); ++i) {
      const PortableLayer& layer = image_.layers[i];
      progress_[i]->phase = Phase::converting;
      if (!known.contains(layer.diff_id)) known.emplace(layer.diff_id, add_blob(to, layer));
      progress_[i]->phase = Phase::done;
      layers.push_back(known.at(layer.diff_id));
    }
    const std::string manifest = portable_manifest(image_, layers);
    to.add(blob_path(Digest::of(image_.config_body)), image_.config_body);
    to.add(blob_path(Digest::of(manifest)), manifest);
    to.replace("index.json", index_with(to.read("index.json"), manifest));
    to.finish();
  }

  void write_docker(BlobDirectory& to) {
    ordered_json layers = ordered_json::array();
    for (std::size_t i = 0; i < image_.layers.size(); ++i) {
      const PortableLayer& layer = image_.layers[i];
      const std::string path = layer.diff_id.hex() + ".tar";
      progress_[i]->phase = Phase::converting;
      if (std::ranges::find(layers, ordered_json(path)) == layers.end()) {
        to.add([&](const squashfs::ByteSink& sink) {
          write_portable_layer(layer, sink, stop_);
          return path;
        });
      }
      progress_[i]->phase = Phase::done;
      layers.push_back(path);
    }
    const std::string config_path = Digest::of(image_.config_body).hex() + ".json";
    to.add(config_path, image_.config_body);
    ordered_json tags = ordered_json::array();
    if (const std::string name = name_of(request_, image_.found); !name.empty()) tags.push_back(name);
    const ordered_json manifest =
        ordered_json::array({{{"Config", config_path}, {"RepoTags", std::move(tags)}, {"Layers", std::move(layers)}}});
    to.add("manifest.json", manifest.dump());
    to.finish();
  }

 private:
  Descriptor add_blob(BlobDirectory& to, const PortableLayer& layer) {
    std::optional<Descriptor> blob;
    to.add([&](const squashfs::ByteSink& sink) {
      blob = write_layer_blob(layer, request_.compression, threads(), sink, stop_);
      return blob_path(blob->digest);
    });
    return *blob;
  }

  // An image of the same name gives way to it.
  std::string index_with(const std::string& index, const std::string& manifest) const {
    ordered_json json = ordered_json::parse(index, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json["manifests"].is_array()) {
      json = {{"schemaVersion", 2}, {"mediaType", k_oci_index}, {"manifests", ordered_json::array()}};
    }
    const std::string name = name_of(request_, image_.found);
    const std::string digest = Digest::of(manifest).to_string();
    auto& entries = json["manifests"];
    for (std::size_t i = entries.size(); i-- > 0;) {
      const ordered_json& entry = entries[i];
      const auto annotations = entry.value("annotations", ordered_json::object());
      const std::string other = annotations.is_object() ? annotations.value(std::string(k_name_annotation), "") : "";
      if (other == name || (other.empty() && entry.value("digest", "") == digest)) entries.erase(i);
    }
    const bool is_own = manifest == image_.manifest_body;
    ordered_json entry{{"mediaType", is_own ? image_.manifest.media_type : std::string(k_oci_manifest)},
                       {"digest", digest},
                       {"size", manifest.size()}};
    if (!name.empty()) entry["annotations"][std::string(k_name_annotation)] = name;
    entries.push_back(std::move(entry));
    return json.dump();
  }

  unsigned threads() const {
    return configuration_.threads > 0 ? configuration_.threads : std::max(1u, std::thread::hardware_concurrency());
  }

  const Configuration& configuration_;
  const ArchiveRequest& request_;
  const PortableImage image_;
  const std::stop_token stop_;
  std::vector<std::shared_ptr<ProgressItem>> progress_;
};

void check_directory(const std::filesystem::path& directory) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(directory, error);
  const bool is_layout = std::filesystem::exists(directory / "oci-layout", error);
  const bool is_empty =
      is_there && std::filesystem::is_directory(directory, error) && std::filesystem::is_empty(directory, error);
  if (!is_there || is_layout || is_empty) return;
  throw UsageError(fmt::format("{} is no OCI layout, and not empty", printable(directory.string(), 4096)),
                   "name a directory that is yet to be");
}

}  // namespace

std::uint64_t save_archive(const Configuration& configuration, const ArchiveRequest& request, ProgressBoard& board,
                           std::stop_token stop) try {
  const FoundImage found = require_image(configuration, request.image);
  std::optional<DestinationFile> file;
  if (request.format == ArchiveFormat::oci_directory) {
    check_directory(request.destination);
  } else {
    file.emplace(request.destination, request.overwrite);
  }
  ArchiveWriter writer(configuration, request, open_portable_image(configuration, found, request.rewrite, stop), board,
                       stop);
  const std::unique_ptr<BlobDirectory> to = file ? make_blob_tar(file->fd(), request.destination.string())
                                                 : open_blob_directory(absolute_path(request.destination));
  if (request.format == ArchiveFormat::docker_archive) {
    writer.write_docker(*to);
  } else {
    writer.write_oci(*to);
  }
  if (file) file->commit();
  return to->written_bytes();
} catch (const Cancelled&) {
  throw;
} catch (const UsageError&) {
  throw;
} catch (Error& error) {
  error.add_context(fmt::format("cannot save {}", printable(request.image, 4096)));
  throw;
}

}  // namespace mlctr
