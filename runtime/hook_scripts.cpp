#include "runtime/hook_scripts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <map>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/environment_file.hpp"
#include "runtime/fstab.hpp"
#include "runtime/mount_tree.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::uint64_t k_max_file_bytes = 1u << 20;
constexpr const char* k_place_bytes = "8m";

using Variables = std::map<std::string, std::string>;

Variables variables_in(std::string_view text) {
  Variables variables;
  for (const std::string& entry : parse_environment_file(text)) {
    const std::size_t equals = entry.find('=');
    variables[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return variables;
}

// The two files, on a tmpfs that only this mount namespace has: nothing is left of it whoever is killed.
class Exchange {
 public:
  explicit Exchange(const std::filesystem::path& place)
      : environment_(place / "environment"), mounts_(place / "fstab") {
    attach_tree(new_filesystem("tmpfs", {{"source", "mlctr"}, {"mode", "0700"}, {"size", k_place_bytes}},
                               MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC),
                AT_FDCWD, place.string());
  }

  const std::filesystem::path& environment() const noexcept { return environment_; }
  const std::filesystem::path& mounts() const noexcept { return mounts_; }

  static void write(const std::filesystem::path& file, std::string_view text) {
    const Fd fd = open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write_all(fd.get(), std::as_bytes(std::span(text)), file.string());
  }

  // Nothing but a file is read: who put a FIFO in its place would hold up the start.
  static std::string read(const std::filesystem::path& file) {
    const Fd fd = open_regular_file(file);
    if (file_size(fd.get(), file.string()) > k_max_file_bytes) {
      throw Error(fmt::format("what is in {} is more than 1 MiB", file.string()));
    }
    std::string text(k_max_file_bytes, '\0');
    text.resize(read_at(fd.get(), std::as_writable_bytes(std::span(text)), 0, file.string()));
    return text;
  }

 private:
  std::filesystem::path environment_, mounts_;
};

// A value with a line end in it has no place in the file; the program has it all the same.
std::string environment_text(const Environment& environment) {
  std::string text;
  for (const auto& [name, variable] : environment.variables()) {
    if (variable.value.find('\n') == std::string::npos) text += fmt::format("{}={}\n", name, variable.value);
  }
  return text;
}

void add_edits(std::vector<EnvironmentEdit>& edits, const Variables& before, const Variables& after,
               const std::string& origin) {
  for (const auto& [name, value] : after) {
    const auto known = before.find(name);
    if (known == before.end() || known->second != value) edits.push_back({name, value, origin});
  }
  for (const auto& [name, value] : before) {
    if (!after.contains(name)) edits.push_back({name, std::nullopt, origin});
  }
}

std::vector<std::string> environment_of_hooks(const HookScripts& hooks, const Exchange& exchange,
                                              const std::filesystem::path& rootfs) {
  std::map<std::string, std::string, std::less<>> variables;
  for (const std::string& entry : hooks.variables) {
    const std::size_t equals = entry.find('=');
    variables[entry.substr(0, equals)] = entry;
  }
  const std::array<std::pair<const char*, std::string>, 4> contract{{{"PID", process_number_on_host()},
                                                                     {"ROOTFS", rootfs.string()},
                                                                     {"ENVIRON", exchange.environment().string()},
                                                                     {"MOUNTS", exchange.mounts().string()}}};
  for (const auto& [name, value] : contract) {
    for (const char* owner : {"ENROOT", "MLCTR"}) {
      variables[fmt::format("{}_{}", owner, name)] = fmt::format("{}_{}={}", owner, name, value);
    }
  }
  std::vector<std::string> entries;
  for (auto& [name, entry] : variables) entries.push_back(std::move(entry));
  return entries;
}

std::vector<Mount> mounts_in(const std::string& text, const std::filesystem::path& file,
                             const std::filesystem::path& rootfs) {
  FstabMounts found = plan_fstab(text, {},
                                 {.file = fmt::format("mounts of the hook {}", printable(file.string(), 4096)),
                                  .rootfs = rootfs,
                                  .directory = "/"});
  std::vector<Mount> mounts = std::move(found.before_hooks);
  for (Mount& mount : found.after_hooks) mounts.push_back(std::move(mount));
  return mounts;
}

}  // namespace

HookResults run_hooks(const HookScripts& hooks, const std::filesystem::path& rootfs) {
  HookResults results;
  if (hooks.files.empty()) return results;
  const Exchange exchange(hooks.place);
  std::string text = environment_text(hooks.environment);
  Exchange::write(exchange.environment(), text);
  const std::vector<std::string> environment = environment_of_hooks(hooks, exchange, rootfs);
  for (const std::filesystem::path& file : hooks.files) {
    const std::string name = printable(file.string(), 4096);
    try {
      Exchange::write(exchange.mounts(), "");
      run_hook({.file = file, .environment = environment}, hooks.timeout, hooks.output);
      const std::string changed = Exchange::read(exchange.environment());
      add_edits(results.environment, variables_in(text), variables_in(changed), name);
      text = changed;
      for (Mount& mount : mounts_in(Exchange::read(exchange.mounts()), file, rootfs)) {
        results.mounts.push_back(std::move(mount));
      }
    } catch (Error& error) {
      error.add_context(fmt::format("the hook {} failed", name));
      throw;
    }
  }
  return results;
}

}  // namespace mlctr::runtime
