// The tree that a container's root is, by whichever way this machine can make it (DESIGN decision 5): a way is tried,
// and only where the kernel turns out to be without something the next one is.
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.hpp"
#include "runtime/container_server.hpp"
#include "runtime/rootfs_choice.hpp"

namespace mlctr::runtime {

struct ContainerSpec;

/// The images of a container as mounts, attached nowhere yet.
class ImageTrees {
 public:
  /// Borrows all.
  ImageTrees(const ContainerSpec& spec, const ContainerServer& server) : spec_(spec), server_(server) {}

  /// Served by the container's server. Throws NoFuse.
  Fd mount(std::size_t number) const;
  /// A directory, read-only.
  Fd unpack(std::size_t number);
  /// The first that can be done; tells of the second.
  Fd open(std::size_t number);
  /// The rootfs's own unpacked copy.
  Fd copy();

  void tell_once(const std::string& instead_of_what);
  /// For ContainerServer::hold; absent where its images alone tell it of the container's end.
  bool must_hold() const noexcept { return has_directories_; }
  const std::vector<Fd>& in_use() const noexcept { return in_use_; }

 private:
  Fd take(UnpackedImage image, std::uint64_t attributes);

  const ContainerSpec& spec_;
  const ContainerServer& server_;
  std::vector<Fd> in_use_;
  bool has_directories_ = false;
  bool has_told_ = false;
};

/// What the rootfs is made from, decided as far as it can be without mounting it.
struct RootfsBase {
  RootfsChoice way = RootfsChoice::overlay;  ///< not automatic
  Fd image;                                  ///< empty: a copy
};

RootfsBase open_base(const ContainerSpec& spec, ImageTrees& images);

struct BuiltRootfs {
  Fd tree;   ///< attached nowhere yet
  Fd upper;  ///< where the changes go; empty for a copy
};

/// `scratch` is the container's tmpfs, mounted at spec.scratch, with the directories image, upper and work.
BuiltRootfs make_rootfs(const ContainerSpec& spec, RootfsBase base, ImageTrees& images, const Fd& scratch);

/// spec.stacks, attached in `scratch`.
std::vector<Fd> make_stacks(const ContainerSpec& spec, ImageTrees& images, const Fd& scratch);

/// That tmpfs: only this container sees it.
Fd make_scratch(const std::filesystem::path& place);

}  // namespace mlctr::runtime
