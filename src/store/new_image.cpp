#include "store/new_image.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/recorded_file.hpp"
#include "store/sharing.hpp"

namespace mlctr {
namespace {

// Images never change once in the store; modes that say so keep accidents away.
void seal(int fd, const std::filesystem::path& path) {
  share_with_group(fd, path.parent_path());
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw SysError("cannot stat " + path.string());
  if (::fchmod(fd, status.st_mode & (S_IRUSR | S_IRGRP | S_IROTH)) != 0)
    throw SysError("cannot chmod " + path.string());
  sync_file(fd, path.string());
}

void write_sealed_file(const std::filesystem::path& path, std::string_view content) {
  const Fd fd = open_file(path, O_WRONLY | O_CREAT | O_EXCL);
  write_all(fd.get(), std::as_bytes(std::span(content)), path.string());
  seal(fd.get(), path);
}

bool is_occupied(int errno_value) {
  return errno_value == ENOTEMPTY || errno_value == EEXIST;
}

}  // namespace

bool is_whole_image(const std::filesystem::path& directory) {
  struct stat status {};
  if (::lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  for (const char* name : {"manifest.json", "config.json"}) {
    if (::stat((directory / name).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return false;
  }
  const std::filesystem::path squashfs = directory / "image.sqsh";
  if (const auto recorded = read_recorded_file(squashfs)) return recorded->state == RecordedFile::State::unchanged;
  return ::lstat(squashfs.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

NewImage::NewImage(std::filesystem::path directory, std::filesystem::path final_directory)
    : directory_(std::move(directory)), final_directory_(std::move(final_directory)) {
  make_store_directory(directory_);
  try {
    file_ = open_file(path(), O_RDWR | O_CREAT | O_EXCL);
  } catch (...) {
    discard();
    throw;
  }
}

NewImage::NewImage(NewImage&& other) noexcept
    : directory_(std::exchange(other.directory_, {})),
      final_directory_(std::move(other.final_directory_)),
      file_(std::move(other.file_)) {}

NewImage::~NewImage() {
  discard();
}

void NewImage::discard() noexcept {
  if (directory_.empty()) return;
  file_.reset();            // NFS would keep it, and its directory, as long as it is open
  std::error_code ignored;  // what stays is gc's
  std::filesystem::remove_all(directory_, ignored);
  directory_.clear();
}

void NewImage::take(UnnamedFile& file) {
  ::unlink(path().c_str());
  if (!file.link(path())) throw SysError("cannot write " + path().string(), EEXIST);
  file_ = open_file(path(), O_RDWR);
}

void NewImage::record_existing(const std::filesystem::path& squashfs) {
  file_.reset();
  ::unlink(path().c_str());
  record_file(path(), squashfs);
}

void NewImage::commit(std::string_view manifest_bytes, std::string_view config_bytes) {
  write_sealed_file(directory_ / "manifest.json", manifest_bytes);
  write_sealed_file(directory_ / "config.json", config_bytes);
  if (file_) seal(file_.get(), path());
  sync_directory(directory_);
  move_into_place();
  sync_directory(final_directory_.parent_path());
}

void NewImage::move_into_place() {
  // rename(2) replaces no directory that has something in it: of several processes the first one's image stays.
  for (;;) {
    if (::rename(directory_.c_str(), final_directory_.c_str()) == 0) return directory_.clear();
    if (!is_occupied(errno))
      throw SysError("cannot rename " + directory_.string() + " to " + final_directory_.string());
    if (is_whole_image(final_directory_)) return discard();
    // Someone removed files by hand, or the .sqsh that was recorded is gone: not an image any more, so ours takes the
    // place.
    std::filesystem::path aside = directory_;
    aside += "-replaced";
    if (::rename(final_directory_.c_str(), aside.c_str()) != 0 && errno != ENOENT) {
      throw SysError("cannot move the broken image " + final_directory_.string() + " away");
    }
    std::error_code ignored;
    std::filesystem::remove_all(aside, ignored);
  }
}

}  // namespace mlctr
