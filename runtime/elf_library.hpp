// What an ELF file tells of itself as a library, read by offsets that are all checked: files of the host's driver, and
// of images, which may be hostile. Source: elf(5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlctr::runtime {

struct ElfLibrary {
  bool is_64_bit = false;
  std::uint16_t machine = 0;  ///< EM_X86_64 …
  std::string soname;         ///< empty where it has none
};

/// Absent where it is no little-endian ELF shared object, or one that contradicts itself. Throws nothing.
std::optional<ElfLibrary> read_elf_library(int fd);

/// The description of the first note in the section of that name (64-bit files only); empty where there is none.
std::string read_elf_note(int fd, std::string_view section);

}  // namespace mlctr::runtime
