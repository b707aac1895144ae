#include "squashfs/upper_layer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/block_packer.hpp"
#include "squashfs/block_writer.hpp"
#include "squashfs/tables.hpp"
#include "squashfs/upper_xattrs.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_max_upper_depth = 2048;  // what fits PATH_MAX, as in a layer's tar
constexpr std::size_t k_read_bytes = 1u << 20;
constexpr std::uint64_t k_stat_block_bytes = 512;

using FileId = std::pair<dev_t, ino_t>;

FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino};
}

struct stat stat_of(int fd, const std::string& name) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw SysError("cannot look at " + name);
  return status;
}

[[noreturn]] void refuse_changed(const std::string& name) {
  throw Error(fmt::format("{} changed while it was read", name), "save again when nothing writes to the container");
}

[[noreturn]] void refuse_unreadable(const std::string& name) {
  SysError error("cannot read " + name);
  if (error.errno_value() == EACCES) error.add_hint("chmod u+rX it: its mode keeps even you out");
  throw error;
}

// Sorted, so that the same files give the same image.
std::vector<std::string> names_in(const Fd& directory, const std::string& path) {
  Fd again(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(again ? ::fdopendir(again.get()) : nullptr, ::closedir);
  if (!stream) refuse_unreadable(path);
  again.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) refuse_unreadable(path);
  std::ranges::sort(names);
  return names;
}

// Goes through the directory with one descriptor at a time, however deep it is: up again by "..", which must lead to
// where it came from.
class UpperPacker {
 public:
  UpperPacker(UpperDirectory upper, const Tree& base, BlockWriter& writer, const LayerLimits& limits)
      : here_(std::move(upper.directory)),
        name_(std::move(upper.name)),
        base_(base),
        writer_(writer),
        packer_(writer),
        limits_(limits) {}

  void run(const std::stop_token& stop) {
    const struct stat status = stat_of(here_.get(), path());
    describe_directory(k_root, status, k_root);
    open_.push_back({.directory = k_root, .below = k_root, .names = names_in(here_, path()), .id = id_of(status)});
    while (!open_.empty()) {
      if (stop.stop_requested()) throw Cancelled();
      OpenDirectory& directory = open_.back();
      if (directory.next < directory.names.size()) {
        visit(directory.names[directory.next++]);
      } else {
        leave();
      }
    }
  }

  PackedLayer finish() {
    packer_.finish();
    WrittenBlocks written = writer_.finish();
    for (const auto& [inode, blocks] : block_files_) {
      auto& content = std::get<FileContent>(tree_.inodes[inode].kind);
      content.start = written.files[blocks].start;
      content.block_words = std::move(written.files[blocks].block_words);
    }
    tree_.fragments = std::move(written.fragments);
    return {std::move(tree_), written.end};
  }

 private:
  struct OpenDirectory {
    InodeIndex directory;
    std::optional<InodeIndex> below{};  // the directory of this path in the base
    std::vector<std::string> names{};
    FileId id{};
    std::size_t next = 0;
  };

  // Of what is being visited.
  std::string path(std::string_view name = {}) const {
    std::string path = name_.string();
    for (std::size_t i = 0; i + 1 < open_.size(); ++i) path += "/" + open_[i].names[open_[i].next - 1];
    return name.empty() ? path : fmt::format("{}/{}", path, name);
  }

  void visit(const std::string& name) {
    struct stat status {};
    if (::fstatat(here_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return;  // removed a moment ago
      refuse_unreadable(path(name));
    }
    count_entry(name);
    if (S_ISDIR(status.st_mode)) return enter(name);
    if (status.st_nlink > 1) {
      const auto [known, is_new] = linked_.try_emplace(id_of(status), InodeIndex{0});
      if (is_new) known->second = add_other(name, status);
      return add_name(name, known->second);
    }
    add_name(name, add_other(name, status));
  }

  void add_name(const std::string& name, InodeIndex index) {
    tree_.directory(open_.back().directory).children.emplace(name, index);
  }

  void enter(const std::string& name) {
    if (open_.size() >= k_max_upper_depth) {
      throw Error(fmt::format("{} lies more than {} directories deep", path(name), k_max_upper_depth));
    }
    Fd directory(::openat(here_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) refuse_unreadable(path(name));
    const struct stat status = stat_of(directory.get(), path(name));
    const InodeIndex index = tree_.add({.kind = Directory{}});
    const auto below = find_below(name, tree_.inodes[index].kind);
    add_name(name, index);
    open_.push_back({.directory = index, .below = below, .names = {}, .id = id_of(status)});
    here_ = std::move(directory);
    describe_directory(index, status, below);
    open_.back().names = names_in(here_, path());
  }

  void leave() {
    open_.pop_back();
    if (open_.empty()) return;
    Fd parent(::openat(here_.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!parent) refuse_unreadable(path());
    if (id_of(stat_of(parent.get(), path())) != open_.back().id) refuse_changed(path());  // moved away meanwhile
    here_ = std::move(parent);
  }

  void describe_directory(InodeIndex index, const struct stat& status, std::optional<InodeIndex> below) {
    UpperXattrs xattrs = read_upper_xattrs(here_.get(), path());
    if (xattrs.is_elsewhere) refuse_elsewhere(path());
    Inode& inode = tree_.inodes[index];
    std::get<Directory>(inode.kind).is_opaque = xattrs.is_opaque;
    set_attributes(inode, status, below);
    inode.xattrs = tree_.xattr_index(std::move(xattrs.own));
  }

  // Anything but a directory.
  InodeIndex add_other(const std::string& name, const struct stat& status) {
    if (S_ISREG(status.st_mode)) return add_file(name);
    Inode inode{.kind = kind_of(name, status)};
    set_attributes(inode, status, find_below(name, inode.kind));
    return tree_.add(std::move(inode));
  }

  InodeKind kind_of(const std::string& name, const struct stat& status) const {
    const auto device = [&](DeviceKind kind) { return Device{kind, major(status.st_rdev), minor(status.st_rdev)}; };
    switch (status.st_mode & S_IFMT) {
      case S_IFLNK:
        return Symlink{target_of(name)};
      case S_IFCHR:
        if (status.st_rdev == 0) return Whiteout{};
        return device(DeviceKind::character);
      case S_IFBLK:
        return device(DeviceKind::block);
      case S_IFIFO:
        return Fifo{};
      case S_IFSOCK:
        return Socket{};
      default:
        throw Error(fmt::format("{} is of an unknown type", path(name)));
    }
  }

  std::string target_of(const std::string& name) const {
    std::string target(PATH_MAX, '\0');
    const ssize_t size = ::readlinkat(here_.get(), name.c_str(), target.data(), target.size());
    if (size < 0) refuse_unreadable(path(name));
    target.resize(static_cast<std::size_t>(size));
    return target;
  }

  InodeIndex add_file(const std::string& name) {
    // O_NONBLOCK: should it have become a FIFO by now, nobody waits for its other end.
    const Fd file(::openat(here_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    const std::string path = this->path(name);
    if (!file) refuse_unreadable(path);
    const struct stat status = stat_of(file.get(), path);
    if (!S_ISREG(status.st_mode)) refuse_changed(path);
    UpperXattrs xattrs = read_upper_xattrs(file.get(), path);
    if (xattrs.is_elsewhere) refuse_elsewhere(path);
    if (xattrs.is_whiteout && status.st_size == 0) return tree_.add({.kind = Whiteout{}, .permissions = 0});

    PackedFile packed = pack(file, status, path);
    Inode inode{.kind = std::move(packed.content), .xattrs = tree_.xattr_index(std::move(xattrs.own))};
    set_attributes(inode, status, find_below(name, inode.kind));
    const InodeIndex index = tree_.add(std::move(inode));
    if (packed.blocks) block_files_.emplace_back(index, *packed.blocks);
    return index;
  }

  PackedFile pack(const Fd& file, const struct stat& status, const std::string& path) {
    const auto size = static_cast<std::uint64_t>(status.st_size);
    count_bytes(size);
    packer_.begin_file(size);
    const bool may_have_holes = static_cast<std::uint64_t>(status.st_blocks) < size / k_stat_block_bytes;
    for (std::uint64_t at = 0; at < size;) {
      const std::uint64_t data = may_have_holes ? seek(file, at, SEEK_DATA, at, size) : at;
      const std::uint64_t end = may_have_holes && data < size ? seek(file, data, SEEK_HOLE, size, size) : size;
      packer_.append_zeros(data - at);
      copy(file, data, end, path);
      at = end;
    }
    return packer_.end_file();
  }

  // Where the next data or hole begins, `size` at the end of the file; `otherwise` where the filesystem can't tell.
  static std::uint64_t seek(const Fd& file, std::uint64_t at, int what, std::uint64_t otherwise, std::uint64_t size) {
    const off_t found = ::lseek(file.get(), static_cast<off_t>(at), what);
    if (found < 0) return errno == ENXIO ? size : otherwise;
    return std::min(static_cast<std::uint64_t>(found), size);
  }

  void copy(const Fd& file, std::uint64_t at, std::uint64_t end, const std::string& path) {
    while (at < end) {
      const auto part = std::span(buffer_).first(std::min<std::uint64_t>(buffer_.size(), end - at));
      if (read_at(file.get(), part, at, path) != part.size()) refuse_changed(path);
      packer_.append(part);
      at += part.size();
    }
  }

  // The entry of this name in the base, if it is of the same kind.
  std::optional<InodeIndex> find_below(const std::string& name, const InodeKind& kind) const {
    if (!open_.back().below) return std::nullopt;
    const auto& children = base_.directory(*open_.back().below).children;
    const auto found = children.find(name);
    if (found == children.end() || base_.inodes[found->second].kind.index() != kind.index()) return std::nullopt;
    return found->second;
  }

  void set_attributes(Inode& inode, const struct stat& status, std::optional<InodeIndex> below) const {
    inode.permissions = static_cast<std::uint16_t>(status.st_mode & 07777);
    inode.mtime = static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(status.st_mtim.tv_sec, 0, std::numeric_limits<std::uint32_t>::max()));
    if (!below) return;  // 0:0
    inode.uid = base_.inodes[*below].uid;
    inode.gid = base_.inodes[*below].gid;
  }

  [[noreturn]] static void refuse_elsewhere(const std::string& name) {
    throw Error(fmt::format("{} was moved by reference only (overlayfs's redirect_dir or metacopy)", name),
                "mlctr mounts without these: save it with what mounted it");
  }

  void count_entry(const std::string& name) {
    if (++entries_ <= limits_.max_entries) return;
    throw LayerLimitError(fmt::format("{} is one of more than {} changes", path(name), limits_.max_entries),
                          "if that is what you want, raise pull.max_layer_entries");
  }

  // Holes count too: a sparse file's size costs 4 bytes a block whatever it holds.
  void count_bytes(std::uint64_t size) {
    if (size <= limits_.max_uncompressed_bytes - bytes_) {
      bytes_ += size;
      return;
    }
    throw LayerLimitError(fmt::format("the changes in {} are more than {} bytes, holes included", name_.string(),
                                      limits_.max_uncompressed_bytes),
                          "if that is what you want, raise pull.max_layer_bytes");
  }

  Fd here_;
  const std::filesystem::path name_;
  const Tree& base_;
  BlockWriter& writer_;
  BlockPacker packer_;
  const LayerLimits limits_;

  Tree tree_;
  std::vector<OpenDirectory> open_;
  std::map<FileId, InodeIndex> linked_;
  std::vector<std::pair<InodeIndex, BlockFileIndex>> block_files_;  // contents to complete when all is written
  std::vector<std::byte> buffer_ = std::vector<std::byte>(k_read_bytes);
  std::uint64_t entries_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

PackedLayer pack_upper(UpperDirectory upper, const Tree& base, int output, CompressorPool& pool,
                       const LayerLimits& limits, std::stop_token stop) {
  BlockWriter writer(output, k_data_start, pool, stop);
  UpperPacker packer(std::move(upper), base, writer, limits);
  packer.run(stop);
  return packer.finish();
}

}  // namespace mlctr::squashfs
