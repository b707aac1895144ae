#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/saved_image_origin.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/config.hpp"

namespace mlctr {
namespace {

constexpr const char* k_reference_name = "org.opencontainers.image.ref.name";

// The name an entry of index.json goes by; empty where it has none.
std::string reference_name(const nlohmann::json& entry) {
  const auto annotations = entry.find("annotations");
  if (annotations == entry.end() || !annotations->is_object()) return {};
  const auto name = annotations->find(k_reference_name);
  return name != annotations->end() && name->is_string() ? name->get<std::string>() : std::string();
}

class OciLayoutOrigin final : public ImageOrigin {
 public:
  OciLayoutOrigin(std::unique_ptr<FileSet> files, std::string tag) : files_(std::move(files)), tag_(std::move(tag)) {
    if (!files_->find("oci-layout")) {
      throw Error(fmt::format("{} is not an OCI layout: it has no file oci-layout", files_->name().string()),
                  "write docker-archive:FILE for what `docker save` made, or name the directory that holds index.json");
    }
  }

  OriginManifest manifest(const std::optional<Digest>& digest, std::stop_token) override {
    return {read_verified(digest ? *digest : named_manifest(), k_max_manifest_bytes), {}};
  }

  std::string config(const Descriptor& descriptor, std::stop_token) override {
    return read_verified(descriptor.digest, k_max_config_bytes);
  }

  std::unique_ptr<LayerStream> layer(const Descriptor& descriptor, const std::filesystem::path&, ProgressItem& progress,
                                     std::stop_token stop) override {
    std::optional<FileSet::Range> range = files_->find(blob_path(descriptor.digest));
    if (!range) {
      throw Error(fmt::format("{} lacks layer {}", files_->name().string(), descriptor.digest.to_string()),
                  "the layout is incomplete: copy it again (a foreign layer is never part of one)");
    }
    return stream_range(std::move(*range), progress, std::move(stop));
  }

 private:
  std::string read_verified(const Digest& digest, std::uint64_t max_bytes) const {
    std::string body = files_->read(blob_path(digest), max_bytes);
    Hasher hasher(digest.algorithm());
    hasher.update(body);
    const Digest actual = Digest::from_hex(digest.algorithm(), hasher.finish_hex());
    if (actual != digest) {
      throw Error(fmt::format("{} is damaged: blob {} has digest {}", files_->name().string(), digest.to_string(),
                              actual.to_string()));
    }
    return body;
  }

  Digest named_manifest() const {
    std::vector<std::string> names;
    std::vector<Digest> found;
    for (const nlohmann::json& entry : index_entries()) {
      const std::string name = reference_name(entry);
      if (!name.empty()) names.push_back(printable(name));
      if (!tag_.empty() && name != tag_) continue;
      const auto digest = entry.find("digest");
      if (digest == entry.end() || !digest->is_string()) {
        throw Error(fmt::format("{}/index.json: a manifest has no digest", files_->name().string()));
      }
      found.push_back(Digest::parse(digest->get<std::string>()));
    }
    if (found.size() == 1) return found.front();
    throw ambiguous(found.empty(), names);
  }

  nlohmann::json index_entries() const {
    const nlohmann::json index =
        nlohmann::json::parse(files_->read("index.json", k_max_manifest_bytes), nullptr, false);
    if (!index.is_object() || !index.contains("manifests") || !index["manifests"].is_array()) {
      throw Error(fmt::format("{}/index.json is not an OCI index", files_->name().string()));
    }
    return index["manifests"];
  }

  Error ambiguous(bool found_none, const std::vector<std::string>& names) const {
    const std::string which =
        names.empty() ? "none of them has a name" : fmt::format("it has {}", fmt::join(names, ", "));
    if (found_none) {
      return Error(tag_.empty() ? fmt::format("{} holds no image", files_->name().string())
                                : fmt::format("{} holds no image named {}", files_->name().string(), tag_),
                   which);
    }
    return Error(fmt::format("{} holds several images", files_->name().string()),
                 fmt::format("add :NAME to choose one ({})", which));
  }

  std::unique_ptr<FileSet> files_;
  std::string tag_;
};

}  // namespace

std::unique_ptr<ImageOrigin> make_oci_layout_origin(std::unique_ptr<FileSet> files, std::string tag) {
  return std::make_unique<OciLayoutOrigin>(std::move(files), std::move(tag));
}

}  // namespace mlctr
