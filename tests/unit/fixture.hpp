// The files of tests/fixtures.
#pragma once

#include <filesystem>
#include <string>

#include "base/file.hpp"
#include "tests/unit/source_directory.hpp"

namespace mlctr::test {

inline std::string fixture(const std::filesystem::path& name) {
  return read_file(source_directory() / "tests/fixtures" / name);
}

}  // namespace mlctr::test
