// What a CDI file says: devices, and what a container needs to use them. Source: CDI 1.1.0 (SPEC.md); strict, as its
// own parser is: an unknown field, or one that the stated version does not have yet, is an error.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/cdi_name.hpp"

namespace mlctr::hooks {

// Each with its line in the file. Paths are absolute.
struct CdiNode {
  std::size_t line;
  std::string path;       ///< in the container
  std::string host_path;  ///< `path` where the file does not say
};
struct CdiMount {
  std::size_t line;
  std::string host_path, container_path;
  std::string type;  ///< mostly empty
  std::vector<std::string> options;
};
struct CdiHook {
  std::size_t line;
  std::string stage;  ///< "createContainer"
  std::string path;
  std::vector<std::string> arguments;  ///< with arguments[0]
  std::optional<std::chrono::seconds> timeout{};
  std::vector<std::string> environment{};  ///< "NAME=VALUE"
};

struct CdiEdits {
  std::vector<std::string> environment;  ///< "NAME=VALUE"
  std::vector<CdiNode> nodes;
  std::vector<CdiMount> mounts;
  std::vector<CdiHook> hooks;
  std::vector<std::string> not_possible;  ///< names of the fields that need more rights than a container's user has
};

struct CdiDevice {
  std::size_t line;
  std::string name;
  CdiEdits edits;
};

struct CdiSpec {
  CdiKind kind;
  std::vector<CdiDevice> devices;  ///< at least one
  CdiEdits edits;                  ///< for each of them
};

/// Throws DocumentError.
CdiSpec parse_cdi_spec(std::string_view text);

}  // namespace mlctr::hooks
