// Removing what programs left.
#pragma once

#include <filesystem>

namespace mlctr {

/// `tree` and all below it, directories that their owner may not enter included. Nothing there is no error. Follows no
/// link. Throws SysError.
void remove_tree(const std::filesystem::path& tree);

}  // namespace mlctr
