// What a container takes from the machine and from who runs it, looked up once: everything planned from it is pure.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace mlctr::runtime {

struct Host {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string user_name;  ///< empty where the user database has no such id, or was not asked
  std::string group_name;
  std::filesystem::path home;  ///< $HOME, else the user database's; empty where neither is a directory
  std::filesystem::path current_directory;
  std::filesystem::path terminal;        ///< of standard input, output or error: "/dev/pts/3"; empty without
  std::string zone;                      ///< "Europe/Berlin", from where /etc/localtime leads; empty where unknown
  std::vector<std::string> environment;  ///< "NAME=VALUE"
};

/// The user database may be a network's, and slow: only who makes a container has to know its names.
enum class UserNames { found, left_out };

Host look_at_host(UserNames names = UserNames::found);

/// For one whose names were left out.
void find_user_names(Host& host);

}  // namespace mlctr::runtime
