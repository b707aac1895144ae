// All files of an image, or of a container (its changes over its image), seen from outside and without mounting: for
// comparing them and for what packages they hold. Hostile: broken images throw Error, an upper directory is only read
// by descriptor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "app/configuration.hpp"
#include "app/open_image.hpp"
#include "packages/package.hpp"
#include "runtime/rootfs.hpp"
#include "squashfs/tree.hpp"

namespace mlctr {

enum class FileKind { directory, regular, symlink, character_device, block_device, fifo, socket };

struct ImageEntry {
  FileKind kind = FileKind::regular;
  std::uint16_t permissions = 0;
  std::uint32_t uid = 0, gid = 0;
  std::uint64_t size_bytes = 0;                    ///< of a regular file
  std::string target{};                            ///< of a symlink; a device's "major:minor"
  std::optional<squashfs::InodeIndex> in_image{};  ///< absent: its content is in the upper directory
};

class ImageFiles {
 public:
  explicit ImageFiles(const std::filesystem::path& squashfs);
  /// Owners are those of the image, and 0 for what it does not have, as `mlctr save` has it.
  ImageFiles(const std::filesystem::path& squashfs, const std::filesystem::path& upper);

  /// By absolute path ("/usr/bin/x"), without "/" itself and without /.mlctr, which is mlctr's own.
  const std::map<std::string, ImageEntry>& entries() const noexcept { return entries_; }

  /// A regular file's bytes from `offset` on; returns how many, fewer than into.size() only at its end.
  std::size_t read(const std::string& path, std::uint64_t offset, std::span<std::byte> into) const;

  packages::PackageList packages() const;

 private:
  void add_image(squashfs::InodeIndex index, const std::string& path);
  void add_upper(const Fd& directory, const std::string& path);
  void add_upper_entry(const Fd& directory, const std::string& path, const std::string& name);
  void remove_below(const std::string& path);

  OpenImage image_;
  squashfs::Tree tree_;
  std::optional<runtime::Rootfs> upper_;
  std::map<std::string, ImageEntry> entries_;
};

/// What a user names: a container, an image of the stores, a .sqsh file. Throws Error where it is none of them.
ImageFiles open_files(const Configuration& configuration, std::string_view text);

}  // namespace mlctr
