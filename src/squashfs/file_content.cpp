#include "squashfs/file_content.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/codec.hpp"
#include "squashfs/format.hpp"

namespace mlctr::squashfs {
namespace {

// What can be read of an image's data: its blocks, one at a time.
class BlockReader {
 public:
  BlockReader(int file, const std::filesystem::path& name)
      : file_(file),
        name_(name.string()),
        superblock_(read_superblock()),
        decompressor_(superblock_.compressor, superblock_.block_bytes) {}

  std::size_t block_bytes() const { return superblock_.block_bytes; }

  /// The stored bytes of a block start at `start`; `size_word` as in FileContent.
  Bytes read(std::uint64_t start, std::uint32_t size_word) const {
    const std::size_t stored_bytes = size_word & ~k_raw_block;
    if (stored_bytes > block_bytes()) throw Error(fmt::format("{} has a block larger than a block", name_));
    Bytes stored(stored_bytes);
    if (read_at(file_, stored, start, name_) != stored.size())
      throw Error(fmt::format("{} ends inside a block", name_));
    if ((size_word & k_raw_block) != 0) return stored;
    Bytes block(block_bytes());
    block.resize(decompressor_.decompress(stored, block));
    return block;
  }

 private:
  Superblock read_superblock() const {
    Bytes bytes(k_superblock_bytes);
    bytes.resize(read_at(file_, bytes, 0, name_));
    return decode_superblock(bytes, file_size(file_, name_));
  }

  int file_;
  std::string name_;
  Superblock superblock_;
  Decompressor decompressor_;
};

const FileContent* find_file(const Tree& tree, std::string_view path) {
  InodeIndex at = k_root;
  while (!path.empty()) {
    path.remove_prefix(1);  // the "/"
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    const auto* directory = std::get_if<Directory>(&tree.inodes[at].kind);
    if (directory == nullptr) return nullptr;
    const auto child = directory->children.find(name);
    if (child == directory->children.end()) return nullptr;
    at = child->second;
  }
  return std::get_if<FileContent>(&tree.inodes[at].kind);
}

void append(std::string& content, const Bytes& bytes) {
  content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void append_blocks(std::string& content, const FileContent& file, const BlockReader& reader) {
  std::uint64_t start = file.start;
  for (const std::uint32_t word : file.block_words) {
    if (word == 0) {
      content.append(std::min<std::uint64_t>(reader.block_bytes(), file.size_bytes - content.size()), '\0');
      continue;
    }
    append(content, reader.read(start, word));
    start += word & ~k_raw_block;
  }
}

void append_tail(std::string& content, const FileContent& file, const Tree& tree, const BlockReader& reader) {
  const FragmentBlock& fragment = tree.fragments.at(file.fragment);
  const Bytes block = reader.read(fragment.start, fragment.size_word);
  const std::uint64_t missing = file.size_bytes - content.size();
  if (file.fragment_offset > block.size() || block.size() - file.fragment_offset < missing) return;  // told by the size
  const auto begin = block.begin() + file.fragment_offset;
  append(content, Bytes(begin, begin + static_cast<std::ptrdiff_t>(missing)));
}

}  // namespace

std::optional<std::string> read_small_file(int file, const std::filesystem::path& name, const Tree& tree,
                                           std::string_view path, std::uint64_t max_bytes) {
  const FileContent* found = find_file(tree, path);
  if (found == nullptr) return std::nullopt;
  const auto broken = [&](std::string_view problem) {
    return Error(fmt::format("cannot read {} in {}: {}", path, name.string(), problem));
  };
  if (found->size_bytes > max_bytes) throw broken(fmt::format("it is larger than {} bytes", max_bytes));

  const BlockReader reader(file, name);
  // Blocks are whole but for the last, so there can't be more than the size asks for.
  if (found->block_words.size() > found->size_bytes / reader.block_bytes() + 1) throw broken("it has too many blocks");
  std::string content;
  append_blocks(content, *found, reader);
  if (found->fragment != k_no_fragment && content.size() < found->size_bytes)
    append_tail(content, *found, tree, reader);
  if (content.size() != found->size_bytes) throw broken("its blocks do not make up its size");
  return content;
}

}  // namespace mlctr::squashfs
