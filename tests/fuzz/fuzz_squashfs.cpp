// Any bytes as a squashfs image: read whole, looked into and taken as a layer of a merge, it gives a tree or an Error;
// never a crash, a hang or much memory.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "squashfs/file_blocks.hpp"
#include "squashfs/merge_tree.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/tables.hpp"

namespace {

using namespace mlctr;
using namespace mlctr::squashfs;

// The ends and the middle of every file: what a mount would be asked for.
void read_some(const Reader& reader, const FileContent& file) {
  std::vector<std::byte> room(4096);
  for (const std::uint64_t at :
       {std::uint64_t{0}, file.size_bytes / 2, file.size_bytes - std::min<std::uint64_t>(file.size_bytes, 1)}) {
    try {
      reader.read_file(file, at, room);
    } catch (const Error&) {
      return;
    }
  }
}

void look_up(const Reader& reader) {
  const StoredInode root = reader.root();
  if (const auto* directory = std::get_if<StoredDirectory>(&root.kind)) {
    for (const char* name : {"a", "file-100", "zzz"}) reader.find(*directory, name);
    for (const std::uint32_t offset : {1u, directory->size_bytes / 2}) reader.list_from(*directory, offset).next();
  }
}

// As the image mount finds blocks: in any order, without the whole list.
void locate_some(const Reader& reader) {
  const StoredInode root = reader.root();
  DirectoryCursor entries(reader, std::get<StoredDirectory>(root.kind));
  for (int i = 0; i < 8; ++i) {
    const auto entry = entries.next();
    if (!entry) return;
    const StoredInode inode = reader.inode(entry->inode);
    const auto* file = std::get_if<StoredFile>(&inode.kind);
    if (file == nullptr || file->block_count == 0) continue;
    FileBlocks blocks(reader, *file);
    blocks.locate(file->block_count - 1, 1);
    blocks.locate(0, 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Fd file(::memfd_create("image", MFD_CLOEXEC));
  write_all(file.get(), std::as_bytes(std::span(data, size)), "the image");
  try {
    const Reader reader(file.get(), "the image", 0, 64);
    look_up(reader);
    locate_some(reader);
    Tree tree = read_tree(reader);
    std::size_t files = 0;
    for (const Inode& inode : tree.inodes) {
      const auto* content = std::get_if<FileContent>(&inode.kind);
      if (content != nullptr && ++files < 8) read_some(reader, *content);
    }
    MergedTree merged;
    merged.apply(tree);
    merged.apply(std::move(tree));
    const Fd output(::memfd_create("merged", MFD_CLOEXEC));
    write_tables(merged.tree(), output.get(), k_data_start);
  } catch (const Error&) {
    return 0;
  }
  return 0;
}
