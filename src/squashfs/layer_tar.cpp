#include "squashfs/layer_tar.hpp"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "squashfs/layer_error.hpp"
#include "squashfs/layer_marks.hpp"
#include "squashfs/layer_path.hpp"
#include "squashfs/tar_header.hpp"

namespace mlctr::squashfs {
namespace {

using Type = TarHeader::Type;

constexpr std::string_view k_own_directory = ".mlctr/";
constexpr std::string_view k_opaque_marker = ".wh..wh..opq";
constexpr std::size_t k_max_tar_path_bytes = 4096;

bool is_whiteout(const StoredInode& inode) {
  const auto* device = std::get_if<Device>(&inode.kind);
  return device != nullptr && device->kind == DeviceKind::character && device->major == 0 && device->minor == 0;
}

// What a layer says of an inode by its attributes, and the attributes that are the file's own.
struct Marks {
  bool is_opaque = false;
  bool is_implied = false;
  std::string link_target;
  XattrSet own;
};

bool is_of_overlay(std::string_view name) {
  return name.starts_with("user.overlay.") || name.starts_with("trusted.overlay.") || name.starts_with("user.mlctr.") ||
         name.starts_with("trusted.mlctr.");
}

Marks read_marks(XattrSet xattrs) {
  Marks marks;
  for (auto& [name, value] : xattrs) {
    if (name == k_opaque_xattr) {
      marks.is_opaque = value == k_mark_is_set;
    } else if (name == k_implied_xattr) {
      marks.is_implied = value == k_mark_is_set;
    } else if (name == k_link_xattr) {
      marks.link_target = value;
    } else if (!is_of_overlay(name) && name != "security.selinux") {
      marks.own.emplace_back(std::move(name), std::move(value));
    }
  }
  return marks;
}

class LayerTarWriter {
 public:
  LayerTarWriter(const Reader& layer, const ByteSink& sink) : layer_(layer), contents_(layer), sink_(sink) {}

  void run(const std::stop_token& stop) {
    enter(layer_.root());
    while (!open_.empty()) {
      if (stop.stop_requested()) throw Cancelled();
      path_.resize(open_.back().path_bytes);
      const std::optional<StoredEntry> entry = open_.back().cursor.next();
      if (entry) {
        visit(*entry);
      } else {
        open_.pop_back();
      }
    }
    put(std::string(2 * k_tar_block_bytes, '\0'));
  }

 private:
  struct OpenDirectory {
    DirectoryCursor cursor;
    std::size_t path_bytes;
  };

  void put(std::string_view text) { sink_(std::as_bytes(std::span(text))); }

  // path_ names the directory, with a '/' behind it; the root is "".
  void enter(const StoredInode& inode) {
    const Marks marks = read_marks(layer_.xattrs(inode.xattrs));
    if (!marks.is_implied) {
      put_member({.type = Type::directory, .path = path_.empty() ? "./" : path_, .xattrs = marks.own}, inode);
    }
    if (marks.is_opaque) put(write_tar_header({.path = path_ + std::string(k_opaque_marker)}));
    open_.push_back({DirectoryCursor(layer_, std::get<StoredDirectory>(inode.kind)), path_.size()});
  }

  void put_member(TarHeader member, const StoredInode& inode) {
    member.permissions = inode.permissions;
    member.uid = inode.uid;
    member.gid = inode.gid;
    member.mtime = inode.mtime;
    put(write_tar_header(member));
  }

  void visit(const StoredEntry& entry) {
    const StoredInode inode = layer_.inode(entry.inode);
    if (is_whiteout(inode)) return put_whiteout(entry.name);
    if (entry.name.starts_with(k_whiteout_prefix)) {
      throw Error(fmt::format("{} can be in no layer: names with .wh. in front say what a layer removes",
                              quote_name(path_ + entry.name)),
                  "give it another name, or remove it");
    }
    path_ += entry.name;
    if (path_.size() >= k_max_tar_path_bytes) throw Error(quote_name(path_) + " is too long a name for a layer");
    if (!std::holds_alternative<StoredDirectory>(inode.kind)) return put_other(entry, inode);
    path_ += '/';
    if (path_ == k_own_directory) return;
    if (!directories_.insert(entry.inode.reference()).second) layer_.image().refuse("a directory in it has two places");
    enter(inode);
  }

  void put_whiteout(const std::string& name) {
    if (name.size() + k_whiteout_prefix.size() > k_max_name_bytes) {
      throw Error(fmt::format("no layer can say that {} was removed: its name is too long", quote_name(path_ + name)),
                  "put an empty file in its place");
    }
    put(write_tar_header({.path = fmt::format("{}{}{}", path_, k_whiteout_prefix, name)}));
  }

  void put_other(const StoredEntry& entry, const StoredInode& inode) {
    if (std::holds_alternative<Socket>(inode.kind)) return;
    if (inode.links > 1) {
      const auto [known, is_new] = linked_.try_emplace(entry.inode.reference(), path_);
      if (!is_new) return put_member({.type = Type::hard_link, .path = path_, .link_target = known->second}, inode);
    }
    Marks marks = read_marks(layer_.xattrs(inode.xattrs));
    TarHeader member{.path = path_, .xattrs = std::move(marks.own)};
    if (const auto* file = std::get_if<StoredFile>(&inode.kind)) {
      if (file->size_bytes == 0 && !marks.link_target.empty()) {
        return put_member({.type = Type::hard_link, .path = path_, .link_target = marks.link_target}, inode);
      }
      return put_file(std::move(member), inode, *file);
    }
    if (const auto* link = std::get_if<Symlink>(&inode.kind)) {
      member.type = Type::symlink;
      member.link_target = link->target;
    } else if (const auto* device = std::get_if<Device>(&inode.kind)) {
      member.type = device->kind == DeviceKind::character ? Type::character_device : Type::block_device;
      member.device_major = device->major;
      member.device_minor = device->minor;
    } else {
      member.type = Type::fifo;
    }
    put_member(std::move(member), inode);
  }

  void put_file(TarHeader member, const StoredInode& inode, const StoredFile& file) {
    member.size_bytes = file.size_bytes;
    put_member(std::move(member), inode);
    contents_.read(layer_.content(file), sink_);
    put(std::string(tar_padding(file.size_bytes), '\0'));
  }

  const Reader& layer_;
  ContentStream contents_;
  const ByteSink& sink_;
  std::string path_;
  std::vector<OpenDirectory> open_;
  std::unordered_set<std::uint64_t> directories_;
  std::unordered_map<std::uint64_t, std::string> linked_;  // by inode, the path of the first name
};

}  // namespace

void write_layer_tar(const Reader& layer, const ByteSink& sink, const std::stop_token& stop) {
  LayerTarWriter(layer, sink).run(stop);
}

LayerTarSummary summarize_layer_tar(const Reader& layer, const std::stop_token& stop) {
  Hasher hasher;
  std::uint64_t bytes = 0;
  const auto count = [&](std::span<const std::byte> part) {
    hasher.update(part);
    bytes += part.size();
  };
  write_layer_tar(layer, count, stop);
  return {Digest::from_hex(HashAlgorithm::sha256, hasher.finish_hex()), bytes};
}

}  // namespace mlctr::squashfs
