// Reading a file of settings, if it can be trusted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace mlctr {

enum class SettingsOrigin { system, user };

/// Absent where there is no such file. Throws Error for one over 1 MiB, one that everyone may write to, and a user's
/// that belongs to someone else: whoever can write to it can name a hostile mirror or a store of his own.
std::optional<std::string> read_settings_file(const std::filesystem::path& file, SettingsOrigin origin);

}  // namespace mlctr
