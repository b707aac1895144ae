#include "squashfs/merge.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "squashfs/codec.hpp"
#include "squashfs/extent_copy.hpp"
#include "squashfs/extent_plan.hpp"
#include "squashfs/kept_layers.hpp"
#include "squashfs/merge_tree.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/sif.hpp"
#include "squashfs/tables.hpp"
#include "squashfs/walk_order.hpp"

namespace mlctr::squashfs {
namespace {

struct LayerFile {
  std::filesystem::path path;
  Fd file;
  std::uint64_t offset = 0;  // of the image in it
  std::vector<FragmentBlock> fragments{};
  ExtentPlan plan{};
  std::map<std::uint32_t, std::uint32_t> kept_fragments{};  // number in the layer -> in the image
};

std::uint64_t round_up_to_page(std::uint64_t at) {
  return (at + k_data_start - 1) / k_data_start * k_data_start;
}

std::uint64_t stored_bytes(const FileContent& file) {
  std::uint64_t bytes = 0;
  for (const std::uint32_t word : file.block_words) bytes += word & k_stored_size_mask;
  return bytes;
}

// Parents are implied: what the image has in their place counts.
void add_to(Tree& tree, std::string_view path, Inode inode) {
  InodeIndex directory = k_root;
  for (;;) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    const std::string name(path.substr(0, path.find('/')));
    path.remove_prefix(name.size());
    if (name.empty()) return;
    if (name == "." || name == "..") throw Error(fmt::format("cannot add {} to an image: {} in it", path, name));
    auto& children = tree.directory(directory).children;
    if (path.find_first_not_of('/') == path.npos) {
      const InodeIndex added = tree.add(std::move(inode));
      tree.directory(directory).children.insert_or_assign(name, added);
      return;
    }
    const auto known = children.find(name);
    if (known != children.end()) {
      if (!std::holds_alternative<Directory>(tree.inodes[known->second].kind)) return;  // below a file of ours
      directory = known->second;
      continue;
    }
    const InodeIndex made = tree.add({.kind = Directory{.origin = DirectoryOrigin::implied}});
    tree.directory(directory).children.emplace(name, made);
    directory = made;
  }
}

class Merge {
 public:
  explicit Merge(BlockFormat format = {}) : format_(std::move(format)) {}

  // The tree's data is to be copied from `file`.
  void apply(const std::filesystem::path& path, Fd file, std::uint64_t offset, Tree tree) {
    LayerFile& layer = layers_.emplace_back(LayerFile{path, std::move(file), offset, {}, {}, {}});
    layer.fragments = std::move(tree.fragments);
    apply(std::move(tree), path);
  }

  // The layer's data lies in the output already, where it may stay: its fragments are the image's first. Call it once,
  // last.
  void apply_in_place(PackedLayer layer, const std::filesystem::path& path) {
    copies_start_ = round_up_to_page(layer.data_end);
    merged_.tree().fragments = std::move(layer.tree.fragments);
    apply(std::move(layer.tree), path);
  }

  std::size_t applied() const noexcept { return layers_.size(); }
  const Tree& tree() const noexcept { return merged_.tree(); }

  void add(const std::vector<AddedFile>& added) {
    for (const AddedFile& file : added) merged_.put(file.path, {.kind = store(file.content), .permissions = 0644});
  }

  void lay(const std::vector<AddedFile>& files, const std::vector<std::string>& directories) {
    Tree tree;
    tree.directory(k_root).origin = DirectoryOrigin::implied;
    for (const AddedFile& file : files) add_to(tree, file.path, {.kind = store(file.content), .permissions = 0644});
    for (const std::string& path : directories) add_to(tree, path, {.kind = Directory{}});
    merged_.lay(std::move(tree));
  }

  void write(int output, std::stop_token stop, ProgressItem* progress, const std::filesystem::path& beside = {}) {
    find_needed();
    const std::uint64_t added_start = place_extents();
    move_files(added_start);
    std::vector<ImageFile> files;
    for (const LayerFile& layer : layers_) files.emplace_back(layer.file.get(), layer.path, layer.offset);
    std::vector<PlacedPart> parts = placed_parts(files);
    ImagePieces pieces = beside.empty() ? ImagePieces() : keep_layers(parts, output, beside);
    copy_parts(parts, output, stop, progress);
    write_all_at(output, added_bytes_, added_start, "the image");
    if (stop.stop_requested()) throw Cancelled();
    pieces.image_bytes = write_tables(merged_.tree(), output, added_start + added_bytes_.size(), format_);
    if (!pieces.names.empty()) write_pieces(output, pieces, "the image");
  }

 private:
  void apply(Tree tree, const std::filesystem::path& path) {
    try {
      merged_.apply(std::move(tree));
    } catch (Error& error) {
      error.add_context(fmt::format("cannot merge {}", path.string()));
      throw;
    }
  }

  // Blocks at the end of the image, each compressed where that pays. Its start counts from the first of them until
  // move_files() knows where that is.
  FileContent store(std::string_view content) {
    FileContent file{.size_bytes = content.size(), .start = added_bytes_.size()};
    for (auto rest = std::as_bytes(std::span(content)); !rest.empty();) {
      const auto block = rest.first(std::min<std::size_t>(rest.size(), format_.block_bytes));
      const Bytes compressed = format_.compressor == CompressorId::zstd ? compress_zstd(block) : Bytes();
      const bool is_smaller = !compressed.empty() && compressed.size() < block.size();
      put(added_bytes_, is_smaller ? std::span<const std::byte>(compressed) : block);
      file.block_words.push_back(
          static_cast<std::uint32_t>(is_smaller ? compressed.size() : block.size() | k_raw_block));
      rest = rest.subspan(block.size());
    }
    return file;
  }

  // Calls `action` with each regular file that has a name in the image, and its layer's number (k_no_layer: added).
  template <class Action>
  void each_live_file(Action action) {
    for (InodeIndex i = 0; i < merged_.tree().inodes.size(); ++i) {
      auto* file = std::get_if<FileContent>(&merged_.tree().inodes[i].kind);
      if (file != nullptr && order_.numbers[i] != 0) action(*file, merged_.layer_of(i));
    }
  }

  void find_needed() {
    order_ = walk_order(merged_.tree());
    each_live_file([&](const FileContent& file, std::uint32_t number) {
      if (!is_copied(number)) return;
      LayerFile& layer = layers_[number];
      layer.plan.need(file.start, stored_bytes(file));
      if (file.fragment != k_no_fragment) layer.kept_fragments.emplace(file.fragment, 0);
    });
    for (LayerFile& layer : layers_) {
      for (const auto& [number, unused] : layer.kept_fragments) {
        const FragmentBlock& block = layer.fragments[number];
        layer.plan.need(block.start, block.size_word & k_stored_size_mask);
      }
    }
  }

  // Whether a layer of this number is a file to copy from, neither in place nor added.
  bool is_copied(std::uint32_t number) const { return number < layers_.size(); }

  std::vector<PlacedPart> placed_parts(const std::vector<ImageFile>& files) const {
    std::vector<PlacedPart> placed;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      for (const Extent& extent : layers_[i].plan.extents()) {
        // The last page of a file need not be whole.
        const std::uint64_t there = std::min(extent.size, files[i].size() - std::min(files[i].size(), extent.from));
        std::uint64_t to = extent.to;
        for (const ImagePart& part : files[i].parts(extent.from, there)) {
          placed.push_back({part, to, layers_[i].path});
          to += part.size;
        }
      }
    }
    return placed;
  }

  // Returns where the added files' blocks go.
  std::uint64_t place_extents() {
    std::uint64_t at = copies_start_;
    for (LayerFile& layer : layers_) {
      at = layer.plan.place(at);
      for (auto& [number, in_image] : layer.kept_fragments) {
        const FragmentBlock& block = layer.fragments[number];
        in_image = static_cast<std::uint32_t>(merged_.tree().fragments.size());
        merged_.tree().fragments.push_back({layer.plan.moved(block.start), block.size_word});
      }
    }
    return at;
  }

  void move_files(std::uint64_t added_start) {
    each_live_file([&](FileContent& file, std::uint32_t number) {
      const bool has_blocks = stored_bytes(file) > 0;
      if (number == k_no_layer) {
        file.start += added_start;
      } else if (is_copied(number)) {
        const LayerFile& layer = layers_[number];
        file.start = has_blocks ? layer.plan.moved(file.start) : 0;
        if (file.fragment != k_no_fragment) file.fragment = layer.kept_fragments.at(file.fragment);
      }
    });
  }

  const BlockFormat format_;
  std::uint64_t copies_start_ = k_data_start;
  std::vector<LayerFile> layers_;
  MergedTree merged_;
  Bytes added_bytes_;
  WalkOrder order_;
};

}  // namespace

struct LayerMerge::State {
  Merge merge;
  std::optional<std::filesystem::path> foreign;  // a layer whose blocks another program wrote
};

LayerMerge::LayerMerge() : state_(std::make_unique<State>()) {}
LayerMerge::LayerMerge(LayerMerge&&) noexcept = default;
LayerMerge& LayerMerge::operator=(LayerMerge&&) noexcept = default;
LayerMerge::~LayerMerge() = default;

void LayerMerge::apply(const std::filesystem::path& layer) {
  Fd file = open_file(layer, O_RDONLY);
  const Reader reader(file.get(), layer);
  if (!state_->foreign && block_format(reader) != BlockFormat{}) state_->foreign = layer;
  state_->merge.apply(layer, std::move(file), 0, read_tree(reader));
}

std::size_t LayerMerge::applied() const noexcept {
  return state_->merge.applied();
}

const Tree& LayerMerge::tree() const noexcept {
  return state_->merge.tree();
}

void LayerMerge::write(const std::vector<AddedFile>& added, int output, std::stop_token stop, ProgressItem* progress,
                       const std::filesystem::path& beside) {
  if (state_->foreign) {
    throw Error(fmt::format("cannot merge {}: it is not a layer file of mlctr (zstd, blocks of {} bytes)",
                            state_->foreign->string(), k_block_bytes));
  }
  state_->merge.add(added);
  state_->merge.write(output, std::move(stop), progress, beside);
}

void merge_layers(const std::vector<std::filesystem::path>& layers, const std::vector<AddedFile>& added, int output,
                  std::stop_token stop, ProgressItem* progress, const std::filesystem::path& beside) {
  LayerMerge merge;
  for (const std::filesystem::path& path : layers) merge.apply(path);
  merge.write(added, output, std::move(stop), progress, beside);
}

void merge_files(const std::filesystem::path& base, const std::vector<AddedFile>& files,
                 const std::vector<std::string>& directories, int output, std::stop_token stop,
                 ProgressItem* progress) {
  Fd file = open_file(base, O_RDONLY);
  const std::uint64_t offset = find_image_offset(file.get(), base);
  const Reader reader(file.get(), base, offset);
  Merge merge(block_format(reader));
  merge.apply(base, std::move(file), offset, read_tree(reader));
  merge.lay(files, directories);
  merge.write(output, stop, progress);
}

void merge_upper(const std::filesystem::path& base, UpperDirectory upper, const std::vector<AddedFile>& added,
                 int output, const PackOptions& options, std::stop_token stop, ProgressItem* progress) {
  Fd file = open_file(base, O_RDONLY);
  const std::uint64_t offset = find_image_offset(file.get(), base);
  const Reader reader(file.get(), base, offset);
  const BlockFormat format = block_format(reader);
  Tree base_tree = read_tree(reader);
  const std::filesystem::path upper_name = upper.name;
  CompressorPool pool(options.threads, options.compression_level, format);
  PackedLayer changes = pack_upper(std::move(upper), base_tree, output, pool, options.limits, stop);
  // Off with what a dropped duplicate may have left behind the last block: the copies need not cover all of it.
  if (::ftruncate(output, static_cast<off_t>(changes.data_end)) != 0) throw SysError("cannot set the size of an image");

  Merge merge(format);
  merge.apply(base, std::move(file), offset, std::move(base_tree));
  merge.apply_in_place(std::move(changes), upper_name);
  merge.add(added);
  merge.write(output, stop, progress);
}

}  // namespace mlctr::squashfs
