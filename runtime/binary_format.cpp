#include "runtime/binary_format.hpp"

#include <elf.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::runtime {
namespace {

struct Machine {
  std::string_view architecture;
  unsigned char elf_class, byte_order;
  unsigned char number;  // e_machine, elf.h; below 256 for all of these
};
constexpr std::array<Machine, 11> k_machines{{{"amd64", ELFCLASS64, ELFDATA2LSB, EM_X86_64},
                                              {"386", ELFCLASS32, ELFDATA2LSB, EM_386},
                                              {"arm64", ELFCLASS64, ELFDATA2LSB, EM_AARCH64},
                                              {"arm", ELFCLASS32, ELFDATA2LSB, EM_ARM},
                                              {"ppc64le", ELFCLASS64, ELFDATA2LSB, EM_PPC64},
                                              {"ppc64", ELFCLASS64, ELFDATA2MSB, EM_PPC64},
                                              {"s390x", ELFCLASS64, ELFDATA2MSB, EM_S390},
                                              {"riscv64", ELFCLASS64, ELFDATA2LSB, EM_RISCV},
                                              {"mips64le", ELFCLASS64, ELFDATA2LSB, EM_MIPS},
                                              {"mips64", ELFCLASS64, ELFDATA2MSB, EM_MIPS},
                                              {"mipsle", ELFCLASS32, ELFDATA2LSB, EM_MIPS}}};

// The first 20 bytes of an executable's ELF header: e_ident, e_type, e_machine (elf(5)).
std::string header_of(const Machine& machine) {
  std::string header(20, '\0');
  header.replace(0, 4, ELFMAG, 4);
  header[EI_CLASS] = static_cast<char>(machine.elf_class);
  header[EI_DATA] = static_cast<char>(machine.byte_order);
  header[EI_VERSION] = EV_CURRENT;
  const std::size_t low = machine.byte_order == ELFDATA2LSB ? 0 : 1;
  header[16 + low] = ET_EXEC;
  header[18 + low] = static_cast<char>(machine.number);
  return header;
}

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// "enabled", "interpreter PATH", "flags: F", "offset 0", "magic 7f45…", "mask ffff…", a line each.
bool takes(const std::string& entry, std::string_view header) {
  std::map<std::string, std::string, std::less<>> fields;
  for (std::size_t begin = 0; begin < entry.size();) {
    const std::size_t end = std::min(entry.find('\n', begin), entry.size());
    const std::string line = entry.substr(begin, end - begin);
    const std::size_t space = std::min(line.find(' '), line.size());
    fields[line.substr(0, space)] = line.substr(std::min(space + 1, line.size()));
    begin = end + 1;
  }
  const std::string magic = from_hex(fields["magic"]), mask = from_hex(fields["mask"]);
  if (!fields.contains("enabled") || fields["offset"] != "0" || magic.size() < header.size()) return false;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const int wanted = i < mask.size() ? mask[i] : -1;
    if (((header[i] ^ magic[i]) & wanted) != 0) return false;
  }
  return true;
}

bool has_interpreter(std::string_view header, const std::filesystem::path& binfmt_misc) {
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(binfmt_misc, error)) {
    const std::string name = file.path().filename().string();
    if (name == "register" || name == "status") continue;
    try {
      if (takes(read_file(file.path(), 4096), header)) return true;
    } catch (const Error&) {
      // taken away meanwhile
    }
  }
  return false;
}

}  // namespace

bool can_run_architecture(std::string_view architecture, std::string_view host,
                          const std::filesystem::path& binfmt_misc) {
  if (architecture == host || (host == "amd64" && architecture == "386") ||
      (host == "arm64" && architecture == "arm")) {
    return true;
  }
  const auto machine = std::ranges::find(k_machines, architecture, &Machine::architecture);
  return machine == k_machines.end() || has_interpreter(header_of(*machine), binfmt_misc);
}

}  // namespace mlctr::runtime
