// What a Containerfile says that its author hardly meant. Names of the checks are BuildKit's (docs, "build checks").
#pragma once

#include <vector>

#include "containerfile/containerfile.hpp"

namespace mlctr::containerfile {

/// In the order of the file; without those that "# check=skip=…" names.
std::vector<Warning> warnings_about(const Containerfile& file);

}  // namespace mlctr::containerfile
