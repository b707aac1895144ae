#include "app/container_drop_ins.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "app/drop_in_files.hpp"
#include "app/source_file.hpp"
#include "base/printable.hpp"
#include "runtime/environment_file.hpp"

namespace mlctr {
namespace {

std::string shown_file(const std::filesystem::path& file) {
  return printable(file.string(), 4096);
}

void add_environment(std::vector<runtime::EnvironmentEdit>& edits, std::string_view text,
                     const runtime::VariableLookup& value_of, const std::filesystem::path& file) {
  for (const std::string& entry : runtime::parse_environment_file(text)) {
    const std::size_t equals = entry.find('=');
    edits.push_back(
        {entry.substr(0, equals), runtime::expand_variables(entry.substr(equals + 1), value_of), shown_file(file)});
  }
}

// Nothing of the text itself, which may be anything.
std::string describe_ignored(const std::filesystem::path& file, const std::vector<std::size_t>& lines) {
  const std::string more = lines.size() > 1 ? fmt::format(", and {} more", lines.size() - 1) : "";
  return fmt::format("{}:{}: ignored, as it is not NAME=VALUE, or NAME is a runtime's own{}", shown_file(file),
                     lines[0], more);
}

void append_found(std::vector<runtime::Mount>& mounts, std::vector<runtime::Mount> more) {
  std::ranges::move(more, std::back_inserter(mounts));
}

}  // namespace

ContainerDropIns read_container_drop_ins(const Configuration& configuration, const runtime::Host& host,
                                         const std::filesystem::path& rootfs) {
  std::vector<std::string> variables = host.environment;
  for (const char* name : {"ENROOT_ROOTFS", "MLCTR_ROOTFS"}) {
    variables.push_back(fmt::format("{}={}", name, rootfs.string()));
  }
  const runtime::VariableLookup value_of = runtime::lookup_in(variables);

  ContainerDropIns found;
  for (const auto& file : list_drop_ins(configuration, "environ.d", ".env")) {
    const std::string text = read_drop_in(configuration, file);
    add_environment(found.environment, text, value_of, file);
    const std::vector<std::size_t> ignored = runtime::ignored_lines(text);
    if (!ignored.empty()) found.warnings.push_back(describe_ignored(file, ignored));
  }
  for (const auto& file : list_drop_ins(configuration, "mounts.d", ".fstab")) {
    runtime::FstabMounts mounts = runtime::plan_fstab(
        read_drop_in(configuration, file), value_of,
        {.file = shown_file(file), .rootfs = rootfs, .directory = host.current_directory, .is_squashfs = has_squashfs});
    append_found(found.mounts.before_hooks, std::move(mounts.before_hooks));
    append_found(found.mounts.after_hooks, std::move(mounts.after_hooks));
  }
  for (const auto& file : list_drop_ins(configuration, "hooks.d", ".sh")) {
    switch (look_at_hook(configuration, file)) {
      case HookKind::program:
        found.hooks.push_back(file);
        break;
      case HookKind::not_executable:
        break;
      case HookKind::dangling_link:
        found.warnings.push_back(fmt::format("{} is a link to no file: that hook is left out", shown_file(file)));
    }
  }
  return found;
}

std::vector<std::string> hook_variables(const runtime::Host& host) {
  std::vector<std::string> variables{fmt::format("PATH={}", runtime::k_default_path),
                                     fmt::format("HOME={}", host.home.empty() ? "/" : host.home.string()),
                                     fmt::format("USER={}", host.user_name), fmt::format("LOGNAME={}", host.user_name)};
  for (const char* name : {"ENROOT_WORKDIR", "MLCTR_WORKDIR"}) {
    variables.push_back(fmt::format("{}={}", name, host.current_directory.string()));
  }
  constexpr std::array<std::string_view, 5> k_passed{"SLURM_", "PMI_", "PMIX_", "MLCTR_", "ENROOT_"};
  for (const std::string& entry : host.environment) {
    if (std::ranges::any_of(k_passed, [&](std::string_view start) { return entry.starts_with(start); })) {
      variables.push_back(entry);
    }
  }
  return variables;
}

}  // namespace mlctr
