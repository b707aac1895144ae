#include "runtime/program_needs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <random>
#include <sstream>

#include "base/file.hpp"
#include "base/process.hpp"

namespace mlctr::runtime {
namespace {

ProgramNeeds needs_of(const std::string& file) {
  return read_program_needs([&](std::uint64_t offset, std::span<std::byte> into) {
    if (offset >= file.size()) return std::size_t{0};
    const std::size_t size = std::min<std::uint64_t>(into.size(), file.size() - offset);
    std::memcpy(into.data(), file.data() + offset, size);
    return size;
  });
}

std::string own_file() {
  return read_file(std::filesystem::read_symlink("/proc/self/exe"), 1u << 30);
}

// What binutils say of this test's own file: the texts in brackets of the lines that have `mark`.
std::vector<std::string> readelf(const char* option, const std::string& mark) {
  const std::string file = std::filesystem::read_symlink("/proc/self/exe");
  std::istringstream lines(run_process({.arguments = {"readelf", "-W", option, file}}).standard_output);
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) {
    if (line.find(mark) == line.npos) continue;
    const std::size_t begin = mark == "interpreter" ? line.find(": ") + 2 : line.find('[') + 1;
    found.push_back(line.substr(begin, line.rfind(']') - begin));
  }
  return found;
}

TEST_CASE("A program's loader and libraries are those that readelf shows") {
  const ProgramNeeds needs = needs_of(own_file());
  CHECK(needs.libraries == readelf("-d", "(NEEDED)"));
  CHECK(!needs.libraries.empty());
  CHECK(std::vector{needs.interpreter} == readelf("-l", "interpreter"));
}

TEST_CASE("A script's interpreter is the first word of its first line") {
  CHECK(needs_of("#!/bin/sh -e\nexit").interpreter == "/bin/sh");
  CHECK(needs_of("#! \t/usr/bin/env python3").interpreter == "/usr/bin/env");
  CHECK(needs_of("#!").interpreter.empty());
  CHECK(needs_of("#!/" + std::string(5000, 'x')).interpreter.size() <= 256);
  CHECK(needs_of("echo /bin/sh").interpreter.empty());
  CHECK(needs_of("").interpreter.empty());
}

TEST_CASE("A cut or overwritten program needs less, or something else, and is never read beyond what it has") {
  std::string file = own_file();
  const std::string whole = file.substr(0, 4096);
  for (std::size_t size = 0; size < 1024; ++size) CHECK(needs_of(file.substr(0, size)).libraries.empty());
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    for (int byte = 0; byte < 4; ++byte) file[random() % 1024] = static_cast<char>(random());
    const ProgramNeeds needs = needs_of(file);
    CHECK(needs.libraries.size() <= 64);
    CHECK(needs.run_paths.size() <= 64);
    std::ranges::copy(whole, file.begin());
  }
}

}  // namespace
}  // namespace mlctr::runtime
