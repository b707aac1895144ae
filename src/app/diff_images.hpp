// The use case `mlctr diff`: what one image or container has that another hasn't.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "app/image_files.hpp"
#include "packages/package.hpp"

namespace mlctr {

struct PackageChange {
  std::string ecosystem, name;
  std::string before, after;  ///< versions; empty where there is none
};

struct FileChange {
  std::string path;
  enum class Kind { added, removed, changed } kind = Kind::changed;
  std::vector<std::string> what{};  ///< of a changed one: "content", "mode 0644 -> 0755", "owner …", "type …", "target"
};

struct ImageDifference {
  std::vector<PackageChange> packages;
  std::vector<FileChange> files;  ///< by path; times don't count
  std::vector<std::string> unread_databases;

  bool is_empty() const { return packages.empty() && files.empty(); }
};

/// By ecosystem and name; several versions of one name are told as one, "1.0, 2.0".
std::vector<PackageChange> compare_packages(const std::vector<packages::Package>& before,
                                            const std::vector<packages::Package>& after);

ImageDifference diff_images(const Configuration& configuration, std::string_view before, std::string_view after,
                            const std::stop_token& stop);

}  // namespace mlctr
