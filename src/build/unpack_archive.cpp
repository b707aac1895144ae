#include "build/unpack_archive.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "squashfs/inflate.hpp"
#include "squashfs/layer_error.hpp"
#include "squashfs/layer_path.hpp"
#include "squashfs/tar_reader.hpp"

namespace mlctr::build {
namespace {

using runtime::NodeKind;
using squashfs::Inflater;
using squashfs::TarEntry;

constexpr std::size_t k_chunk_bytes = 256u << 10;
constexpr std::size_t k_tar_block = 512;
constexpr std::size_t k_magic_at = 257;  // of "ustar" in a header

// The bytes of a file, uncompressed.
class Inflated {
 public:
  Inflated(const Fd& file, std::string name)
      : file_(file), name_(std::move(name)), input_(k_chunk_bytes), output_(k_chunk_bytes) {}

  std::span<const std::byte> next() {
    for (;;) {
      if (pending_.empty() && !is_at_end_) fill();
      if (pending_.empty() && is_at_end_) return {};
      if (!inflater_)
        inflater_ = Inflater::for_stream(pending_.first(std::min(pending_.size(), Inflater::k_magic_bytes)));
      const Inflater::Step step = inflater_->run(pending_, output_);
      pending_ = pending_.subspan(step.consumed);
      if (step.produced > 0) return std::span<const std::byte>(output_).first(step.produced);
    }
  }

 private:
  void fill() {
    const std::size_t got = read_at(file_.get(), input_, offset_, name_);
    offset_ += got;
    is_at_end_ = got == 0;
    pending_ = std::span<const std::byte>(input_).first(got);
  }

  const Fd& file_;
  std::string name_;
  std::vector<std::byte> input_, output_;
  std::span<const std::byte> pending_;
  std::uint64_t offset_ = 0;
  bool is_at_end_ = false;
  std::unique_ptr<Inflater> inflater_;
};

std::string path_of(const squashfs::LayerPath& names) {
  std::string path;
  for (const std::string_view name : names) path += fmt::format("/{}", name);
  return path;
}

class Unpacking {
 public:
  Unpacking(const runtime::Rootfs& rootfs, std::string directory, FileOwners& owners)
      : rootfs_(rootfs), directory_(directory == "/" ? "" : std::move(directory)), owners_(owners) {}

  void put(const TarEntry& entry, squashfs::TarReader& tar) {
    const std::string path = directory_ + path_of(squashfs::parse_layer_path(entry.path));
    if (path == directory_) return;
    const std::size_t slash = path.find_last_of('/');
    const Fd parent = open_directory(slash == 0 ? "/" : path.substr(0, slash));
    const std::string leaf = path.substr(slash + 1);
    if (entry.type == TarEntry::Type::directory) {
      put_directory(entry, parent, leaf);
    } else {
      if (::unlinkat(parent.get(), leaf.c_str(), 0) != 0 && errno != ENOENT) refuse(path);
      put_other(entry, tar, parent, leaf, path);
    }
    owners_[path] = {static_cast<std::uint32_t>(entry.uid), static_cast<std::uint32_t>(entry.gid)};
  }

 private:
  [[noreturn]] static void refuse(const std::string& path) { throw SysError("cannot unpack " + printable(path, 4096)); }

  Fd open_directory(const std::string& path) const {
    const Fd made = rootfs_.make(path, NodeKind::directory);
    Fd opened(::openat(made.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) refuse(path);
    return opened;
  }

  static void put_directory(const TarEntry& entry, const Fd& parent, const std::string& leaf) {
    struct stat status {};
    const bool is_there = ::fstatat(parent.get(), leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
    if (is_there && !S_ISDIR(status.st_mode) && ::unlinkat(parent.get(), leaf.c_str(), 0) != 0) refuse(leaf);
    if ((!is_there || !S_ISDIR(status.st_mode)) && ::mkdirat(parent.get(), leaf.c_str(), 0700) != 0) refuse(leaf);
    if (::fchmodat(parent.get(), leaf.c_str(), entry.permissions, 0) != 0) refuse(leaf);
  }

  void put_other(const TarEntry& entry, squashfs::TarReader& tar, const Fd& parent, const std::string& leaf,
                 const std::string& path) const {
    switch (entry.type) {
      case TarEntry::Type::symlink:
        if (::symlinkat(entry.link_target.c_str(), parent.get(), leaf.c_str()) != 0) refuse(path);
        return;
      case TarEntry::Type::fifo:
        if (::mkfifoat(parent.get(), leaf.c_str(), entry.permissions) != 0) refuse(path);
        return;
      case TarEntry::Type::hard_link:
        return link(entry, parent, leaf, path);
      case TarEntry::Type::file:
        return put_file(entry, tar, parent, leaf, path);
      case TarEntry::Type::directory:
      case TarEntry::Type::character_device:
      case TarEntry::Type::block_device:
      case TarEntry::Type::socket:
        throw Error(fmt::format("{} is a device or a socket, which only root can make", printable(path, 4096)));
    }
  }

  void link(const TarEntry& entry, const Fd& parent, const std::string& leaf, const std::string& path) const {
    const auto target =
        rootfs_.find(directory_ + path_of(squashfs::parse_layer_path(entry.link_target)), O_PATH | O_NOFOLLOW);
    if (!target) throw Error(fmt::format("{} is a link to what is not there", printable(path, 4096)));
    // Without a /proc here: by the capability over this namespace's files (open(2), AT_EMPTY_PATH of linkat).
    if (::linkat(target->get(), "", parent.get(), leaf.c_str(), AT_EMPTY_PATH) != 0) refuse(path);
  }

  static void put_file(const TarEntry& entry, squashfs::TarReader& tar, const Fd& parent, const std::string& leaf,
                       const std::string& path) {
    const Fd file(::openat(parent.get(), leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file) refuse(path);
    while (const auto data = tar.read_data()) write_all_at(file.get(), data->bytes, data->offset, path);
    if (::ftruncate(file.get(), static_cast<off_t>(entry.size_bytes)) != 0) refuse(path);
    if (::fchmod(file.get(), entry.permissions) != 0) refuse(path);
  }

  const runtime::Rootfs& rootfs_;
  const std::string directory_;
  FileOwners& owners_;
};

bool is_tar_header(std::span<const std::byte> bytes) {
  if (bytes.size() < k_tar_block) return false;
  return std::memcmp(bytes.data() + k_magic_at, "ustar", 5) == 0;
}

// Docker unpacks these: to copy them without a word would surprise later.
void refuse_unknown_compression(const Fd& file) {
  std::array<std::byte, 6> first{};
  read_at(file.get(), first, 0, "the archive");
  const bool is_xz = std::memcmp(first.data(),
                                 "\xfd"
                                 "7zXZ",
                                 6) == 0;
  if (is_xz || std::memcmp(first.data(), "BZh", 3) == 0) {
    throw Error(fmt::format("ADD does not unpack what is compressed with {}", is_xz ? "xz" : "bzip2"),
                "COPY it, and unpack it in a RUN");
  }
}

}  // namespace

void load_archive_libraries() {
  constexpr std::array k_gzip{std::byte{0x1f}, std::byte{0x8b}};
  Inflater::for_stream(k_gzip);
  squashfs::TarReader([] { return std::span<const std::byte>(); });
}

bool is_archive(const Fd& file) {
  refuse_unknown_compression(file);
  try {
    return is_tar_header(Inflated(file, "the archive").next());
  } catch (const squashfs::LayerError&) {
    return false;  // copied as it is
  }
}

void unpack_archive(const Fd& file, const std::string& name, const runtime::Rootfs& rootfs,
                    const std::string& directory, FileOwners& owners) try {
  Inflated bytes(file, name);
  squashfs::TarReader tar([&] { return bytes.next(); });
  Unpacking unpacking(rootfs, directory, owners);
  while (const TarEntry* entry = tar.next()) unpacking.put(*entry, tar);
} catch (Error& error) {
  error.add_context(fmt::format("cannot unpack {}", printable(name, 4096)));
  throw;
}

}  // namespace mlctr::build
