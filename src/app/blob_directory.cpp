#include "app/blob_directory.hpp"

#include <fcntl.h>

#include <set>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/unnamed_file.hpp"
#include "squashfs/tar_header.hpp"

namespace mlctr {
namespace {

using squashfs::k_tar_block_bytes;

constexpr std::uint64_t k_max_index_bytes = 4u << 20;

class PlainDirectory final : public BlobDirectory {
 public:
  explicit PlainDirectory(std::filesystem::path directory) : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_ / "blobs/sha256");
  }

  void add(const std::function<std::string(const squashfs::ByteSink&)>& write) override {
    UnnamedFile file(directory_ / "blobs/sha256");
    std::uint64_t bytes = 0;
    const std::string path = write([&](std::span<const std::byte> part) {
      write_all(file.fd(), part, directory_.string());
      bytes += part.size();
    });
    sync_file(file.fd(), path);
    if (file.link(directory_ / path)) written_ += bytes;  // else it is there, under its digest
  }

  void replace(const std::string& path, std::string_view content) override {
    write_file_atomically(directory_ / path, content);
    written_ += content.size();
  }

  std::string read(const std::string& path) const override {
    return std::filesystem::exists(directory_ / path) ? read_file(directory_ / path, k_max_index_bytes) : std::string();
  }

  std::uint64_t written_bytes() const override { return written_; }
  void finish() override { sync_directory(directory_ / "blobs/sha256"); }

 private:
  std::filesystem::path directory_;
  std::uint64_t written_ = 0;
};

class TarFile final : public BlobDirectory {
 public:
  TarFile(int output, std::string name) : output_(output), name_(std::move(name)) {}

  void add(const std::function<std::string(const squashfs::ByteSink&)>& write) override {
    const std::uint64_t begin = end_ + k_tar_block_bytes;
    std::uint64_t size = 0;
    const std::string path = write([&](std::span<const std::byte> part) {
      write_all_at(output_, part, begin + size, name_);
      size += part.size();
    });
    if (!paths_.insert(path).second) return;  // written over by what follows
    put(squashfs::write_tar_block({.path = path, .size_bytes = size, .permissions = 0644}), end_);
    put(std::string(squashfs::tar_padding(size), '\0'), begin + size);
    end_ = begin + size + squashfs::tar_padding(size);
  }

  void replace(const std::string& path, std::string_view content) override { BlobDirectory::add(path, content); }
  std::string read(const std::string&) const override { return {}; }
  std::uint64_t written_bytes() const override { return end_; }

  void finish() override {
    put(std::string(2 * k_tar_block_bytes, '\0'), end_);
    end_ += 2 * k_tar_block_bytes;
    // A part that was there twice may have left more behind.
    if (::ftruncate(output_, static_cast<off_t>(end_)) != 0) throw SysError("cannot set the size of " + name_);
  }

 private:
  void put(std::string_view text, std::uint64_t at) { write_all_at(output_, std::as_bytes(std::span(text)), at, name_); }

  int output_;
  std::string name_;
  std::uint64_t end_ = 0;
  std::set<std::string> paths_;
};

}  // namespace

void BlobDirectory::add(const std::string& path, std::string_view content) {
  add([&](const squashfs::ByteSink& sink) {
    sink(std::as_bytes(std::span(content)));
    return path;
  });
}

std::unique_ptr<BlobDirectory> open_blob_directory(const std::filesystem::path& directory) {
  return std::make_unique<PlainDirectory>(directory);
}

std::unique_ptr<BlobDirectory> make_blob_tar(int output, std::string name) {
  return std::make_unique<TarFile>(output, std::move(name));
}

}  // namespace mlctr
