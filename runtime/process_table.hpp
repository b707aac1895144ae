// What /proc says of processes (proc(5), namespaces(7)). Each answer may be stale by the time it is read.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace mlctr::runtime {

/// Every process that this pid namespace sees.
std::vector<pid_t> all_pids();

/// /proc/PID/ns/KIND ("mnt", "net" …).
std::string namespace_path(pid_t pid, std::string_view kind);

/// "mnt:[4026532758]"; empty where there is no such process, or it is not ours to look at.
std::string namespace_id(pid_t pid, std::string_view kind);

}  // namespace mlctr::runtime
