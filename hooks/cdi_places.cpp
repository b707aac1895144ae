#include "hooks/cdi_places.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "hooks/edits.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::array<std::string_view, 6> k_program_directories{"/usr/bin",  "/bin",           "/usr/sbin",
                                                                "/sbin",     "/usr/local/bin", "/usr/local/sbin"};

std::string_view directory_of(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}

std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_in(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace

CdiPlaces::CdiPlaces(std::vector<CdiFolder> folders, DriverLayout layout)
    : folders_(std::move(folders)), layout_(layout) {
  std::ranges::stable_sort(folders_, std::greater{}, [](const CdiFolder& folder) { return folder.path.size(); });
}

bool CdiPlaces::is_in_folder(std::string_view path) const {
  return std::ranges::find(folders_, directory_of(path), &CdiFolder::path) != folders_.end();
}

bool CdiPlaces::is_program_path(std::string_view path) {
  return std::ranges::find(k_program_directories, directory_of(path)) != k_program_directories.end();
}

std::string CdiPlaces::place_of(const std::string& path) const {
  if (layout_ == DriverLayout::system) return path;
  for (const CdiFolder& folder : folders_) {
    if (!is_in(path, folder.path)) continue;
    return std::string(k_driver_directory) + (folder.is_for_32_bits ? "/lib32" : "/lib64") +
           path.substr(folder.path.size());
  }
  return is_program_path(path) ? std::string(k_driver_directory) + "/bin/" + std::string(name_of(path)) : path;
}

}  // namespace mlctr::hooks
