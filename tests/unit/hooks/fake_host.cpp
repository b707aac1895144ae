#include "fake_host.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>

namespace mlctr::test {
namespace {

template <class T>
void append(std::string& bytes, const T& value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Header, one segment of all, the dynamic section, its strings: a 64- or a 32-bit file.
template <class Header, class Segment, class Dynamic>
std::string library_of(std::string_view soname, unsigned char elf_class, Elf64_Half machine) {
  const std::string strings = std::string(1, '\0') + std::string(soname) + '\0';
  const std::size_t dynamic_at = sizeof(Header) + 2 * sizeof(Segment);
  constexpr std::size_t k_entries = 4;
  const std::size_t strings_at = dynamic_at + k_entries * sizeof(Dynamic);

  Header header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  header.e_version = EV_CURRENT;
  header.e_phoff = sizeof(Header);
  header.e_ehsize = sizeof(Header);
  header.e_phentsize = sizeof(Segment);
  header.e_phnum = 2;
  const std::size_t size = strings_at + strings.size();
  const auto segment = [](std::uint32_t type, std::size_t at, std::size_t bytes) {
    Segment made{};
    made.p_type = type;
    made.p_flags = PF_R;
    made.p_offset = static_cast<decltype(made.p_offset)>(at);
    made.p_vaddr = static_cast<decltype(made.p_vaddr)>(at);
    made.p_filesz = static_cast<decltype(made.p_filesz)>(bytes);
    made.p_memsz = made.p_filesz;
    return made;
  };
  const auto entry = [](std::int64_t tag, std::size_t value) {
    Dynamic made{};
    made.d_tag = static_cast<decltype(made.d_tag)>(tag);
    made.d_un.d_val = static_cast<decltype(made.d_un.d_val)>(value);
    return made;
  };
  std::string bytes;
  append(bytes, header);
  append(bytes, segment(PT_LOAD, 0, size));
  append(bytes, segment(PT_DYNAMIC, dynamic_at, k_entries * sizeof(Dynamic)));
  append(bytes, entry(DT_STRTAB, strings_at));
  append(bytes, entry(DT_STRSZ, strings.size()));
  append(bytes, soname.empty() ? entry(DT_FLAGS, 0) : entry(DT_SONAME, 1));
  append(bytes, entry(DT_NULL, 0));
  return bytes + strings;
}

struct Library {
  const char* stem;
  const char* soname;  // {} is the version
};
constexpr Library k_libraries[] = {
    {"libnvidia-ml", "libnvidia-ml.so.1"},
    {"libnvidia-cfg", "libnvidia-cfg.so.1"},
    {"libcuda", "libcuda.so.1"},
    {"libcudadebugger", "libcudadebugger.so.1"},
    {"libnvidia-opencl", "libnvidia-opencl.so.1"},
    {"libnvidia-gpucomp", "libnvidia-gpucomp.so.{}"},
    {"libnvidia-ptxjitcompiler", "libnvidia-ptxjitcompiler.so.1"},
    {"libnvidia-allocator", "libnvidia-allocator.so.1"},
    {"libnvidia-nvvm", "libnvidia-nvvm.so.4"},
    {"libnvidia-encode", "libnvidia-encode.so.1"},
    {"libnvidia-opticalflow", "libnvidia-opticalflow.so.1"},
    {"libnvcuvid", "libnvcuvid.so.1"},
    {"libnvidia-eglcore", "libnvidia-eglcore.so.{}"},
    {"libnvidia-glcore", "libnvidia-glcore.so.{}"},
    {"libGLX_nvidia", "libGLX_nvidia.so.0"},
    {"libEGL_nvidia", "libEGL_nvidia.so.0"},
    {"libnvidia-ngx", "libnvidia-ngx.so.1"},
};

}  // namespace

std::string elf_library(std::string_view soname, Machine machine) {
  if (machine == Machine::i386) return library_of<Elf32_Ehdr, Elf32_Phdr, Elf32_Dyn>(soname, ELFCLASS32, EM_386);
  return library_of<Elf64_Ehdr, Elf64_Phdr, Elf64_Dyn>(soname, ELFCLASS64,
                                                       machine == Machine::x86_64 ? EM_X86_64 : EM_AARCH64);
}

FakeHost& FakeHost::file(std::string_view path, std::string_view content) {
  directory_.write(path.substr(1), content);
  return *this;
}

FakeHost& FakeHost::program(std::string_view path) {
  file(path, "#!/bin/sh\n");
  std::filesystem::permissions(root() / path.substr(1), std::filesystem::perms(0755));
  return *this;
}

FakeHost& FakeHost::directory(std::string_view path) {
  std::filesystem::create_directories(root() / path.substr(1));
  return *this;
}

FakeHost& FakeHost::link(std::string_view path, std::string_view target) {
  const std::filesystem::path link = root() / path.substr(1);
  std::filesystem::create_directories(link.parent_path());
  std::filesystem::create_symlink(target, link);
  return *this;
}

FakeHost& FakeHost::library(std::string_view path, std::string_view soname, Machine machine) {
  return file(path, elf_library(soname, machine));
}

std::string FakeHost::without_root(std::string text) const {
  const std::string prefix = root().string();
  for (std::size_t at = 0; (at = text.find(prefix, at)) != std::string::npos;) text.erase(at, prefix.size());
  return text;
}

FakeHost& add_nvidia_module(FakeHost& host, std::string_view version) {
  host.file("/proc/driver/nvidia/version",
            fmt::format("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {}  Release Build  (builder)\n"
                        "GCC version:  gcc version 12.2.0\n",
                        version));
  host.file("/proc/driver/nvidia/params", "ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 1\nDeviceFileUID: 0\n");
  host.file("/proc/driver/nvidia/registry", "Binary: \"\"\n");
  host.file("/proc/devices", "Character devices:\n195 nvidia\n195 nvidiactl\n510 nvidia-uvm\n511 nvidia-caps\n");
  for (const char* node : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"}) {
    host.file(node);
  }
  return host;
}

FakeHost& add_nvidia_gpu(FakeHost& host, std::string_view bus, unsigned minor, std::string_view uuid,
                         std::string_view model) {
  host.file(fmt::format("/proc/driver/nvidia/gpus/{}/information", bus),
            fmt::format("Model: \t\t {}\nIRQ:   \t\t 100\nGPU UUID: \t {}\nVideo BIOS: \t 96.00.74.00.01\n"
                        "Bus Type: \t PCIe\nDMA Size: \t 52 bits\nDMA Mask: \t 0xfffffffffffff\n"
                        "Bus Location: \t {}\nDevice Minor: \t {}\nGPU Firmware: \t 580.159.04\n"
                        "GPU Excluded:\t No\n",
                        model, uuid, bus, minor));
  host.file(fmt::format("/dev/nvidia{}", minor));
  host.directory(fmt::format("/sys/bus/pci/devices/{}/drm/card{}", bus, minor + 1));
  host.directory(fmt::format("/sys/bus/pci/devices/{}/drm/renderD{}", bus, minor + 128));
  host.file(fmt::format("/dev/dri/card{}", minor + 1));
  return host.file(fmt::format("/dev/dri/renderD{}", minor + 128));
}

FakeHost& add_nvidia_libraries(FakeHost& host, std::string_view directory, std::string_view version) {
  for (const Library& library : k_libraries) {
    host.library(fmt::format("{}/{}.so.{}", directory, library.stem, version),
                 fmt::format(fmt::runtime(library.soname), version));
  }
  for (const char* program :
       {"nvidia-smi", "nvidia-debugdump", "nvidia-persistenced", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server"}) {
    host.program(fmt::format("/usr/bin/{}", program));
  }
  return host;
}

}  // namespace mlctr::test
