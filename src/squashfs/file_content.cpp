#include "squashfs/file_content.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

std::optional<StoredInode> find_inode(const Reader& image, std::string_view path) {
  StoredInode inode = image.root();
  while (!path.empty()) {
    path.remove_prefix(1);  // the "/"
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    const auto* directory = std::get_if<StoredDirectory>(&inode.kind);
    if (directory == nullptr) return std::nullopt;
    const std::optional<StoredEntry> entry = image.find(*directory, name);
    if (!entry) return std::nullopt;
    inode = image.inode(entry->inode);
  }
  return inode;
}

}  // namespace

std::optional<std::string> read_small_file(const Reader& image, std::string_view path, std::uint64_t max_bytes) {
  const std::optional<StoredInode> inode = find_inode(image, path);
  const auto* file = inode ? std::get_if<StoredFile>(&inode->kind) : nullptr;
  if (file == nullptr) return std::nullopt;
  if (file->size_bytes > max_bytes) {
    throw Error(fmt::format("cannot read {} in the image: it is larger than {} bytes", path, max_bytes));
  }
  std::string content(file->size_bytes, '\0');
  content.resize(image.read_file(image.content(*file), 0, std::as_writable_bytes(std::span(content))));
  return content;
}

std::optional<std::uint64_t> size_of_file(const Reader& image, std::string_view path) {
  const std::optional<StoredInode> inode = find_inode(image, path);
  const auto* file = inode ? std::get_if<StoredFile>(&inode->kind) : nullptr;
  return file == nullptr ? std::nullopt : std::optional(file->size_bytes);
}

bool is_free(const Reader& image, std::string_view path) {
  const std::optional<StoredInode> inode = find_inode(image, path);
  if (inode) return false;
  for (std::size_t end = path.rfind('/'); end > 0 && end != path.npos; end = path.rfind('/', end - 1)) {
    const std::optional<StoredInode> parent = find_inode(image, path.substr(0, end));
    if (parent) return std::holds_alternative<StoredDirectory>(parent->kind);
  }
  return true;
}

bool has_file(const Reader& image, std::string_view path) {
  const std::optional<StoredInode> inode = find_inode(image, path);
  return inode && !std::holds_alternative<Symlink>(inode->kind);
}

}  // namespace mlctr::squashfs
