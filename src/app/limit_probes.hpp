// Probes of what this session's limits leave to mlctr and to the programs it starts, which inherit them (getrlimit(2),
// cgroups(7)). None is needed by itself: whether a run works is found out by one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "app/finding.hpp"
#include "base/error.hpp"

namespace mlctr {

Finding probe_open_files();
Finding probe_threads();
Finding probe_address_space();
Finding probe_file_size();
Finding probe_locked_memory();
Finding probe_inotify();
Finding probe_cgroup();

/// Of `error`, which says that no process can be started.
Finding no_process(const Error& error);

/// What a control group and those around it allow at most; absent: no limit.
struct GroupLimits {
  std::string path;  ///< in the hierarchy; empty where there is none of version 2
  std::optional<std::uint64_t> memory_bytes, processes;
};

/// `own`: the text of /proc/self/cgroup; `hierarchy`: where version 2 is mounted.
GroupLimits read_group_limits(std::string_view own, const std::filesystem::path& hierarchy = "/sys/fs/cgroup");

}  // namespace mlctr
