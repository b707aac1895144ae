#include "squashfs/pack_layer.hpp"

#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "squashfs/block_packer.hpp"
#include "squashfs/block_writer.hpp"
#include "squashfs/layer_tree.hpp"
#include "squashfs/tables.hpp"

namespace mlctr::squashfs {
namespace {

class LayerPacker {
 public:
  LayerPacker(TarReader::Source source, BlockWriter& writer, const LayerLimits& limits, TarRecorder* recorder)
      : reader_(std::move(source)),
        tree_(limits.max_entries),
        writer_(writer),
        packer_(writer),
        limits_(limits),
        recorder_(recorder) {}

  void read_entries(const std::stop_token& stop) {
    while (const TarEntry* entry = reader_.next()) {
      if (stop.stop_requested()) throw Cancelled();
      const std::optional<InodeIndex> file = tree_.apply(*entry);
      const FramedMember framed = recorder_ == nullptr ? FramedMember{} : recorder_->next_member();
      if (framed.has_content) {
        pack_recorded(file, *entry, framed);
      } else if (file) {
        pack_file(*file, *entry);
      }
    }
  }

  PackedLayer finish() {
    packer_.finish();
    WrittenBlocks written = writer_.finish();
    for (const auto& [inode, blocks] : block_files_) {
      FileContent& content = tree_.content(inode);
      content.start = written.files[blocks].start;
      content.block_words = std::move(written.files[blocks].block_words);
    }
    tree_.tree().fragments = std::move(written.fragments);
    return {std::move(tree_.tree()), written.end};
  }

 private:
  // A content that is nowhere in the tree (of a whiteout, say) is kept all the same: its tar can be made again.
  void pack_recorded(std::optional<InodeIndex> file, const TarEntry& entry, const FramedMember& framed) {
    if (!file) file = tree_.tree().add({.kind = FileContent{}});
    const bool is_whole = pack_file(*file, entry) && entry.size_bytes == framed.size_bytes;
    recorder_->place_content(is_whole ? file : std::nullopt);
  }

  // Returns whether the content has no holes.
  bool pack_file(InodeIndex file, const TarEntry& entry) {
    count_bytes(entry.size_bytes);
    packer_.begin_file(entry.size_bytes);
    std::uint64_t position = 0;
    std::uint64_t data_bytes = 0;
    while (const auto data = reader_.read_data()) {
      // Sparse maps lie at will: they must go forward, and end within the size the entry claims.
      if (data->offset < position || data->offset > entry.size_bytes ||
          data->bytes.size() > entry.size_bytes - data->offset) {
        throw LayerError("tar entry " + quote_name(entry.path) +
                         ": its content is not where its sparse map and size say");
      }
      packer_.append_zeros(data->offset - position);
      packer_.append(data->bytes);
      data_bytes += data->bytes.size();
      position = data->offset + data->bytes.size();
    }
    packer_.append_zeros(entry.size_bytes - position);
    PackedFile packed = packer_.end_file();
    tree_.set_content(file, std::move(packed.content));
    if (packed.blocks) block_files_.emplace_back(file, *packed.blocks);
    return data_bytes == entry.size_bytes;
  }

  // Holes count too: a sparse file's size costs a squashfs image 4 bytes a block whatever it holds.
  void count_bytes(std::uint64_t size) {
    if (size > limits_.max_uncompressed_bytes - file_bytes_) throw over_byte_limit(limits_);
    file_bytes_ += size;
  }

  TarReader reader_;
  LayerTree tree_;
  BlockWriter& writer_;
  BlockPacker packer_;
  const LayerLimits limits_;
  TarRecorder* const recorder_;
  std::uint64_t file_bytes_ = 0;
  std::vector<std::pair<InodeIndex, BlockFileIndex>> block_files_;  // contents to complete when all is written
};

void cut_file(int output, std::uint64_t size) {
  if (::ftruncate(output, static_cast<off_t>(size)) != 0) throw SysError("cannot set the size of a layer file");
}

// Aligns the tables, with zeros over what a dropped duplicate may have left behind the last block.
std::uint64_t pad_data(int output, std::uint64_t data_end) {
  const std::uint64_t tables_start = (data_end + k_data_start - 1) / k_data_start * k_data_start;
  cut_file(output, data_end);
  cut_file(output, tables_start);
  return tables_start;
}

}  // namespace

LayerLimitError over_byte_limit(const LayerLimits& limits) {
  return LayerLimitError("it unpacks to more than " + std::to_string(limits.max_uncompressed_bytes) + " bytes",

                         "if you trust this image, raise pull.max_layer_bytes");
}

PackedLayer pack_layer(TarReader::Source source, int output, CompressorPool& pool, const LayerLimits& limits,
                       std::stop_token stop, TarRecorder* recorder) {
  BlockWriter writer(output, k_data_start, pool, stop);
  LayerPacker packer(std::move(source), writer, limits, recorder);
  packer.read_entries(stop);
  return packer.finish();
}

void write_layer_tables(const PackedLayer& layer, int output) {
  write_tables(layer.tree, output, pad_data(output, layer.data_end));
}

}  // namespace mlctr::squashfs
