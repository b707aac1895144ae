#include "hooks/cdi_host_hook.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::hooks {
namespace {

// Those that OCI has run on the host before a container's root is entered (runtime-spec, config.md "POSIX-platform
// Hooks"); at the others a container has begun, or ended.
constexpr std::array<std::string_view, 3> k_host_stages{"prestart", "createRuntime", "createContainer"};

std::string shown_path(const std::filesystem::path& path) {
  return printable(path.string(), 4096);
}

// Empty where only root can change what is at `path`. Of a directory that all may write to (/tmp) the sticky bit keeps
// them from what is root's in it.
std::string writable_by_others(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return fmt::format("{} can't be looked at", shown_path(path));
  if (status.st_uid != 0) return fmt::format("{} belongs to user {}", shown_path(path), status.st_uid);
  const bool is_sticky = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0 && !is_sticky) {
    return fmt::format("{} is writable for others than root", shown_path(path));
  }
  return {};
}

void check_roots_own(const std::filesystem::path& program) {
  std::filesystem::path path = program;
  for (;;) {
    if (const std::string reason = writable_by_others(path); !reason.empty()) {
      throw Error(fmt::format("the hook {} is not run: {}", shown_path(program), reason),
                  "a hook and all directories above it must be root's, and writable for nobody else");
    }
    if (path == path.root_path()) return;
    path = path.parent_path();
  }
}

[[noreturn]] void refuse_host_hook(const CdiHook& hook, const std::filesystem::path& program) {
  throw Error(fmt::format("the device wants {} to be run on the host", shown_path(hook.path)),
              fmt::format("mlctr does itself what NVIDIA's hooks do; others run where an admin trusts them: "
                          "[cdi] allowed_hooks = [\"{}\"] in /etc/mlctr/mlctr.toml",
                          shown_path(program)));
}

}  // namespace

bool is_allowed_hook(const HostView& host, const HookSettings& settings, const CdiHook& hook) {
  const auto program = host.find(hook.path);
  const auto& allowed = settings.cdi_allowed_hooks;
  return program && std::ranges::find(allowed, program->path) != allowed.end();
}

runtime::DeviceHook plan_host_hook(const HostView& host, const HookSettings& settings, const CdiHook& hook,
                                   const std::string& origin) {
  const auto program = host.find(hook.path);
  if (!is_allowed_hook(host, settings, hook))
    refuse_host_hook(hook, program ? program->path : std::filesystem::path(hook.path));
  if (program->kind != HostFileKind::regular || (program->mode & S_IXUSR) == 0) {
    throw Error(fmt::format("the hook {} is no program", shown_path(program->path)));
  }
  check_roots_own(program->path);
  if (std::ranges::find(k_host_stages, hook.stage) == k_host_stages.end()) {
    throw Error(fmt::format("the hook {} wants to be run at {}, which mlctr has none for", shown_path(hook.path),
                            printable(hook.stage)),
                fmt::format("hooks are run at {}", fmt::join(k_host_stages, ", ")));
  }
  return {.file = program->path, .arguments = hook.arguments, .timeout = hook.timeout, .origin = origin};
}

}  // namespace mlctr::hooks
