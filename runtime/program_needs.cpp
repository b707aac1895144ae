#include "runtime/program_needs.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string_view>

namespace mlctr::runtime {
namespace {

constexpr std::size_t k_max_headers = 64;
constexpr std::size_t k_max_dynamic_entries = 512;
constexpr std::size_t k_max_libraries = 64;
constexpr std::size_t k_max_text_bytes = 4096;

class ElfFile {
 public:
  explicit ElfFile(const ReadAt& read) : read_(read) {}

  ProgramNeeds needs() {
    ProgramNeeds needs;
    if (!read_headers()) return needs;
    if (const Elf64_Phdr* segment = find_segment(PT_INTERP)) needs.interpreter = text_at(segment->p_offset);
    if (const Elf64_Phdr* segment = find_segment(PT_DYNAMIC)) add_dynamic(*segment, needs);
    return needs;
  }

 private:
  template <class Record>
  bool read(std::uint64_t offset, std::span<Record> into) const {
    return read_(offset, std::as_writable_bytes(into)) == into.size_bytes();
  }

  bool read_headers() {
    Elf64_Ehdr header{};
    if (!read(0, std::span(&header, 1)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return false;
    const bool is_ours = header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_ident[EI_DATA] == ELFDATA2LSB;
    if (!is_ours || header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > k_max_headers) return false;
    segments_.resize(header.e_phnum);
    return read(header.e_phoff, std::span(segments_));
  }

  const Elf64_Phdr* find_segment(Elf64_Word type) const {
    const auto found = std::ranges::find(segments_, type, &Elf64_Phdr::p_type);
    return found == segments_.end() ? nullptr : &*found;
  }

  // Addresses are those of the loaded program.
  std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr && address - segment.p_vaddr < segment.p_filesz) {
        return segment.p_offset + (address - segment.p_vaddr);
      }
    }
    return std::nullopt;
  }

  std::string text_at(std::uint64_t offset) const {
    std::array<char, k_max_text_bytes> buffer;
    const std::size_t size = read_(offset, std::as_writable_bytes(std::span(buffer)));
    const std::string_view text(buffer.data(), size);
    return std::string(text.substr(0, std::min(text.find('\0'), text.size())));
  }

  void add_dynamic(const Elf64_Phdr& segment, ProgramNeeds& needs) const {
    std::vector<Elf64_Dyn> entries(
        std::min<std::uint64_t>(segment.p_filesz / sizeof(Elf64_Dyn), k_max_dynamic_entries));
    if (!read(segment.p_offset, std::span(entries))) return;
    std::optional<std::uint64_t> texts;
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_STRTAB) texts = offset_of(entry.d_un.d_ptr);
    }
    if (!texts) return;
    for (const Elf64_Dyn& entry : entries) {
      if (entry.d_tag == DT_NULL) return;
      if (entry.d_tag == DT_NEEDED && needs.libraries.size() < k_max_libraries) {
        needs.libraries.push_back(text_at(*texts + entry.d_un.d_val));
      }
      if (entry.d_tag == DT_RUNPATH || entry.d_tag == DT_RPATH) add_paths(text_at(*texts + entry.d_un.d_val), needs);
    }
  }

  static void add_paths(std::string_view list, ProgramNeeds& needs) {
    while (!list.empty() && needs.run_paths.size() < k_max_libraries) {
      const std::size_t end = std::min(list.find(':'), list.size());
      if (end > 0) needs.run_paths.emplace_back(list.substr(0, end));
      list.remove_prefix(std::min(end + 1, list.size()));
    }
  }

  const ReadAt& read_;
  std::vector<Elf64_Phdr> segments_;
};

// "#! /bin/sh -e" -> "/bin/sh".
std::string interpreter_of_script(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t", 2), line.size()));
  return std::string(line.substr(0, line.find_first_of(std::string_view(" \t\n\0", 4))));
}

}  // namespace

ProgramNeeds read_program_needs(const ReadAt& read) {
  std::array<char, 256> begin;  // as much of a script's first line as the kernel looks at
  const std::string_view text(begin.data(), read(0, std::as_writable_bytes(std::span(begin))));
  if (text.starts_with("#!")) return {.interpreter = interpreter_of_script(text)};
  return ElfFile(read).needs();
}

}  // namespace mlctr::runtime
