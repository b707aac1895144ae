#include "squashfs/layer_path.hpp"

#include <algorithm>

#include "squashfs/format.hpp"
#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_max_layer_path_bytes = 4096;  // PATH_MAX
constexpr std::string_view k_opaque_name = ".wh..wh..opq";
constexpr std::string_view k_aufs_prefix = ".wh..wh.";

}  // namespace

LayerPath parse_layer_path(std::string_view text) {
  if (text.size() > k_max_layer_path_bytes) throw LayerError("is longer than 4096 bytes");
  LayerPath path;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = std::min(rest.find('/'), rest.size());
    const std::string_view name = rest.substr(0, length);
    rest.remove_prefix(std::min(length + 1, rest.size()));
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (path.empty()) throw LayerError("leads out of the layer");
      path.pop_back();
      continue;
    }
    if (name.size() > k_max_name_bytes) throw LayerError("has a name longer than 255 bytes");
    path.push_back(name);
  }
  return path;
}

NameMeaning classify_name(const LayerPath& path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (!path[i].starts_with(k_whiteout_prefix)) continue;
    const bool is_last = i + 1 == path.size();
    if (is_last && path[i] == k_opaque_name) return NameMeaning::opaque;
    if (path[i].starts_with(k_aufs_prefix)) return NameMeaning::ignored;
    const std::string_view hidden = path[i].substr(k_whiteout_prefix.size());
    if (!is_last || hidden.empty() || hidden == "." || hidden == "..") {
      throw LayerError(quote_name(path[i]) + " is reserved for whiteouts, but hides nothing");
    }
    return NameMeaning::whiteout;
  }
  return NameMeaning::ordinary;
}

}  // namespace mlctr::squashfs
