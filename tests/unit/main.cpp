#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "source_directory.hpp"

std::filesystem::path source_directory() {
  return MLCTR_SOURCE_DIRECTORY;
}
