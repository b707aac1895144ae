#pragma once

#include <cstdint>
#include <string>

namespace mlctr::cli {

/// The age of what happened at `time`, in seconds since 1970: "3 hours ago"; 0, never: "-".
std::string age_of(std::int64_t time);

}  // namespace mlctr::cli
