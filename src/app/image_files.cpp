#include "app/image_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "app/overlay_marks.hpp"
#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/overloaded.hpp"
#include "base/printable.hpp"
#include "squashfs/tables.hpp"
#include "squashfs/upper_xattrs.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_path_bytes = 4096;

ImageEntry entry_of(const squashfs::Inode& inode) {
  ImageEntry entry{.permissions = inode.permissions, .uid = inode.uid, .gid = inode.gid};
  std::visit(Overloaded{[&](const squashfs::Directory&) { entry.kind = FileKind::directory; },
                        [&](const squashfs::FileContent& file) { entry.size_bytes = file.size_bytes; },
                        [&](const squashfs::Symlink& link) {
                          entry.kind = FileKind::symlink;
                          entry.target = link.target;
                        },
                        [&](const squashfs::Device& device) {
                          const bool is_block = device.kind == squashfs::DeviceKind::block;
                          entry.kind = is_block ? FileKind::block_device : FileKind::character_device;
                          entry.target = fmt::format("{}:{}", device.major, device.minor);
                        },
                        [&](const squashfs::Fifo&) { entry.kind = FileKind::fifo; },
                        [&](const squashfs::Socket&) { entry.kind = FileKind::socket; },
                        [&](const squashfs::Whiteout&) { entry.kind = FileKind::character_device; },
                        [&](const squashfs::LowerLink&) { entry.kind = FileKind::regular; }},
             inode.kind);
  return entry;
}

FileKind kind_of(const struct stat& status) {
  switch (status.st_mode & S_IFMT) {
    case S_IFDIR:
      return FileKind::directory;
    case S_IFLNK:
      return FileKind::symlink;
    case S_IFCHR:
      return FileKind::character_device;
    case S_IFBLK:
      return FileKind::block_device;
    case S_IFIFO:
      return FileKind::fifo;
    case S_IFSOCK:
      return FileKind::socket;
    default:
      return FileKind::regular;
  }
}

std::vector<std::string> names_in(const Fd& directory, const std::string& path) {
  Fd again(::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(again ? ::fdopendir(again.get()) : nullptr, ::closedir);
  if (!stream) throw SysError("cannot read " + printable(path));
  again.release();
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  return names;
}

std::string target_of(const Fd& directory, const std::string& name) {
  std::string target(k_max_path_bytes, '\0');
  const ssize_t length = ::readlinkat(directory.get(), name.c_str(), target.data(), target.size());
  target.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
  return target;
}

// Absent where it can't be opened: a mode of 000 is the program's own business.
std::optional<squashfs::UpperXattrs> marks_of(const Fd& directory, const std::string& name, const std::string& path) {
  const Fd file(::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return std::nullopt;
  return squashfs::read_upper_xattrs(file.get(), printable(path));
}

}  // namespace

ImageFiles::ImageFiles(const std::filesystem::path& squashfs)
    : image_(squashfs), tree_(squashfs::read_tree(*image_.reader)) {
  add_image(squashfs::k_root, "");
}

ImageFiles::ImageFiles(const std::filesystem::path& squashfs, const std::filesystem::path& upper)
    : ImageFiles(squashfs) {
  upper_.emplace(open_file(upper, O_RDONLY | O_DIRECTORY));
  const Fd directory = open_file(upper, O_RDONLY | O_DIRECTORY);
  add_upper(directory, "");
}

void ImageFiles::add_image(squashfs::InodeIndex index, const std::string& path) {
  const auto* directory = std::get_if<squashfs::Directory>(&tree_.inodes[index].kind);
  if (directory == nullptr || path.size() > k_max_path_bytes) return;
  for (const auto& [name, child] : directory->children) {
    const std::string child_path = path + "/" + name;
    if (child_path == "/.mlctr") continue;
    ImageEntry entry = entry_of(tree_.inodes[child]);
    entry.in_image = child;
    entries_.insert_or_assign(child_path, std::move(entry));
    add_image(child, child_path);
  }
}

void ImageFiles::remove_below(const std::string& path) {
  const std::string prefix = path + "/";
  const auto begin = entries_.lower_bound(prefix);
  auto end = begin;
  while (end != entries_.end() && end->first.starts_with(prefix)) ++end;
  entries_.erase(begin, end);
}

void ImageFiles::add_upper(const Fd& directory, const std::string& path) {
  if (path.size() > k_max_path_bytes) return;
  for (const std::string& name : names_in(directory, path)) add_upper_entry(directory, path + "/" + name, name);
}

void ImageFiles::add_upper_entry(const Fd& directory, const std::string& path, const std::string& name) {
  struct stat status {};
  if (path == "/.mlctr" || ::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  ImageEntry entry{.kind = kind_of(status), .permissions = static_cast<std::uint16_t>(status.st_mode & 07777)};
  const bool has_marks = entry.kind == FileKind::directory || entry.kind == FileKind::regular;
  const auto marks = has_marks ? marks_of(directory, name, path) : std::nullopt;
  const bool is_whiteout = (entry.kind == FileKind::character_device && status.st_rdev == 0) ||
                           (marks && entry.kind == FileKind::regular && marks->is_whiteout);
  const auto below = entries_.find(path);
  const bool stays = !is_whiteout && entry.kind == FileKind::directory && below != entries_.end() &&
                     below->second.kind == FileKind::directory && !(marks && marks->is_opaque);
  if (below != entries_.end() && below->second.kind == entry.kind) {
    entry.uid = below->second.uid;
    entry.gid = below->second.gid;
  }
  if (!stays) remove_below(path);
  if (is_whiteout) {
    entries_.erase(path);
    return;
  }
  if (entry.kind == FileKind::regular) entry.size_bytes = static_cast<std::uint64_t>(status.st_size);
  if (entry.kind == FileKind::symlink) entry.target = target_of(directory, name);
  const bool is_directory = entry.kind == FileKind::directory;
  entries_.insert_or_assign(path, std::move(entry));
  if (!is_directory) return;
  const Fd child(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (child) add_upper(child, path);
}

std::size_t ImageFiles::read(const std::string& path, std::uint64_t offset, std::span<std::byte> into) const {
  const ImageEntry& entry = entries_.at(path);
  if (entry.in_image) {
    const auto* content = std::get_if<squashfs::FileContent>(&tree_.inodes[*entry.in_image].kind);
    return content == nullptr ? 0 : image_.reader->read_file(*content, offset, into);
  }
  const std::optional<Fd> file = upper_->find(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) throw Error(fmt::format("{} went away while it was read", printable(path)));
  std::size_t done = 0;
  while (done < into.size()) {
    const ssize_t got = ::pread(file->get(), into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    if (got < 0) throw SysError("cannot read " + printable(path));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

packages::PackageList ImageFiles::packages() const {
  std::vector<std::string> files;
  for (const auto& [path, entry] : entries_) {
    if (entry.kind == FileKind::regular) files.push_back(path);
  }
  return packages::find_packages(
      files, [&](const std::string& path, std::uint64_t max_bytes) -> std::optional<std::string> {
        const auto entry = entries_.find(path);
        const bool is_file = entry != entries_.end() && entry->second.kind == FileKind::regular;
        if (!is_file || entry->second.size_bytes > max_bytes) return std::nullopt;
        std::string text(entry->second.size_bytes, '\0');
        text.resize(read(path, 0, std::as_writable_bytes(std::span(text))));
        return text;
      });
}

ImageFiles open_files(const Configuration& configuration, std::string_view text) {
  const auto target = find_run_target(configuration, text);
  if (!target) {
    throw Error(fmt::format("no image or container {} here", printable(text)),
                fmt::format("`mlctr pull {}` gets an image; `mlctr ps` lists containers", printable(text)));
  }
  if (const auto* image = std::get_if<BaseImage>(&*target)) return ImageFiles(image->squashfs);
  const StoredContainer& container = std::get<StoredContainer>(*target);
  translate_foreign_marks(container);
  return ImageFiles(base_image_of(configuration, container).squashfs, container.upper);
}

}  // namespace mlctr
