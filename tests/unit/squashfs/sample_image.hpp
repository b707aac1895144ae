// Images for tests: a tree put together by paths, its data, and the file both are written to.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "base/fd.hpp"
#include "base/file.hpp"
#include "squashfs/tables.hpp"

namespace mlctr::test {

/// Finds an entry; fails the test where there is none.
inline squashfs::InodeIndex find_in(const squashfs::Tree& tree, std::string_view path) {
  squashfs::InodeIndex at = squashfs::k_root;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    const auto& children = tree.directory(at).children;
    const auto child = children.find(name);
    REQUIRE_MESSAGE(child != children.end(), "no ", std::string(name));
    at = child->second;
  }
  return at;
}

/// Adds an entry, and listed directories above it where they are missing.
inline squashfs::InodeIndex add_at(squashfs::Tree& tree, std::string_view path, squashfs::InodeIndex inode) {
  squashfs::InodeIndex at = squashfs::k_root;
  for (std::size_t slash; (slash = path.find('/')) != path.npos; path.remove_prefix(slash + 1)) {
    const std::string name(path.substr(0, slash));
    const auto known = tree.directory(at).children.find(name);
    if (known != tree.directory(at).children.end()) {
      at = known->second;
      continue;
    }
    const squashfs::InodeIndex made = tree.add({.kind = squashfs::Directory{}});
    tree.directory(at).children.emplace(name, made);
    at = made;
  }
  tree.directory(at).children.insert_or_assign(std::string(path), inode);
  return inode;
}

inline squashfs::InodeIndex add_at(squashfs::Tree& tree, std::string_view path, squashfs::Inode inode) {
  const squashfs::InodeIndex added = tree.add(std::move(inode));
  return add_at(tree, path, added);
}

class SampleImage {
 public:
  explicit SampleImage(std::filesystem::path path)
      : path_(std::move(path)), file_(open_file(path_, O_RDWR | O_CREAT | O_TRUNC)) {}

  squashfs::Tree tree;

  /// Stores `text` as it is: whole blocks, then the tail as a fragment block of its own.
  squashfs::FileContent content(std::string_view text) {
    squashfs::FileContent file{.size_bytes = text.size()};
    for (; text.size() >= squashfs::k_block_bytes; text.remove_prefix(squashfs::k_block_bytes)) {
      const bool is_hole = text.substr(0, squashfs::k_block_bytes).find_first_not_of('\0') == text.npos;
      if (!is_hole) {
        const std::uint64_t at = put(text.substr(0, squashfs::k_block_bytes));
        if (file.start == 0) file.start = at;
      } else {
        file.hole_bytes += squashfs::k_block_bytes;
      }
      file.block_words.push_back(is_hole ? 0 : squashfs::k_block_bytes | squashfs::k_raw_block);
    }
    if (text.empty()) return file;
    file.fragment = static_cast<std::uint32_t>(tree.fragments.size());
    tree.fragments.push_back({put(text), static_cast<std::uint32_t>(text.size()) | squashfs::k_raw_block});
    return file;
  }

  squashfs::InodeIndex add_file(std::string_view path, std::string_view text) {
    return add_at(tree, path, {.kind = content(text), .permissions = 0644});
  }

  /// Writes the tables; the file is whole then.
  const std::filesystem::path& finish(squashfs::MetadataCompression compression = squashfs::MetadataCompression::none) {
    squashfs::write_tables(tree, file_.get(), at_, compression);
    return path_;
  }

 private:
  std::uint64_t put(std::string_view text) {
    write_all_at(file_.get(), std::as_bytes(std::span(text)), at_, path_.string());
    return std::exchange(at_, at_ + text.size());
  }

  std::filesystem::path path_;
  Fd file_;
  std::uint64_t at_ = squashfs::k_data_start;
};

inline squashfs::Tree tree_of(const std::filesystem::path& image, std::uint64_t offset = 0) {
  const Fd file = open_file(image, O_RDONLY);
  return squashfs::read_tree(file.get(), image, offset);
}

/// One line an entry, in order: path, kind, permissions, owner, size or target or device, mtime, xattrs, and for each
/// inode with several names the first of them.
std::string listing_of(const squashfs::Tree& tree);

}  // namespace mlctr::test
