// The packages that a root filesystem says it has: values parsed from package managers' databases, which are hostile
// input. RPM's database isn't read: SQLite, Berkeley DB or ndb, each a format of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::packages {

struct Package {
  std::string ecosystem;  ///< "deb", "apk", "python", "conda"
  std::string name;
  std::string version;
  std::string origin{};  ///< the source package, URL, commit or channel it came from; empty where nothing says so

  auto operator<=>(const Package&) const = default;
};

struct PackageList {
  std::vector<Package> packages;      ///< sorted, each once
  std::vector<std::string> unread{};  ///< databases that are there but weren't read: paths, and broken ones
};

/// The content of a file; absent where there is none, or it is larger than that many bytes.
using ReadFile = std::function<std::optional<std::string>(const std::string& path, std::uint64_t max_bytes)>;

/// `files`: the absolute paths of all regular files.
PackageList find_packages(const std::vector<std::string>& files, const ReadFile& read);

// One database each. What is no package in it is left out; none throws.

/// /var/lib/dpkg/status, and distroless's /var/lib/dpkg/status.d/*: deb-control(5).
std::vector<Package> parse_dpkg_status(std::string_view text);
/// /lib/apk/db/installed: https://wiki.alpinelinux.org/wiki/Apk_spec.
std::vector<Package> parse_apk_installed(std::string_view text);
/// *.dist-info/METADATA and *.egg-info/PKG-INFO: the core metadata specification. `direct_url`: direct_url.json (PEP
/// 610), empty where there is none.
std::optional<Package> parse_python_metadata(std::string_view text, std::string_view direct_url);
/// conda-meta/*.json.
std::optional<Package> parse_conda_record(std::string_view text);

}  // namespace mlctr::packages
