#include "hooks/cdi_mount.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/printable.hpp"
#include "hooks/document.hpp"
#include "runtime/mount_flag.hpp"

namespace mlctr::hooks {
namespace {

bool has_option(const CdiMount& mount, std::string_view name) {
  return std::ranges::find(mount.options, name) != mount.options.end();
}

// As the OCI runtime specification has it: either option makes it one, whatever the type says; so does no type.
bool is_bind(const CdiMount& mount) {
  return has_option(mount, "bind") || has_option(mount, "rbind") || mount.type.empty() || mount.type == "bind" ||
         mount.type == "none";
}

void apply_option(runtime::Mount& planned, const CdiMount& mount, const std::string& option) {
  if (option == "bind" || option == "rbind" || option == "defaults") return;
  const runtime::MountFlag* flag = runtime::find_mount_flag(option);
  if (flag == nullptr) throw DocumentError(mount.line, fmt::format("unknown mount option {}", printable(option)));
  planned.attributes = (planned.attributes & ~flag->clear) | flag->set;
  if (flag->propagation != 0) planned.propagation = flag->propagation;
}

}  // namespace

runtime::Mount plan_cdi_mount(const CdiMount& mount) {
  runtime::Mount planned{.source = runtime::TmpfsMount{}, .target = mount.container_path};
  if (is_bind(mount)) {
    if (!mount.host_path.starts_with('/')) {
      throw DocumentError(mount.line, fmt::format("hostPath is not absolute: {}", printable(mount.host_path, 4096)));
    }
    planned.source = runtime::BindMount{mount.host_path};
  } else if (mount.type != "tmpfs") {
    throw DocumentError(mount.line, fmt::format("a mount of type {} can't be made: bind and tmpfs can",
                                                printable(mount.type)));
  }
  for (const std::string& option : mount.options) {
    const bool is_of_tmpfs = !is_bind(mount) && option.find('=') != option.npos;
    if (!is_of_tmpfs) apply_option(planned, mount, option);
  }
  return planned;
}

}  // namespace mlctr::hooks
