#include "app/trial_run.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>

#include <array>
#include <csignal>
#include <cstring>

#include "app/run_container.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/forked.hpp"
#include "runtime/host.hpp"
#include "squashfs/tables.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::seconds k_patience{60};  // unpacking to a slow disk is part of it, where it comes to that
constexpr const char* k_program = "trial";

// exit_group(k_trial_exit_code).
#if defined(__x86_64__)
constexpr Elf64_Half k_machine = EM_X86_64;
constexpr std::array<unsigned char, 12> k_code{0xbf, k_trial_exit_code,
                                               0,    0,
                                               0,  // mov edi, 42
                                               0xb8, 231,
                                               0,    0,
                                               0,            // mov eax, 231
                                               0x0f, 0x05};  // syscall
#elif defined(__aarch64__)
constexpr Elf64_Half k_machine = EM_AARCH64;
constexpr std::array<unsigned char, 12> k_code{0x40, 0x05, 0x80, 0xd2,   // mov x0, #42
                                               0xc8, 0x0b, 0x80, 0xd2,   // mov x8, #94
                                               0x01, 0x00, 0x00, 0xd4};  // svc #0
#else
constexpr Elf64_Half k_machine = EM_NONE;
constexpr std::array<unsigned char, 1> k_code{};
#endif

// The smallest that the kernel starts: one segment, no loader, no library (elf(5)).
struct Executable {
  Elf64_Ehdr header{};
  Elf64_Phdr segment{};
  decltype(k_code) code = k_code;
};

Executable make_executable() {
  constexpr Elf64_Addr k_address = 0x400000;
  Executable executable;
  std::memcpy(executable.header.e_ident, ELFMAG, SELFMAG);
  executable.header.e_ident[EI_CLASS] = ELFCLASS64;
  executable.header.e_ident[EI_DATA] = ELFDATA2LSB;
  executable.header.e_ident[EI_VERSION] = EV_CURRENT;
  executable.header.e_type = ET_EXEC;
  executable.header.e_machine = k_machine;
  executable.header.e_version = EV_CURRENT;
  executable.header.e_entry = k_address + offsetof(Executable, code);
  executable.header.e_phoff = offsetof(Executable, segment);
  executable.header.e_ehsize = sizeof(Elf64_Ehdr);
  executable.header.e_phentsize = sizeof(Elf64_Phdr);
  executable.header.e_phnum = 1;
  executable.segment.p_type = PT_LOAD;
  executable.segment.p_flags = PF_R | PF_X;
  executable.segment.p_vaddr = executable.segment.p_paddr = k_address;
  executable.segment.p_filesz = executable.segment.p_memsz = sizeof(Executable);
  executable.segment.p_align = 0x1000;
  return executable;
}

// The message and the hint of what a run threw, in this order.
void report(const runtime::Say& say, const Error& error) {
  say(fmt::format("error {}\n", error.message()));
  if (!error.hint().empty()) say(fmt::format("hint {}\n", error.hint()));
}

void run_trial(const Configuration& configuration, const Fd& image, const runtime::Say& say) {
  const RunSubject subject{
      .image = {.reference = "mlctr's trial image", .squashfs = fmt::format("/proc/self/fd/{}", image.get())}};
  RunRequest request{.command = {fmt::format("/{}", k_program)}};
  request.tell = [&](const std::string& line) { say(fmt::format("tell {}\n", line)); };
  try {
    run_container(configuration, subject, request, runtime::look_at_host());
  } catch (const Error& error) {
    report(say, error);
  } catch (const std::exception& error) {
    say(fmt::format("error {}\n", error.what()));
  }
}

// The rest of the first line that begins with `word`; empty where there is none.
std::string find_line(std::string_view text, std::string_view word) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (line.starts_with(word)) return std::string(line.substr(word.size() + 1));
    begin = end + 1;
  }
  return "";
}

Finding judge(const runtime::ForkedResult& result) {
  if (!result.end)
    return failure(fmt::format("no answer within {} s: the container or its server hangs", k_patience.count()));
  if (const std::string error = find_line(result.said, "error"); !error.empty()) {
    const std::string hint = find_line(result.said, "hint");
    return failure(error, hint.empty() ? std::vector<std::string>{} : std::vector<std::string>{hint});
  }
  if (const auto* killed = std::get_if<runtime::Killed>(&*result.end)) {
    return failure(fmt::format("the program was killed by {}", ::strsignal(killed->signal_number)));
  }
  const int code = std::get<runtime::Exited>(*result.end).code;
  if (code != k_trial_exit_code)
    return failure(fmt::format("the program ended with {} instead of {}", code, k_trial_exit_code));
  const std::string told = find_line(result.said, "tell");
  return told.empty() ? fine("a program ran in a container and ended as it should")
                      : warning("a program ran, but: " + told);
}

}  // namespace

Fd make_trial_image() {
  if (k_machine == EM_NONE) return {};
  Fd image(::memfd_create("trial-image", MFD_CLOEXEC));
  if (!image) throw SysError("cannot make a memory file");
  const Executable executable = make_executable();
  const auto bytes = std::as_bytes(std::span(&executable, 1));
  write_all_at(image.get(), bytes, squashfs::k_data_start, "the trial image");
  squashfs::Tree tree;
  const auto program = tree.add(
      {.kind = squashfs::FileContent{.size_bytes = bytes.size(),
                                     .start = squashfs::k_data_start,
                                     .block_words = {static_cast<std::uint32_t>(bytes.size()) | squashfs::k_raw_block}},
       .permissions = 0755});
  tree.directory(squashfs::k_root).children.emplace(k_program, program);
  squashfs::write_tables(tree, image.get(), squashfs::k_data_start + bytes.size());
  return image;
}

Finding try_run(const Configuration& configuration) {
  const Fd image = make_trial_image();
  if (!image) return warning("there is no trial program for this processor");
  const auto result =
      runtime::run_forked([&](const runtime::Say& say) { run_trial(configuration, image, say); }, k_patience);
  return judge(result);
}

}  // namespace mlctr
