#include "app/trial_run.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <thread>

#include "app/run_container.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/forked.hpp"
#include "runtime/host.hpp"
#include "squashfs/tables.hpp"
#include "store/store_names.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::seconds k_trial_patience{60};  // unpacking to a slow disk is part of it, where it comes to that
constexpr const char* k_program = "trial";
// As if it were an image's digest: it can be found again by it, where it had to be unpacked.
constexpr std::string_view k_name_where_unpacked =
    "sha256:6d6c63747220747269616c20696d616765000000000000000000000000000000";

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

void run_trial(const Configuration& configuration, const Fd& image, const runtime::Say& say) {
  const RunSubject subject{.image = {.reference = "mlctr's trial image",
                                     .manifest_digest = std::string(k_name_where_unpacked),
                                     .squashfs = fmt::format("/proc/self/fd/{}", image.get()),
                                     .config_body = ""}};
  RunRequest request{.command = {fmt::format("/{}", k_program)}, .hook_output = runtime::HookOutput::labelled};
  request.tell = [&](const std::string& line) { say(fmt::format("tell {}\n", line)); };
  try {
    run_container(configuration, subject, request, runtime::look_at_host());
  } catch (const Error& error) {
    say(fmt::format("error {}\n", error.in_one_line()));
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
    return failure(fmt::format("no answer within {} s: the container or its server hangs", k_trial_patience.count()));
  if (const std::string error = find_line(result.said, "error"); !error.empty()) return failure(error);
  if (const auto* killed = std::get_if<runtime::Killed>(&*result.end)) {
    return failure(fmt::format("the program was killed by {}", ::strsignal(killed->signal_number)));
  }
  const int code = std::get<runtime::Exited>(*result.end).code;
  if (code != k_trial_exit_code)
    return failure(fmt::format("the program ended with {} instead of {}", code, k_trial_exit_code));
  const std::string told = find_line(result.said, "tell");
  if (told.empty()) return fine("a program ran in a container");
  return warning("a program ran, but: " +
                 told.substr(0, told.find("; ")));  // the rest is in the line of what is missing
}

// The container's server has it in use for some milliseconds more. What stays is used by the next trial, or goes with
// `mlctr gc`.
void remove_unpacked(const Configuration& configuration) {
  const UnpackedStore store(open_containers(configuration).root());
  const std::string name = digest_name(Digest::parse(k_name_where_unpacked));
  for (int tries = 0; tries < 50 && store.has(name); ++tries) {
    if (!store.remove(name)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
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
      runtime::run_forked([&](const runtime::Say& say) { run_trial(configuration, image, say); }, k_trial_patience);
  remove_unpacked(configuration);
  return judge(result);
}

}  // namespace mlctr
