#include "runtime/elf_library.hpp"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace mlctr::runtime {
namespace {

constexpr std::uint64_t k_max_segments = 256, k_max_sections = 4096;
constexpr std::uint64_t k_max_dynamic_bytes = 1u << 20, k_max_note_bytes = 64u << 10;
constexpr std::size_t k_max_name_bytes = 512;

// Fewer bytes than asked where the file ends, none where the offset is nonsense.
std::string read_some(int fd, std::uint64_t offset, std::uint64_t bytes) {
  if (offset > INT64_MAX - bytes) return {};
  std::string text(bytes, '\0');
  const ssize_t size = ::pread(fd, text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

template <class T>
std::optional<T> read_one(int fd, std::uint64_t offset) {
  const std::string bytes = read_some(fd, offset, sizeof(T));
  if (bytes.size() != sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

template <class T>
std::vector<T> read_table(int fd, std::uint64_t offset, std::uint64_t count) {
  const std::string bytes = read_some(fd, offset, count * sizeof(T));
  std::vector<T> table(bytes.size() / sizeof(T));
  if (!table.empty()) std::memcpy(table.data(), bytes.data(), table.size() * sizeof(T));
  return table;
}

std::string name_at(int fd, std::uint64_t offset) {
  const std::string text = read_some(fd, offset, k_max_name_bytes);
  const std::size_t end = text.find('\0');
  return end == std::string::npos ? "" : text.substr(0, end);
}

// Where the file has what is loaded at that address.
template <class Segment>
std::optional<std::uint64_t> offset_of(const std::vector<Segment>& segments, std::uint64_t address) {
  for (const Segment& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  return std::nullopt;
}

template <class Segment, class Dynamic>
std::string find_soname(int fd, const std::vector<Segment>& segments) {
  const auto dynamic = std::ranges::find_if(segments, [](const Segment& each) { return each.p_type == PT_DYNAMIC; });
  if (dynamic == segments.end()) return {};
  const std::uint64_t bytes = std::min<std::uint64_t>(dynamic->p_filesz, k_max_dynamic_bytes);
  std::optional<std::uint64_t> strings, name;
  for (const Dynamic& entry : read_table<Dynamic>(fd, dynamic->p_offset, bytes / sizeof(Dynamic))) {
    if (entry.d_tag == DT_NULL) break;
    if (entry.d_tag == DT_STRTAB) strings = entry.d_un.d_ptr;
    if (entry.d_tag == DT_SONAME) name = entry.d_un.d_val;
  }
  if (!strings || !name || *name > UINT32_MAX) return {};
  const auto at = offset_of(segments, *strings);
  return at ? name_at(fd, *at + *name) : "";
}

template <class Header, class Segment, class Dynamic>
std::optional<ElfLibrary> read_as(int fd, bool is_64_bit) {
  const auto header = read_one<Header>(fd, 0);
  if (!header || header->e_type != ET_DYN || header->e_phentsize != sizeof(Segment)) return std::nullopt;
  const auto segments =
      read_table<Segment>(fd, header->e_phoff, std::min<std::uint64_t>(header->e_phnum, k_max_segments));
  return ElfLibrary{is_64_bit, header->e_machine, find_soname<Segment, Dynamic>(fd, segments)};
}

std::uint64_t padded(std::uint64_t size) {
  return (size + 3) / 4 * 4;
}

std::string description_of(const std::string& note) {
  Elf64_Nhdr header;
  if (note.size() < sizeof header) return {};
  std::memcpy(&header, note.data(), sizeof header);
  const std::uint64_t at = sizeof header + padded(header.n_namesz);
  if (at > note.size() || header.n_descsz > note.size() - at) return {};
  std::string text = note.substr(at, header.n_descsz);
  while (!text.empty() && text.back() == '\0') text.pop_back();
  return text;
}

}  // namespace

std::optional<ElfLibrary> read_elf_library(int fd) {
  const std::string ident = read_some(fd, 0, EI_NIDENT);
  if (ident.size() != EI_NIDENT || std::memcmp(ident.data(), ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != ELFDATA2LSB) {
    return std::nullopt;
  }
  if (ident[EI_CLASS] == ELFCLASS64) return read_as<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(fd, true);
  if (ident[EI_CLASS] == ELFCLASS32) return read_as<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>(fd, false);
  return std::nullopt;
}

std::string read_elf_note(int fd, std::string_view section) {
  const auto library = read_elf_library(fd);
  if (!library || !library->is_64_bit) return {};
  const auto header = read_one<Elf64_Ehdr>(fd, 0);
  if (!header || header->e_shentsize != sizeof(Elf64_Shdr)) return {};
  const auto sections =
      read_table<Elf64_Shdr>(fd, header->e_shoff, std::min<std::uint64_t>(header->e_shnum, k_max_sections));
  if (header->e_shstrndx >= sections.size()) return {};
  const std::uint64_t names = sections[header->e_shstrndx].sh_offset;
  for (const Elf64_Shdr& each : sections) {
    if (names > UINT64_MAX - each.sh_name || name_at(fd, names + each.sh_name) != section) continue;
    return description_of(read_some(fd, each.sh_offset, std::min<std::uint64_t>(each.sh_size, k_max_note_bytes)));
  }
  return {};
}

}  // namespace mlctr::runtime
