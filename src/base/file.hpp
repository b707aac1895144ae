// Whole-file and positional I/O that retries short transfers and EINTR. All throw SysError; for a full disk with a hint
// that names the directory and what is free there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.hpp"

namespace mlctr {

/// The whole file; throws Error when it is larger than `max_bytes` (files of configuration and hostile ones alike).
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes = 16u << 20);

/// The same; empty where it can't be read: for what the kernel says of itself, which may be hidden or gone by now.
std::string read_file_if_any(const std::filesystem::path& path, std::uint64_t max_bytes = 16u << 20);

/// Replaces `path` by rename after fsync, so a reader sees the old or the new content whole; the directory is synced
/// too.
void write_file_atomically(const std::filesystem::path& path, std::string_view content, mode_t mode = 0666);

void write_all(int fd, std::span<const std::byte> bytes, std::string_view file_name);
void write_all_at(int fd, std::span<const std::byte> bytes, std::uint64_t offset, std::string_view file_name);

/// Reads up to bytes.size() bytes at `offset`; fewer only at the end of the file.
std::size_t read_at(int fd, std::span<std::byte> bytes, std::uint64_t offset, std::string_view file_name);

/// What comes out of a pipe until all who write to it have closed it; as far as that goes, if reading fails.
std::string read_until_end(int pipe);

/// Copies `size` bytes between files: copy_file_range (a reflink where the filesystem can), read and write elsewhere.
void copy_range(int from, std::uint64_t from_offset, int to, std::uint64_t to_offset, std::uint64_t size,
                std::string_view to_name);

/// Whether an errno says that a filesystem (or a quota on it) is full.
bool is_disk_full(int errno_value);

/// Bytes an ordinary user may still write to the filesystem of `path`; 0 where it can't be asked.
std::uint64_t free_bytes(const std::filesystem::path& path);

/// `path`, or the nearest of its parents that is there: where something would be made that is not there yet.
std::filesystem::path nearest_existing(std::filesystem::path path);

std::uint64_t file_size(int fd, std::string_view file_name);

void sync_file(int fd, std::string_view file_name);
/// Makes a rename or an unlink in `directory` durable.
void sync_directory(const std::filesystem::path& directory);

/// rename(2), replacing `to`; both on one filesystem.
void rename_file(const std::filesystem::path& from, const std::filesystem::path& to);

/// 16 random hex digits, for names that no other process or node picks.
std::string random_suffix();

/// A file under a temporary name: removed by the destructor unless commit() gave it its final name.
class TemporaryFile {
 public:
  /// Creates (or truncates) `path` for reading and writing.
  explicit TemporaryFile(std::filesystem::path path, mode_t mode = 0666);
  TemporaryFile(TemporaryFile&& other) noexcept;
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile();

  int fd() const noexcept { return fd_.get(); }
  const std::filesystem::path& path() const noexcept { return path_; }

  /// fsync, rename to `final_path`, fsync of its directory: the file is visible whole or not at all.
  void commit(const std::filesystem::path& final_path);

 private:
  std::filesystem::path path_;
  Fd fd_;
};

}  // namespace mlctr
