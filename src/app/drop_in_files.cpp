#include "app/drop_in_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "app/settings_file.hpp"
#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

std::string shown(const std::filesystem::path& path) {
  return printable(path.string(), 4096);
}

SettingsOrigin origin_of(const Configuration& configuration, const std::filesystem::path& file) {
  return is_below(file, configuration.system_directory) ? SettingsOrigin::system : SettingsOrigin::user;
}

// others: a group may write to it too, as to all that a user with umask 002 makes.
enum class Writers { others, owner_only };

// Whoever can write to it decides what runs as this user.
void check_trust(const struct stat& status, const std::filesystem::path& path, SettingsOrigin origin, Writers writers) {
  const bool is_groups = writers == Writers::owner_only && (status.st_mode & S_IWGRP) != 0;
  const bool is_everyones = (status.st_mode & S_IWOTH) != 0;
  if (is_groups || is_everyones) {
    throw Error(
        fmt::format("cannot trust {}: {} may write to it", shown(path), is_everyones ? "everyone" : "its group"),
        fmt::format("look it through, then: chmod go-w {}", shown(path)));
  }
  if (status.st_uid == 0 || status.st_uid == ::geteuid()) return;
  const bool is_systems = origin == SettingsOrigin::system;
  throw Error(fmt::format("cannot trust {}: it belongs to user {}", shown(path), status.st_uid),
              is_systems
                  ? fmt::format("an admin, having looked it through: chown root: {0} && chmod go-w {0}", shown(path))
                  : "make it your own, or set XDG_CONFIG_HOME");
}

void check_directory(const std::filesystem::path& directory, SettingsOrigin origin) {
  struct stat status {};
  if (::stat(directory.c_str(), &status) == 0) check_trust(status, directory, origin, Writers::owner_only);
}

void add_files(std::vector<std::filesystem::path>& files, const std::filesystem::path& directory,
               std::string_view suffix, SettingsOrigin origin) {
  Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd && (errno == ENOENT || errno == ENOTDIR)) return;
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw SysError("cannot open " + shown(directory));
  check_trust(status, directory, origin, origin == SettingsOrigin::system ? Writers::owner_only : Writers::others);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd.get()), ::closedir);
  if (!stream) throw SysError("cannot read " + shown(directory));
  fd.release();
  const auto first = static_cast<std::ptrdiff_t>(files.size());
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name.ends_with(suffix) && !name.starts_with('.')) files.push_back(directory / name);
  }
  std::sort(files.begin() + first, files.end());
}

}  // namespace

std::vector<std::filesystem::path> list_drop_ins(const Configuration& configuration, std::string_view directory,
                                                 std::string_view suffix) {
  std::vector<std::filesystem::path> files;
  const auto& [system, user] = std::tie(configuration.system_directory, configuration.user_directory);
  if (!system.empty()) {
    check_directory(system, SettingsOrigin::system);
    add_files(files, system / directory, suffix, SettingsOrigin::system);
  }
  if (!user.empty()) add_files(files, user / directory, suffix, SettingsOrigin::user);
  return files;
}

std::string read_drop_in(const Configuration& configuration, const std::filesystem::path& file) {
  return read_settings_file(file, origin_of(configuration, file)).value_or("");
}

HookKind look_at_hook(const Configuration& configuration, const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ELOOP) return HookKind::dangling_link;
    throw SysError("cannot look at the hook " + shown(file));
  }
  if (!S_ISREG(status.st_mode) || ::access(file.c_str(), X_OK) != 0) return HookKind::not_executable;
  const SettingsOrigin origin = origin_of(configuration, file);
  check_trust(status, file, origin, Writers::owner_only);
  const std::filesystem::path directory = file.parent_path();
  for (const auto& above : {directory, directory.parent_path()}) check_directory(above, origin);
  return HookKind::program;
}

}  // namespace mlctr
