// A file of the user's, on its way to where the user wants it: there whole or not at all.
#pragma once

#include <filesystem>

#include "base/unnamed_file.hpp"

namespace mlctr {

enum class Overwrite { refuse, replace };

/// Throws UsageError where no file may be written at `destination`: the name is empty, it is a directory or a device,
/// its directory is missing, or it exists and must not be replaced.
void check_destination(const std::filesystem::path& destination, Overwrite overwrite);

class DestinationFile {
 public:
  /// Throws as check_destination does.
  DestinationFile(const std::filesystem::path& destination, Overwrite overwrite);

  int fd() const noexcept { return file_.fd(); }

  /// Syncs it and gives it its name. Throws UsageError where that exists by now and must not be replaced: not even a
  /// file that appears in the last moment is.
  void commit();

 private:
  std::filesystem::path target_;
  Overwrite overwrite_;
  UnnamedFile file_;
};

}  // namespace mlctr
