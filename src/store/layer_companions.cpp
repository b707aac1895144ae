#include "store/layer_companions.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "store/allocation.hpp"
#include "store/sharing.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

using Json = nlohmann::json;

constexpr std::string_view k_record = ".tar-record", k_blobs = ".blobs.json";
constexpr std::uint64_t k_max_blobs_bytes = 64u << 10;

std::filesystem::path beside(std::filesystem::path layer, std::string_view extension) {
  return layer.replace_extension(extension);
}

Json read_blobs(const std::filesystem::path& layer) {
  Json blobs = Json::parse(read_file_if_any(beside(layer, k_blobs), k_max_blobs_bytes), nullptr, false);
  return blobs.is_object() ? blobs : Json::object();
}

}  // namespace

std::filesystem::path tar_record_path(const std::filesystem::path& layer) {
  return beside(layer, k_record);
}

TemporaryFile new_tar_record(Store& store, const Digest& diff_id) {
  const std::filesystem::path directory = store.root() / "tmp";
  TemporaryFile file(directory / ("layer-" + digest_name(diff_id) + "-" + random_suffix() + std::string(k_record)));
  share_with_group(file.fd(), directory);
  return file;
}

std::optional<LayerBlob> find_layer_blob(const std::filesystem::path& layer, const std::string& compression) {
  try {
    const Json blob = read_blobs(layer).at(compression);
    return LayerBlob{Digest::parse(blob.at("digest").get<std::string>()), blob.at("size").get<std::uint64_t>()};
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const UsageError&) {
    return std::nullopt;
  }
}

void note_layer_blob(const std::filesystem::path& layer, const std::string& compression, const LayerBlob& blob) {
  Json blobs = read_blobs(layer);
  blobs[compression] = {{"digest", blob.digest.to_string()}, {"size", blob.size_bytes}};
  try {
    write_file_atomically(beside(layer, k_blobs), blobs.dump());
  } catch (const SysError&) {
    // A colleague's store, or a full one.
  }
}

std::vector<std::filesystem::path> layer_companions(const std::filesystem::path& layer) {
  std::vector<std::filesystem::path> found;
  for (const std::string_view extension : {k_record, k_blobs}) {
    std::filesystem::path companion = beside(layer, extension);
    if (::access(companion.c_str(), F_OK) == 0) found.push_back(std::move(companion));
  }
  return found;
}

std::uint64_t companion_bytes(const std::filesystem::path& layer) {
  std::uint64_t bytes = 0;
  for (const auto& companion : layer_companions(layer)) {
    struct stat status {};
    if (::lstat(companion.c_str(), &status) == 0) bytes += allocated_bytes(status);
  }
  return bytes;
}

void remove_layer_companions(const std::filesystem::path& layer) {
  for (const auto& companion : layer_companions(layer)) ::unlink(companion.c_str());
}

void remove_lone_companions(Store& store) {
  for (const char* algorithm : {"sha256", "sha512"}) {
    const std::filesystem::path directory = store.root() / "layers" / algorithm;
    for (const std::string& name : list_directory(directory)) {
      if (!name.ends_with(k_record) && !name.ends_with(k_blobs)) continue;
      const auto diff_id = parse_digest_name(std::string(algorithm) + "-" + name.substr(0, name.find('.')));
      if (!diff_id || store.has_layer(*diff_id)) continue;
      const std::optional<Lock> lock = store.try_lock_layer(*diff_id);
      if (lock && !store.has_layer(*diff_id)) remove_layer_companions(store.layer_path(*diff_id));
    }
  }
}

}  // namespace mlctr
