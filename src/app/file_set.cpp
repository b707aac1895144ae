#include "app/file_set.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

class DirectoryFiles final : public FileSet {
 public:
  explicit DirectoryFiles(const std::filesystem::path& path)
      : path_(path), directory_(open_file(path, O_RDONLY | O_DIRECTORY)) {}

  std::optional<Range> find(const std::string& path) const override {
    auto file = std::make_shared<Fd>(::openat(directory_.get(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!*file && (errno == ENOENT || errno == ENOTDIR)) return std::nullopt;
    if (!*file) throw SysError("cannot open " + (path_ / path).string());
    struct stat status {};
    if (::fstat(file->get(), &status) != 0) throw SysError("cannot stat " + (path_ / path).string());
    if (!S_ISREG(status.st_mode)) throw Error((path_ / path).string() + " is not a regular file");
    return Range{std::move(file), 0, static_cast<std::uint64_t>(status.st_size)};
  }

  const std::filesystem::path& name() const override { return path_; }

 private:
  std::filesystem::path path_;
  Fd directory_;
};

class RangeStream final : public LayerStream {
 public:
  RangeStream(FileSet::Range range, ProgressItem& progress, std::stop_token stop)
      : range_(std::move(range)), stop_(std::move(stop)) {
    progress.downloaded_bytes = range_.size_bytes;
    progress.resumed_bytes = range_.size_bytes;  // nothing to download: no rate to show
  }

  std::size_t read(std::span<std::byte> into) override {
    if (stop_.stop_requested()) throw Cancelled();
    const std::uint64_t left = range_.size_bytes - done_;
    const std::size_t got = read_at(range_.file->get(), into.first(std::min<std::uint64_t>(into.size(), left)),
                                    range_.offset + done_, "the archive");
    done_ += got;
    return got;
  }

  void done() override {}
  bool reject(const Error&) override { return false; }
  std::uint64_t transferred_bytes() const override { return 0; }

 private:
  FileSet::Range range_;
  std::stop_token stop_;
  std::uint64_t done_ = 0;
};

}  // namespace

std::string FileSet::read(const std::string& path, std::uint64_t max_bytes) const {
  const std::optional<Range> range = find(path);
  if (!range) throw Error(fmt::format("{} has no {}", name().string(), path));
  if (range->size_bytes > max_bytes) {
    throw Error(fmt::format("{} in {} has {} bytes, over the limit of {}", path, name().string(), range->size_bytes,
                            max_bytes));
  }
  std::string content(range->size_bytes, '\0');
  const std::size_t got = read_at(range->file->get(), std::as_writable_bytes(std::span(content)), range->offset, path);
  if (got != content.size()) throw Error(fmt::format("{} was cut short while it was read", name().string()));
  return content;
}

std::unique_ptr<FileSet> open_directory(const std::filesystem::path& path) {
  return std::make_unique<DirectoryFiles>(path);
}

std::unique_ptr<LayerStream> stream_range(FileSet::Range range, ProgressItem& progress, std::stop_token stop) {
  return std::make_unique<RangeStream>(std::move(range), progress, std::move(stop));
}

}  // namespace mlctr
