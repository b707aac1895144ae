// Names of the store's files: a digest is "sha256-<hex>" where a ':' would be in the way.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.hpp"

namespace mlctr {

std::string digest_name(const Digest& digest);
/// Absent where `name` is not exactly one.
std::optional<Digest> parse_digest_name(std::string_view name);

/// The names in a directory, sorted; none where it is not there.
std::vector<std::string> list_directory(const std::filesystem::path& directory);

}  // namespace mlctr
