#include "runtime/device_hooks.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/mount_tree.hpp"

namespace mlctr::runtime {
namespace {

constexpr const char* k_oci_version = "1.0.2";

std::string text_of(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// On a tmpfs that only this mount namespace has: nothing is left of it whoever is killed.
void make_bundle(const DeviceHookPlace& place) {
  attach_tree(new_filesystem("tmpfs", {{"source", "mlctr"}, {"mode", "0700"}, {"size", "1m"}},
                             MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
              AT_FDCWD, place.directory.string());
  const std::filesystem::path path = place.directory / "config.json";
  const Fd file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  const std::string text =
      text_of({{"ociVersion", k_oci_version}, {"root", {{"path", place.rootfs.string()}, {"readonly", false}}}});
  write_all(file.get(), std::as_bytes(std::span(text)), path.string());
}

std::string state_of(const DeviceHookPlace& place) {
  const std::string pid = process_number_on_host();
  return text_of({{"ociVersion", k_oci_version},
                  {"id", "mlctr-" + pid},
                  {"status", "created"},
                  {"pid", std::stol(pid)},
                  {"bundle", place.directory.string()}});
}

Fd input_of(const std::string& text) {
  Fd file(::memfd_create("state", MFD_CLOEXEC));
  if (!file) throw SysError("cannot keep the container's state for its hooks");
  write_all(file.get(), std::as_bytes(std::span(text)), "state");
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

}  // namespace

void run_device_hooks(const std::vector<DeviceHook>& hooks, const DeviceHookPlace& place) {
  if (hooks.empty()) return;
  make_bundle(place);
  const std::string state = state_of(place);
  for (const DeviceHook& hook : hooks) {
    try {
      const Fd input = input_of(state);
      run_hook({.file = hook.file, .arguments = hook.arguments, .environment = {}, .input = input.get()},
               std::min(hook.timeout.value_or(place.timeout), place.timeout), place.output);
    } catch (Error& error) {
      error.add_context(fmt::format("{}: the hook {} failed", hook.origin, printable(hook.file.string(), 4096)));
      throw;
    }
  }
}

}  // namespace mlctr::runtime
