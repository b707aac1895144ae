#include "store/store_root.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "base/error.hpp"
#include "base/path.hpp"

namespace mlctr {
namespace {

constexpr const char* k_choose_store = "set MLCTR_STORE (or `store` in mlctr.toml) to a directory of your own";

std::filesystem::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}

bool is_in_data_home(const std::filesystem::path& path) {
  return is_below(path, environment_path("XDG_DATA_HOME")) || is_below(path, environment_path("HOME") / ".local/share");
}

std::string user_name(uid_t uid) {
  std::array<char, 4096> buffer{};
  struct passwd entry {};
  struct passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) return found->pw_name;
  return fmt::format("user {}", uid);
}

struct stat stat_root(const std::filesystem::path& root) {
  struct stat status {};
  if (::stat(root.c_str(), &status) != 0) {
    SysError error("cannot open the store " + root.string());
    error.add_hint(k_choose_store);
    throw error;
  }
  if (!S_ISDIR(status.st_mode)) throw Error("the store " + root.string() + " is not a directory", k_choose_store);
  return status;
}

}  // namespace

void create_store_root(const std::filesystem::path& root) {
  std::filesystem::path directory;
  for (const std::filesystem::path& part : absolute_path(root)) {
    directory /= part;
    struct stat status {};
    if (::stat(directory.c_str(), &status) == 0) continue;
    if (::mkdir(directory.c_str(), is_in_data_home(directory) ? 0700 : 0777) == 0 || errno == EEXIST) continue;
    SysError error("cannot create the store " + root.string() + ": cannot create " + directory.string());
    error.add_hint(k_choose_store);
    throw error;
  }
}

void check_store_is_private(const std::filesystem::path& root) {
  const struct stat status = stat_root(root);
  if ((status.st_mode & S_IWOTH) == 0) return;
  throw Error(fmt::format("cannot trust the store {}: everyone may write to it", root.string()),
              fmt::format("chmod o-w {} if nobody else did, or use a directory inside it: MLCTR_STORE={}",
                          root.string(), (root / "mlctr").string()));
}

void check_store_is_writable(const std::filesystem::path& root) {
  const struct stat status = stat_root(root);
  const bool is_ours = status.st_uid == ::geteuid();
  const bool is_group_shared = (status.st_mode & S_IWGRP) != 0;
  if (!is_ours && status.st_uid != 0 && ::geteuid() == 0 && !is_group_shared) {
    throw Error(fmt::format("cannot write to the store {}: it belongs to {}, and you are root", root.string(),
                            user_name(status.st_uid)),
                fmt::format("run mlctr as {}, or {}", user_name(status.st_uid), k_choose_store));
  }
  if (::faccessat(AT_FDCWD, root.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return;
  const int errno_value = errno;
  const std::string action = "cannot write to the store " + root.string();
  SysError error(is_ours || errno_value == EROFS ? action : action + ", which belongs to " + user_name(status.st_uid),
                 errno_value);
  if (::geteuid() == 0 && errno_value == EACCES) {
    error.add_hint(fmt::format(
        "the file server takes root for nobody (root_squash): run mlctr as an ordinary user, or {}", k_choose_store));
  }
  error.add_hint(k_choose_store);
  throw error;
}

}  // namespace mlctr
