// What a program's file says that it needs to start: an ELF file its loader and libraries (elf(5)), a script its
// interpreter. Read before anybody asks, to have it uncompressed by then; so it is a guess that may be wrong, made of
// bytes that may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mlctr::runtime {

/// Fills `into` from `offset` of the file on; returns how many bytes there were.
using ReadAt = std::function<std::size_t(std::uint64_t offset, std::span<std::byte> into)>;

struct ProgramNeeds {
  std::string interpreter{};             ///< a path; of libraries empty
  std::vector<std::string> libraries{};  ///< DT_NEEDED: names without a directory, as a rule
  std::vector<std::string> run_paths{};  ///< DT_RUNPATH and DT_RPATH, "$ORIGIN" as it stands
};

/// Nothing where the file is neither, or is for another word size or byte order than this machine's. At most 64
/// libraries. Throws only what `read` does.
ProgramNeeds read_program_needs(const ReadAt& read);

}  // namespace mlctr::runtime
