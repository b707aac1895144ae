#include "runtime/forward_compat.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "runtime/elf_library.hpp"

namespace mlctr::runtime {
namespace {

constexpr const char* k_compat_place = "/usr/local/cuda/compat";
constexpr const char* k_note = ".note.cuda.fwd_compatibility";
constexpr std::array<const char*, 5> k_libraries{"libcuda.so.1", "libcudadebugger.so.1",
                                                 "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4",
                                                 "libnvidia-pkcs11-openssl3.so.1"};

unsigned leading_number(std::string_view text) {
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Of "libcuda.so.570.86.10", where a link of the name without version leads.
unsigned major_of(const Fd& file) {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", file.get()).c_str(), path.data(), path.size());
  path.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  const std::size_t at = path.rfind(".so.");
  return at == std::string::npos ? 0 : leading_number(std::string_view(path).substr(at + 4));
}

bool lists(const nlohmann::json& drivers, unsigned major) {
  return std::ranges::any_of(drivers, [&](const nlohmann::json& each) {
    if (each.is_number_unsigned()) return each.get<unsigned>() == major;
    return each.is_string() && leading_number(each.get_ref<const std::string&>()) == major;
  });
}

bool is_regular(const Fd& file) {
  struct stat status {};
  return ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
}

std::vector<LoaderLibrary> libraries_there(const Rootfs& rootfs, const std::string& origin) {
  std::vector<LoaderLibrary> libraries;
  for (const char* name : k_libraries) {
    const std::string path = fmt::format("{}/{}", k_compat_place, name);
    const auto file = rootfs.find(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    const auto elf = file && is_regular(*file) ? read_elf_library(file->get()) : std::nullopt;
    if (!elf || !elf->is_64_bit) continue;
    using enum LoaderArchitecture;
    constexpr std::uint16_t k_aarch64 = 183;  // EM_AARCH64
    libraries.push_back({name, path, elf->machine == k_aarch64 ? aarch64 : x86_64, origin});
  }
  return libraries;
}

}  // namespace

bool fits_driver(unsigned major, std::string_view note, unsigned host_major) {
  if (major <= host_major) return false;
  if (note.empty()) return true;
  const nlohmann::json json = nlohmann::json::parse(note, nullptr, false);
  if (!json.is_object()) return false;
  const auto drivers = json.find("Driver");
  return drivers != json.end() && drivers->is_array() && lists(*drivers, host_major);
}

std::vector<LoaderLibrary> find_forward_compat(const ForwardCompat& host, const Rootfs& rootfs) try {
  const auto cuda = rootfs.find(fmt::format("{}/libcuda.so.1", k_compat_place), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!cuda || !is_regular(*cuda)) return {};
  const bool fits = fits_driver(major_of(*cuda), read_elf_note(cuda->get(), k_note), host.driver_major);
  if (!fits && host.when == ForwardCompat::When::automatic) return {};
  return libraries_there(rootfs, host.origin);
} catch (const Error&) {
  return {};  // what is in that place can't even be opened
}

}  // namespace mlctr::runtime
