// A library of the host's as the container's loader will know it.
#pragma once

#include <filesystem>
#include <optional>

#include "hooks/host_view.hpp"
#include "runtime/loader_library.hpp"

namespace mlctr::hooks {

/// By its soname, or its file's name where it has none; `path` is left empty. Absent where the file is no library of an
/// architecture that glibc's cache tells apart here.
std::optional<runtime::LoaderLibrary> read_loaded_library(const HostView& host, const std::filesystem::path& path);

}  // namespace mlctr::hooks
