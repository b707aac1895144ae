#include "squashfs/image_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace mlctr::squashfs {
namespace {

// As Linux has them (path_resolution(7)).
constexpr unsigned k_max_path_symlinks = 40;
constexpr std::size_t k_max_image_path_bytes = 4096;

// The directories from the root to where the walk is.
class PathWalk {
 public:
  explicit PathWalk(const Reader& image) : image_(image) { restart(); }

  void restart() { steps_ = {{"", MetadataPosition::of(image_.superblock().root_inode)}}; }

  void up() {
    if (steps_.size() > 1) steps_.pop_back();
  }

  // False where the walk stands in no directory, or one without that name.
  [[nodiscard]] bool enter(std::string_view name) {
    const StoredInode here = image_.inode(steps_.back().second);
    const auto* directory = std::get_if<StoredDirectory>(&here.kind);
    const auto entry = directory != nullptr ? image_.find(*directory, name) : std::nullopt;
    if (entry) steps_.emplace_back(std::string(name), entry->inode);
    return entry.has_value();
  }

  StoredInode inode() const { return image_.inode(steps_.back().second); }
  MetadataPosition position() const { return steps_.back().second; }

  std::string path() const {
    std::string path;
    for (std::size_t step = 1; step < steps_.size(); ++step) path += "/" + steps_[step].first;
    return path;
  }

 private:
  const Reader& image_;
  std::vector<std::pair<std::string, MetadataPosition>> steps_;
};

std::string_view take_name(std::string_view& path) {
  path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
  const std::string_view name = path.substr(0, path.find('/'));
  path.remove_prefix(name.size());
  return name;
}

}  // namespace

std::optional<FoundFile> find_file(const Reader& image, std::string_view path, unsigned& names_left) {
  PathWalk walk(image);
  std::string rest(path);
  unsigned symlinks = 0;
  for (std::string_view left = rest;;) {
    const std::string_view name = take_name(left);
    if (name.empty()) break;
    if (names_left == 0) return std::nullopt;
    --names_left;
    if (name == ".") continue;
    if (name == "..") {
      walk.up();
      continue;
    }
    if (!walk.enter(name)) return std::nullopt;
    const StoredInode inode = walk.inode();
    if (const auto* link = std::get_if<Symlink>(&inode.kind)) {
      if (++symlinks > k_max_path_symlinks) return std::nullopt;
      walk.up();
      if (link->target.starts_with('/')) walk.restart();
      rest = fmt::format("{}/{}", link->target, left);
      if (rest.size() > k_max_image_path_bytes) return std::nullopt;
      left = rest;
    }
  }
  if (!std::holds_alternative<StoredFile>(walk.inode().kind)) return std::nullopt;
  return FoundFile{walk.position(), walk.path()};
}

bool has_entry(const Reader& image, std::string_view path) {
  PathWalk walk(image);
  for (std::string_view name = take_name(path); !name.empty(); name = take_name(path)) {
    if (!walk.enter(name)) return false;
  }
  return true;
}

}  // namespace mlctr::squashfs
