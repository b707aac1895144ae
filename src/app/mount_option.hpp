// One --mount of the command line, in pyxis's syntax.
#pragma once

#include <filesystem>
#include <string_view>

#include "runtime/mount.hpp"

namespace mlctr {

/// One --mount (or `option`, in messages): SRC[:DST[:OPTION+OPTION]], tmpfs:DST[:size=S], umount:DST; pyxis's syntax.
/// "\:" is a colon. A relative SRC counts from `directory`; DST is SRC where it is not given. A SRC that is a squashfs
/// file is mounted as the directory in it, and needs a DST, unless "file" is among the options. Throws UsageError that
/// says what is wrong.
runtime::Mount parse_mount(std::string_view text, const std::filesystem::path& directory,
                           std::string_view option = "--mount");

}  // namespace mlctr
