// Whether this kernel runs programs of another architecture: natively, or through an interpreter that was registered
// for their ELF header (binfmt_misc, Documentation/admin-guide/binfmt-misc.rst).
#pragma once

#include <filesystem>
#include <string_view>

namespace mlctr::runtime {

/// Architectures by Go's names, as images have them. True for one that is not known: nothing can be told of it.
bool can_run_architecture(std::string_view architecture, std::string_view host,
                          const std::filesystem::path& binfmt_misc = "/proc/sys/fs/binfmt_misc");

}  // namespace mlctr::runtime
