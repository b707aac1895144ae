// The tar side of FileSet: one pass over the headers finds where each member's bytes lie, then members are read in
// place.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>

#include "app/file_set.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "squashfs/late_libarchive.hpp"

namespace mlctr {
namespace {

struct FreeArchive {
  void operator()(struct archive* archive) const { libarchive().read_free(archive); }
};
using Archive = std::unique_ptr<struct archive, FreeArchive>;

Archive new_archive() {
  Archive archive(libarchive().read_new());
  if (!archive) throw Error("cannot start libarchive: out of memory");
  return archive;
}

// "./l.tar", "/l.tar" and "l.tar" are one member, whoever wrote the archive and whoever its manifest. Empty where the
// name leads out of the archive.
std::string member_name(const std::filesystem::path& path) {
  const std::filesystem::path name = path.relative_path().lexically_normal();
  return name.empty() || *name.begin() == ".." ? std::string() : name.string();
}

bool is_compressed(int fd) {
  std::array<std::byte, 6> magic{};
  if (read_at(fd, magic, 0, "the archive") != magic.size()) return false;
  const auto starts_with = [&](std::initializer_list<unsigned> bytes) {
    std::size_t i = 0;
    for (const unsigned byte : bytes) {
      if (std::to_integer<unsigned>(magic[i++]) != byte) return false;
    }
    return true;
  };
  return starts_with({0x1f, 0x8b}) || starts_with({0x28, 0xb5, 0x2f, 0xfd}) ||
         starts_with({0xfd, '7', 'z', 'X', 'Z'}) || starts_with({'B', 'Z', 'h'});
}

// A file without a name, which goes with its descriptor. (Not O_TMPFILE: network filesystems lack it.)
Fd open_scratch(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / ("scratch-" + random_suffix());
  Fd fd = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  std::filesystem::remove(path);
  return fd;
}

// Unpacks the compression (not the tar).
Fd decompress(const Fd& from, const std::filesystem::path& name, const UnpackLimits& limits) {
  Fd to = open_scratch(limits.scratch_directory);
  const Archive archive = new_archive();
  // Never filter_all: for some formats that runs programs from PATH.
  libarchive().read_support_filter_gzip(archive.get());
  libarchive().read_support_filter_zstd(archive.get());
  libarchive().read_support_filter_xz(archive.get());
  libarchive().read_support_filter_bzip2(archive.get());
  libarchive().read_support_format_raw(archive.get());
  archive_entry* entry = nullptr;
  if (libarchive().read_open_fd(archive.get(), from.get(), 1u << 20) != ARCHIVE_OK ||
      libarchive().read_next_header(archive.get(), &entry) != ARCHIVE_OK) {
    throw Error(fmt::format("cannot decompress {}: {}", name.string(), libarchive().error_string(archive.get())));
  }
  std::vector<std::byte> buffer(1u << 20);
  for (std::uint64_t total = 0;;) {
    if (limits.stop.stop_requested()) throw Cancelled();
    const la_ssize_t got = libarchive().read_data(archive.get(), buffer.data(), buffer.size());
    if (got < 0)
      throw Error(fmt::format("cannot decompress {}: {}", name.string(), libarchive().error_string(archive.get())));
    if (got == 0) return to;
    total += static_cast<std::uint64_t>(got);
    if (total > limits.max_bytes) {
      throw Error(fmt::format("{} unpacks to more than {} bytes", name.string(), limits.max_bytes),
                  "if you trust it, raise pull.max_layer_bytes");
    }
    write_all(to.get(), std::span(buffer).first(static_cast<std::size_t>(got)), "a temporary copy of " + name.string());
  }
}

class TarFiles final : public FileSet {
 public:
  TarFiles(const std::filesystem::path& path, const UnpackLimits& limits)
      : path_(path), file_(std::make_shared<Fd>(open_regular_file(path))) {
    if (is_compressed(file_->get())) *file_ = decompress(*file_, path_, limits);
    index(limits.stop);
  }

  std::optional<Range> find(const std::string& path) const override {
    std::string wanted = member_name(path);
    // docker save writes a layer that comes twice as a symlink to the first.
    for (int hops = 0; hops < 8; ++hops) {
      const auto link = links_.find(wanted);
      if (link == links_.end()) break;
      wanted = member_name(std::filesystem::path(wanted).parent_path() / link->second);
    }
    const auto member = members_.find(wanted);
    if (member == members_.end()) return std::nullopt;
    return Range{file_, member->second.first, member->second.second};
  }

  const std::filesystem::path& name() const override { return path_; }

 private:
  // Read, not mapped: a file that somebody cuts short while we look at it must be an error, not a SIGBUS.
  void index(const std::stop_token& stop) {
    const std::uint64_t size = file_size(file_->get(), path_.string());
    if (size == 0) throw Error(path_.string() + " is empty");
    if (::lseek(file_->get(), 0, SEEK_SET) != 0) throw SysError("cannot read " + path_.string());
    const Archive archive = new_archive();
    libarchive().read_support_format_tar(archive.get());
    if (libarchive().read_open_fd(archive.get(), file_->get(), 64u << 10) != ARCHIVE_OK) fail(*archive);
    archive_entry* entry = nullptr;
    for (;;) {
      if (stop.stop_requested()) throw Cancelled();
      const int result = libarchive().read_next_header(archive.get(), &entry);
      if (result == ARCHIVE_EOF) return;
      if (result < ARCHIVE_WARN) fail(*archive);
      // Behind the member's headers, whatever the dialect: where its bytes begin.
      const la_int64_t position = libarchive().filter_bytes(archive.get(), 0);
      remember(*entry, static_cast<std::uint64_t>(position), size);
    }
  }

  void remember(archive_entry& entry, std::uint64_t offset, std::uint64_t archive_size) {
    const char* raw_name = libarchive().entry_pathname(&entry);
    const std::string name = raw_name == nullptr ? std::string() : member_name(raw_name);
    if (name.empty()) return;
    if (const char* target = libarchive().entry_symlink(&entry)) links_[name] = target;
    if (libarchive().entry_filetype(&entry) != AE_IFREG || libarchive().entry_hardlink(&entry) != nullptr) return;
    if (libarchive().entry_sparse_count(&entry) > 0) {
      throw Error(fmt::format("cannot read {}: member {} is stored with holes", path_.string(), printable(name)),
                  "pack it without tar's --sparse");
    }
    const auto size = static_cast<std::uint64_t>(libarchive().entry_size(&entry));
    if (offset > archive_size || size > archive_size - offset) {
      throw Error(fmt::format("{} is cut short: member {} is not whole", path_.string(), printable(name)));
    }
    members_[name] = {offset, size};
  }

  [[noreturn]] void fail(struct archive& archive) const {
    throw Error(
        fmt::format("cannot read {} as a tar archive: {}", path_.string(), libarchive().error_string(&archive)));
  }

  std::filesystem::path path_;
  std::shared_ptr<Fd> file_;
  std::map<std::string, std::pair<std::uint64_t, std::uint64_t>> members_;  // name -> offset, size
  std::map<std::string, std::string> links_;
};

}  // namespace

std::unique_ptr<FileSet> open_tar(const std::filesystem::path& path, const UnpackLimits& limits) {
  return std::make_unique<TarFiles>(path, limits);
}

}  // namespace mlctr
