// Docker's config.json as `mlctr login` and `logout` change it: everything else in it stays, in its order.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "registry/credentials.hpp"

namespace mlctr {

class DockerConfigFile {
 public:
  /// Reads the file; a missing or empty one is an empty config. Follows symbolic links, so that save() replaces the
  /// file and not the link.
  explicit DockerConfigFile(std::filesystem::path path);

  /// Makes this the registry's only entry: those under its other names go, members of it that hold no secret stay.
  void set_entry(std::string_view registry, const Credential& credential);
  /// The same, with docker's mark for "a helper has it".
  void set_marker(std::string_view registry);
  /// Namespaces of the registry ("ghcr.io/owner") stay. False where there was no entry.
  bool remove_entries(std::string_view registry);

  /// Writes the file atomically with mode 0600; makes its directory (0700) where there is none.
  void save() const;

 private:
  void set(std::string_view registry, const nlohmann::ordered_json& secrets);

  std::filesystem::path path_;
  nlohmann::ordered_json document_;
};

}  // namespace mlctr
