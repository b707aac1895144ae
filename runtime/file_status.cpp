#include "runtime/file_status.hpp"

#include <sys/sysmacros.h>

#include <algorithm>

namespace mlctr::runtime {
namespace {

using namespace squashfs;

// What ext4 and xfs say. Programs take it as the size of the buffer they read with: with the image's 128 KiB, Python's
// open() would allocate that much for each small file.
constexpr blksize_t k_preferred_read_bytes = 4096;
constexpr std::uint64_t k_stat_block_bytes = 512;

class StatusOfKind {
 public:
  explicit StatusOfKind(struct stat& status) : status_(status) {}

  void operator()(const StoredDirectory& directory) const {
    set(S_IFDIR, std::uint64_t{directory.size_bytes} + k_listing_overhead, 0);
  }
  void operator()(const StoredFile& file) const { set(S_IFREG, file.size_bytes, file.hole_bytes); }
  void operator()(const Symlink& link) const { set(S_IFLNK, link.target.size(), 0); }
  void operator()(const Device& device) const {
    set(device.kind == DeviceKind::block ? S_IFBLK : S_IFCHR, 0, 0);
    status_.st_rdev = makedev(device.major, device.minor);
  }
  void operator()(const Fifo&) const { set(S_IFIFO, 0, 0); }
  void operator()(const Socket&) const { set(S_IFSOCK, 0, 0); }

 private:
  void set(mode_t type, std::uint64_t size_bytes, std::uint64_t hole_bytes) const {
    status_.st_mode |= type;
    status_.st_size = static_cast<off_t>(size_bytes);
    const std::uint64_t data_bytes = size_bytes - std::min(size_bytes, hole_bytes);
    status_.st_blocks = static_cast<blkcnt_t>((data_bytes + k_stat_block_bytes - 1) / k_stat_block_bytes);
  }

  struct stat& status_;
};

}  // namespace

struct stat file_status(const StoredInode& inode, const Owner& owner) {
  struct stat status = {};
  status.st_ino = inode.number;
  status.st_nlink = inode.links;
  status.st_mode = inode.permissions;
  status.st_uid = owner.uid;
  status.st_gid = owner.gid;
  status.st_blksize = k_preferred_read_bytes;
  for (struct timespec* time : {&status.st_atim, &status.st_mtim, &status.st_ctim})
    *time = {.tv_sec = inode.mtime, .tv_nsec = 0};
  std::visit(StatusOfKind(status), inode.kind);
  return status;
}

}  // namespace mlctr::runtime
