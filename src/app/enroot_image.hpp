// Images that enroot made: no config, but three files that say how to run them (enroot's doc/image-format.md).
//
//   /etc/environment   runtime/environment_file.hpp
//   /etc/rc            a shell script; gets the command as its arguments, and becomes it
//   /etc/fstab         runtime/fstab.hpp
//
// All three are as hostile as the rest of an image: the script runs in the container only, and a mount shows nothing
// that is not in the image.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "image/config.hpp"
#include "runtime/host.hpp"
#include "runtime/mount.hpp"
#include "squashfs/reader.hpp"

namespace mlctr {

/// What the three files come to, as an image config: the script is its Entrypoint, so that --entrypoint and
/// --no-entrypoint mean what they always do. Empty where the image has neither script nor environment. A link in the
/// place of a file counts as none; what no image means, as a file too large, is left out, and told by enroot_mounts().
std::string enroot_config(const squashfs::Reader& image);

/// Puts the host's variables into the environment of such a config, those that containers may see; leaves any other
/// config as it is.
ImageConfig with_host_variables(ImageConfig config, const runtime::Host& host);

/// The image's mounts, to be made before any of the host's: memory, and directories of the image shown at a second
/// place. Others are left out; `tell` gets one line about them all, and what enroot_config() left out. `rootfs`: as in
/// FstabPlace.
std::vector<runtime::Mount> enroot_mounts(const ImageConfig& config, const std::filesystem::path& rootfs,
                                          const std::function<void(const std::string&)>& tell);

}  // namespace mlctr
