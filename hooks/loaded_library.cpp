#include "hooks/loaded_library.hpp"

#include <elf.h>

#include "runtime/elf_library.hpp"

namespace mlctr::hooks {
namespace {

std::optional<runtime::LoaderArchitecture> architecture_of(const runtime::ElfLibrary& library) {
  using enum runtime::LoaderArchitecture;
  if (library.is_64_bit && library.machine == EM_X86_64) return x86_64;
  if (library.is_64_bit && library.machine == EM_AARCH64) return aarch64;
  if (!library.is_64_bit && library.machine == EM_386) return i386;
  return std::nullopt;
}

}  // namespace

std::optional<runtime::LoaderLibrary> read_loaded_library(const HostView& host, const std::filesystem::path& path) {
  const auto file = host.open(path);
  if (!file) return std::nullopt;
  const auto library = runtime::read_elf_library(file->get());
  if (!library) return std::nullopt;
  const auto architecture = architecture_of(*library);
  if (!architecture) return std::nullopt;
  return runtime::LoaderLibrary{.soname = library->soname.empty() ? path.filename().string() : library->soname,
                                .path = {},
                                .architecture = *architecture};
}

}  // namespace mlctr::hooks
