// The CDI files of a machine and the devices that they define. A file is read only where nobody but root and the
// user could have written it; one that is broken does not keep the others from being used.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "hooks/cdi_spec.hpp"
#include "hooks/host_view.hpp"

namespace mlctr::hooks {

struct CdiFile {
  std::filesystem::path path;
  std::size_t priority;  ///< a directory's place in the list: the later one wins
  CdiSpec spec;
};

struct BrokenCdiFile {
  std::filesystem::path path;
  std::size_t line;  ///< 0: none
  std::string problem;

  /// "/etc/cdi/nvidia.yaml:12: a device has no name"
  std::string text() const;
};

struct CdiCatalogue {
  std::vector<CdiFile> files;
  std::vector<BrokenCdiFile> broken;
};

/// The .json and .yaml files of the directories, each at most 4 MiB. A directory that is not there has none.
CdiCatalogue read_cdi_catalogue(const HostView& host, std::span<const std::filesystem::path> directories);

struct CdiDefinition {
  const CdiFile* file;
  const CdiDevice* device;
};

/// Of the highest priority that has the device: one, or several that are in each other's way; none where nobody has it.
std::vector<CdiDefinition> find_cdi_device(const CdiCatalogue& catalogue, const CdiName& name);

bool has_cdi_kind(const CdiCatalogue& catalogue, const CdiKind& kind);

/// One definition a name, in their order. Throws Error that lists all names without one, those that can't be told
/// between files, what there is, and the files that could not be read.
std::vector<CdiDefinition> resolve_cdi_devices(const CdiCatalogue& catalogue, std::span<const CdiName> names);

}  // namespace mlctr::hooks
