// Whatever a program's file holds, what it is said to need stays small.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "runtime/program_needs.hpp"

using namespace mlctr::runtime;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const ProgramNeeds needs = read_program_needs([&](std::uint64_t offset, std::span<std::byte> into) {
    if (offset >= size) return std::size_t{0};
    const std::size_t part = std::min<std::uint64_t>(into.size(), size - offset);
    std::memcpy(into.data(), data + offset, part);
    return part;
  });
  if (needs.libraries.size() > 64 || needs.run_paths.size() > 64 || needs.interpreter.size() > 4096) std::abort();
  return 0;
}
