// The files of tests/fixtures.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.hpp"

namespace mlctr::test {

inline std::string fixture(const std::filesystem::path& name) {
  return read_file(std::filesystem::path(MLCTR_FIXTURES) / name);
}

}  // namespace mlctr::test
