// A machine of files, for the hooks to look at: regular files stand for nodes, and libraries are ELF headers that tell
// a soname and nothing else. tests/fixtures/fake_driver.py makes the same with libraries that a loader loads.
#pragma once

#include <string>
#include <string_view>

#include "hooks/host_view.hpp"
#include "tests/unit/temporary_directory.hpp"

namespace mlctr::test {

enum class Machine { x86_64, i386, aarch64 };

/// A shared library's bytes; without a soname where that is empty.
std::string elf_library(std::string_view soname, Machine machine = Machine::x86_64);

class FakeHost {
 public:
  hooks::HostView view() const { return hooks::HostView(directory_.path()); }
  const std::filesystem::path& root() const noexcept { return directory_.path(); }

  /// All below the root; missing directories are made. A path is as it would be on the machine: "/proc/…".
  FakeHost& file(std::string_view path, std::string_view content = "");
  FakeHost& program(std::string_view path);
  FakeHost& directory(std::string_view path);
  FakeHost& link(std::string_view path, std::string_view target);
  FakeHost& library(std::string_view path, std::string_view soname, Machine machine = Machine::x86_64);

  /// `text` without the root: what a plan would be on a machine that looks so.
  std::string without_root(std::string text) const;

 private:
  TemporaryDirectory directory_;
};

/// An NVIDIA driver as its kernel module shows it: /proc/driver/nvidia, /proc/devices, the nodes of no GPU.
FakeHost& add_nvidia_module(FakeHost& host, std::string_view version = "580.159.04");

/// One GPU: /proc/driver/nvidia/gpus/BUS, /dev/nvidiaMINOR, /sys/bus/pci/devices/BUS/drm.
FakeHost& add_nvidia_gpu(FakeHost& host, std::string_view bus, unsigned minor, std::string_view uuid,
                         std::string_view model = "NVIDIA H100 80GB HBM3");

/// The libraries of all capabilities in `directory`, its programs in /usr/bin.
FakeHost& add_nvidia_libraries(FakeHost& host, std::string_view directory = "/usr/lib/x86_64-linux-gnu",
                               std::string_view version = "580.159.04");

}  // namespace mlctr::test
