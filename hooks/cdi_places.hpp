// Where a file of a CDI device goes in the container. A library in a directory that the file tells the loader of (the
// hook update-ldcache) and a program of a driver go into k_driver_directory, as with --gpus: nothing of them is left in
// the rootfs. Everything else goes where the file says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hooks/request.hpp"

namespace mlctr::hooks {

/// One that update-ldcache names.
struct CdiFolder {
  std::string path;  ///< absolute
  bool is_for_32_bits = false;
};

class CdiPlaces {
 public:
  CdiPlaces(std::vector<CdiFolder> folders, DriverLayout layout);

  /// Whether the loader looks in the directory of `path`.
  bool is_in_folder(std::string_view path) const;

  /// For a library's, a link's or a program's path.
  std::string place_of(const std::string& path) const;

  /// Whether place_of() of a program's path is k_driver_directory's.
  static bool is_program_path(std::string_view path);

 private:
  std::vector<CdiFolder> folders_;  // the longest first
  DriverLayout layout_;
};

}  // namespace mlctr::hooks
