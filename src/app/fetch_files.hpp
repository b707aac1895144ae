// ADD of files of the web.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>
#include <vector>

#include "app/configuration.hpp"

namespace mlctr {

/// Puts each into `directory` (made), under the last name of its path; `checksum` ("sha256:…") may be empty. Nobody's
/// credentials are sent. Throws Error, Cancelled.
void fetch_files(const std::vector<std::string>& urls, const std::string& checksum,
                 const std::filesystem::path& directory, const Configuration& configuration,
                 const std::stop_token& stop);

}  // namespace mlctr
