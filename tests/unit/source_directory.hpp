// Where tests find fixtures and servers. A function, not a macro on every file: the compiler's cache would never hit in another
// checkout.
#pragma once

#include <filesystem>

/// The root of the source tree.
std::filesystem::path source_directory();
