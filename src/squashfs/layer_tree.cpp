#include "squashfs/layer_tree.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr InodeIndex k_not_here = std::numeric_limits<InodeIndex>::max();
constexpr unsigned k_max_symlinks = 40;    // Linux's MAXSYMLINKS
constexpr std::size_t k_max_depth = 2048;  // what fits PATH_MAX; symlinked parents could nest without end
constexpr std::size_t k_max_link_bytes = 4095;
constexpr std::size_t k_max_xattr_bytes = 65536;       // XATTR_SIZE_MAX
constexpr std::size_t k_max_xattr_name_bytes = 255;    // XATTR_NAME_MAX
constexpr std::uint64_t k_text_bytes_per_entry = 128;  // names, targets and xattrs, on average over the entries allowed

std::uint32_t owner(std::int64_t id, std::string_view what) {
  if (id < 0 || id > std::numeric_limits<std::uint32_t>::max()) {
    throw LayerError(std::string(what) + " " + std::to_string(id) + " is out of range");
  }
  return static_cast<std::uint32_t>(id);
}

std::uint32_t clamp_mtime(std::int64_t mtime) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(mtime, 0, std::numeric_limits<std::uint32_t>::max()));
}

// What squashfs can store and an image may carry. security.selinux belongs to the host's policy (umoci drops it too);
// overlayfs's and our own marks would let a layer forge whiteouts and opaque directories.
bool is_kept_xattr(std::string_view name) {
  constexpr std::string_view k_prefixes[] = {"user.", "security.", "trusted."};
  constexpr std::string_view k_forged[] = {"trusted.overlay.", "user.overlay.", "trusted.mlctr.", "user.mlctr."};
  const auto begins_name = [name](std::string_view prefix) { return name.starts_with(prefix); };
  const auto has_prefix = [name](std::string_view prefix) {
    return name.starts_with(prefix) && name.size() > prefix.size();
  };
  return name != "security.selinux" && std::any_of(std::begin(k_prefixes), std::end(k_prefixes), has_prefix) &&
         std::none_of(std::begin(k_forged), std::end(k_forged), begins_name);
}

Device device_of(const TarEntry& entry, DeviceKind kind) {
  // 12 and 20 bits are what Linux's dev_t and squashfs have.
  if (entry.device_major > 0xfff || entry.device_minor > 0xfffff) throw LayerError("has a device number out of range");
  return {kind, static_cast<std::uint32_t>(entry.device_major), static_cast<std::uint32_t>(entry.device_minor)};
}

std::string checked_target(const std::string& target) {
  if (target.empty()) throw LayerError("is a symlink to nothing");
  if (target.size() > k_max_link_bytes) throw LayerError("is a symlink to more than 4095 bytes");
  return target;
}

InodeKind kind_of(const TarEntry& entry) {
  switch (entry.type) {
    case TarEntry::Type::hard_link:  // with a content of its own, see link()
    case TarEntry::Type::file:
      return FileContent{};
    case TarEntry::Type::symlink:
      return Symlink{checked_target(entry.link_target)};
    case TarEntry::Type::directory:
      return Directory{};
    case TarEntry::Type::character_device:
      return device_of(entry, DeviceKind::character);
    case TarEntry::Type::block_device:
      return device_of(entry, DeviceKind::block);
    case TarEntry::Type::fifo:
      return Fifo{};
    case TarEntry::Type::socket:
      return Socket{};
  }
  throw LayerError("is of an unknown type");
}

// overlayfs's own whiteout, as layers made from an upper directory may have it.
bool is_whiteout_device(const TarEntry& entry) {
  return entry.type == TarEntry::Type::character_device && entry.device_major == 0 && entry.device_minor == 0;
}

void push_names(std::vector<std::string>& pending, std::string_view target) {
  for (std::string_view rest = target;;) {
    const std::size_t slash = rest.rfind('/');
    pending.emplace_back(rest.substr(slash + 1));
    if (slash == rest.npos) return;
    rest = rest.substr(0, slash);
  }
}

std::string_view parent_text(std::string_view path) {
  return path.substr(0, path.rfind('/') + 1);
}

}  // namespace

LayerTree::LayerTree(std::uint64_t max_entries) : max_entries_(max_entries) {
  // A layer need not list its root; then the one below counts.
  tree_.directory(k_root).origin = DirectoryOrigin::implied;
}

std::optional<InodeIndex> LayerTree::apply(const TarEntry& entry) try {
  count_entry(entry.path.size());
  if (entry.path.empty()) throw LayerError("has no name");
  const LayerPath path = parse_layer_path(entry.path);
  if (path.empty()) {
    set_root(entry);
    return std::nullopt;
  }
  switch (classify_name(path)) {
    case NameMeaning::ignored:
      return std::nullopt;
    case NameMeaning::opaque:
      tree_.directory(parent_of(entry, path)).is_opaque = true;
      return std::nullopt;
    case NameMeaning::whiteout:
      hide(parent_of(entry, path), path.back().substr(k_whiteout_prefix.size()));
      return std::nullopt;
    case NameMeaning::ordinary:
      return place(entry, path);
  }
  return std::nullopt;
} catch (LayerError& error) {
  error.add_context("tar entry " + quote_name(entry.path));
  throw;
}

std::optional<InodeIndex> LayerTree::place(const TarEntry& entry, const LayerPath& path) {
  const InodeIndex parent = parent_of(entry, path);
  if (entry.type == TarEntry::Type::hard_link) return link(entry, parent, path.back());
  if (is_whiteout_device(entry)) {
    put(parent, path.back(), {.kind = Whiteout{}, .permissions = 0});
    return std::nullopt;
  }
  const InodeIndex placed = put(parent, path.back(), make_inode(entry));
  if (entry.type != TarEntry::Type::file) return std::nullopt;
  return placed;
}

void LayerTree::count_entry(std::size_t text_bytes) {
  text_bytes_ += text_bytes;
  if (++entries_ <= max_entries_ && text_bytes_ / k_text_bytes_per_entry <= max_entries_) return;
  throw LayerLimitError(
      "it has more than " + std::to_string(max_entries_) + " entries, or as many with names and attributes as long",
      "if you trust this image, raise pull.max_layer_entries");
}

Inode LayerTree::make_inode(const TarEntry& entry) {
  return {.kind = kind_of(entry),
          .permissions = entry.permissions,
          .uid = owner(entry.uid, "uid"),
          .gid = owner(entry.gid, "gid"),
          .mtime = clamp_mtime(entry.mtime),
          .xattrs = xattrs_of(entry)};
}

std::uint32_t LayerTree::xattrs_of(const TarEntry& entry) {
  XattrSet set;
  for (const auto& [name, value] : entry.xattrs) {
    if (!is_kept_xattr(name)) continue;
    if (name.size() > k_max_xattr_name_bytes || value.size() > k_max_xattr_bytes) {
      throw LayerError("has an extended attribute larger than Linux allows: " + quote_name(name));
    }
    set.emplace_back(name, value);
    text_bytes_ += name.size() + value.size();
  }
  // Of one name's values the last in the tar comes first, and stays.
  const auto by_name = [](const auto& a, const auto& b) { return a.first < b.first; };
  const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
  std::stable_sort(set.begin(), set.end(), by_name);
  set.erase(std::unique(set.begin(), set.end(), same_name), set.end());
  return tree_.xattr_index(std::move(set));
}

void LayerTree::set_root(const TarEntry& entry) {
  if (entry.type != TarEntry::Type::directory) throw LayerError("would replace the root directory");
  Inode inode = make_inode(entry);
  inode.kind = std::move(tree_.directory(k_root));
  std::get<Directory>(inode.kind).origin = DirectoryOrigin::listed;
  tree_.root() = std::move(inode);
}

InodeIndex LayerTree::parent_of(const TarEntry& entry, const LayerPath& path) {
  const std::string_view text = parent_text(entry.path);
  if (last_parent_ && last_parent_path_ == text && path.back() == std::string_view(entry.path).substr(text.size())) {
    return *last_parent_;
  }
  const Walk walked = walk(path, Missing::create);
  // Remembered only where the name is the path's plain last part ("a/b/" and "a/b/." are not).
  last_parent_.reset();
  if (path.back() == std::string_view(entry.path).substr(text.size())) {
    last_parent_path_ = text;
    last_parent_ = walked.back().directory;
  }
  return walked.back().directory;
}

LayerTree::Walk LayerTree::walk(const LayerPath& path, Missing missing) {
  Walk walked{{k_root, {}}};
  symlinks_followed_ = 0;
  std::vector<std::string> pending;  // the next name last
  for (auto name = std::next(path.rbegin()); name != path.rend(); ++name) pending.emplace_back(*name);
  while (!pending.empty()) {
    const std::string name = std::move(pending.back());
    pending.pop_back();
    enter(walked, name, missing, pending);
    if (walked.size() > k_max_depth) throw LayerError("lies more than 2048 directories deep");
  }
  return walked;
}

void LayerTree::enter(Walk& walked, const std::string& name, Missing missing, std::vector<std::string>& pending) {
  if (name.empty() || name == ".") return;
  if (name == "..") {
    if (walked.size() > 1) walked.pop_back();
    return;
  }
  const InodeIndex at = walked.back().directory;
  const InodeIndex child = at == k_not_here ? k_not_here : child_of(at, name);
  if (child == k_not_here || std::holds_alternative<Whiteout>(tree_.inodes[child].kind)) {
    walked.push_back({missing == Missing::create ? make_implied(at, name) : k_not_here, name});
  } else if (std::holds_alternative<Directory>(tree_.inodes[child].kind)) {
    walked.push_back({child, name});
  } else if (const auto* symlink = std::get_if<Symlink>(&tree_.inodes[child].kind)) {
    if (++symlinks_followed_ > k_max_symlinks) throw LayerError("lies behind more than 40 symlinks");
    if (symlink->target.starts_with('/')) walked.resize(1);
    push_names(pending, symlink->target);
  } else {
    throw LayerError("lies below " + quote_name(name) + ", which is no directory");
  }
}

InodeIndex LayerTree::child_of(InodeIndex parent, std::string_view name) const {
  const auto& children = tree_.directory(parent).children;
  const auto child = children.find(name);
  return child == children.end() ? k_not_here : child->second;
}

InodeIndex LayerTree::make_implied(InodeIndex parent, std::string_view name) {
  count_entry(name.size());
  return put(parent, name, {.kind = Directory{.origin = DirectoryOrigin::implied}});
}

// Later entries win. Only a directory over a directory keeps what is in it; a directory in place of anything else has
// nothing in common with what lower layers have there.
InodeIndex LayerTree::put(InodeIndex parent, std::string_view name, Inode inode) {
  const InodeIndex old = child_of(parent, name);
  auto* directory = std::get_if<Directory>(&inode.kind);
  if (directory != nullptr && old != k_not_here) {
    if (auto* old_directory = std::get_if<Directory>(&tree_.inodes[old].kind)) {
      directory->children = std::move(old_directory->children);
      directory->is_opaque = old_directory->is_opaque;
      tree_.inodes[old] = std::move(inode);
      return old;
    }
    directory->is_opaque = true;
    directory->origin = DirectoryOrigin::listed;  // an implied one would keep lower attributes, or follow a symlink
  }
  if (const auto* symlink = std::get_if<Symlink>(&inode.kind)) text_bytes_ += symlink->target.size();
  const InodeIndex added = tree_.add(std::move(inode));
  put_link(parent, name, added);
  return added;
}

void LayerTree::put_link(InodeIndex parent, std::string_view name, InodeIndex target) {
  auto& children = tree_.directory(parent).children;
  const auto place = children.lower_bound(name);
  if (place == children.end() || place->first != name) {
    children.emplace_hint(place, name, target);
    return;
  }
  place->second = target;
  // What stood here may have been part of the way to it.
  last_parent_.reset();
}

void LayerTree::hide(InodeIndex parent, std::string_view name) {
  const InodeIndex child = child_of(parent, name);
  if (child == k_not_here) {
    put(parent, name, {.kind = Whiteout{}, .permissions = 0});
  } else if (auto* directory = std::get_if<Directory>(&tree_.inodes[child].kind)) {
    // A whiteout hides what lower layers have, never what its own layer brings, in whatever order (OCI layer.md).
    directory->is_opaque = true;
  }
}

std::optional<InodeIndex> LayerTree::link(const TarEntry& entry, InodeIndex parent, std::string_view name) try {
  const LayerPath path = parse_layer_path(entry.link_target);
  if (path.empty()) throw LayerError("is a directory");
  const Walk walked = walk(path, Missing::pass);
  const InodeIndex at = walked.back().directory;
  const InodeIndex target = at == k_not_here ? k_not_here : child_of(at, path.back());
  const bool is_itself = at == parent && path.back() == name;
  if (target != k_not_here) {
    const InodeKind& kind = tree_.inodes[target].kind;
    if (std::holds_alternative<Directory>(kind)) throw LayerError("is a directory");
    if (std::holds_alternative<Whiteout>(kind)) throw LayerError("is removed by this layer");
    if (!is_itself) put_link(parent, name, target);
    return std::nullopt;
  }
  // pax lets a link carry the content: good when what it links to is not here to give it.
  if (entry.size_bytes > 0) return put(parent, name, make_inode(entry));
  if (is_itself) throw LayerError("is the link itself");
  std::string lower;
  for (const Step& step : walked) lower += step.name.empty() ? "" : step.name + "/";
  text_bytes_ += lower.size();
  put(parent, name, {.kind = LowerLink{lower.append(path.back())}});
  return std::nullopt;
} catch (LayerError& error) {
  error.add_context("the target " + quote_name(entry.link_target) + " of the hard link");
  throw;
}

void LayerTree::set_content(InodeIndex file, FileContent content) {
  this->content(file) = std::move(content);
}

}  // namespace mlctr::squashfs
