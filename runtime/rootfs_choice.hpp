// How a container's root comes to be (DESIGN decision 5), and what the kernels need that can't do it the usual way.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/fd.hpp"

namespace mlctr::runtime {

/// automatic: the first of the others that this machine can do. Whatever else is chosen works or is an Error.
enum class RootfsChoice {
  automatic,
  overlay,         ///< the kernel's overlay over the mounted image: nothing is unpacked
  unpack,          ///< the kernel's overlay over the image unpacked once for all its containers: no FUSE needed
  fuse_overlayfs,  ///< the program of that name over the mounted image: for kernels without overlay for users
  copy             ///< an unpacked copy for each container, without any overlay
};

/// The image as a directory; `in_use` is open as long as nobody may remove it (may be empty).
struct UnpackedImage {
  std::filesystem::path tree;
  Fd in_use;
};

/// Called inside the container's namespaces while the host's paths are still there, where it comes to that; each may
/// take as long as unpacking does.
struct RootfsFallback {
  /// images[number] of the server, for all to read.
  std::function<UnpackedImage(std::size_t number)> unpack;
  /// images[0], for this container to change.
  std::function<UnpackedImage()> copy;
  /// Before fuse-overlayfs gets the upper directory to write to.
  std::function<void()> before_fuse_overlayfs;
  /// One line for the user.
  std::function<void(const std::string&)> tell;
};

/// What the container did before decides what it does now: its changes lie there.
enum class CopyState { absent, present };

}  // namespace mlctr::runtime
