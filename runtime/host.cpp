#include "runtime/host.hpp"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace mlctr::runtime {
namespace {

std::filesystem::path find_terminal() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    std::array<char, PATH_MAX> name;
    if (::ttyname_r(fd, name.data(), name.size()) == 0) return name.data();
  }
  return {};
}

std::string find_zone() {
  std::error_code error;
  const std::string target = std::filesystem::read_symlink("/etc/localtime", error).string();
  constexpr std::string_view k_directory = "zoneinfo/";
  const std::size_t at = target.find(k_directory);
  return at == std::string::npos ? "" : target.substr(at + k_directory.size());
}

}  // namespace

void find_user_names(Host& host) {
  if (const passwd* user = ::getpwuid(host.uid)) host.user_name = user->pw_name;
  if (const group* group = ::getgrgid(host.gid)) host.group_name = group->gr_name;
}

Host look_at_host(UserNames names) {
  Host host;
  host.uid = ::geteuid();
  host.gid = ::getegid();
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') {
    const passwd* const user = ::getpwuid(host.uid);
    home = user == nullptr ? nullptr : user->pw_dir;
  }
  if (names == UserNames::found) find_user_names(host);
  std::error_code error;
  if (home != nullptr && std::filesystem::is_directory(home, error))
    host.home = std::filesystem::path(home).lexically_normal();
  host.current_directory = std::filesystem::current_path(error);
  host.terminal = find_terminal();
  host.zone = find_zone();
  for (char** variable = environ; *variable != nullptr; ++variable) host.environment.emplace_back(*variable);
  return host;
}

}  // namespace mlctr::runtime
