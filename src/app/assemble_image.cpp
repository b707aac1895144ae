#include "app/assemble_image.hpp"

#include <nlohmann/json.hpp>

#include "app/version.hpp"
#include "base/error.hpp"

namespace mlctr {

std::vector<squashfs::AddedFile> provenance_files(const ResolvedImage& image, const std::string& reference) {
  nlohmann::ordered_json provenance;
  provenance["reference"] = reference;
  provenance["manifest_digest"] = image.digest.to_string();
  provenance["layers"] = nlohmann::ordered_json::array();
  for (const Descriptor& layer : image.manifest.layers) provenance["layers"].push_back(layer.digest.to_string());
  provenance["mlctr_version"] = k_version;
  return {{"/.mlctr/manifest.json", image.manifest_body},
          {"/.mlctr/config.json", image.config_body},
          {"/.mlctr/provenance.json", provenance.dump(2) + "\n"}};
}

void assemble_image(const ResolvedImage& image, const std::string& reference,
                    const std::vector<std::filesystem::path>& layers, Store& store, ProgressBoard& board,
                    std::stop_token stop) {
  std::uint64_t total_bytes = 0;
  for (const std::filesystem::path& layer : layers) total_bytes += std::filesystem::file_size(layer);
  const auto progress = board.add("image", total_bytes, ProgressKind::image);
  progress->phase = Phase::merging;

  Store::NewImage made = store.new_image(image.digest);
  squashfs::merge_layers(layers, provenance_files(image, reference), made.fd(), std::move(stop), progress.get(),
                         made.directory());
  made.commit(image.manifest_body, image.config_body);
  progress->phase = Phase::done;
}

}  // namespace mlctr
