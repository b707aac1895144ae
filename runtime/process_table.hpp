// Other processes: what /proc says of them (proc(5), namespaces(7); stale by the time it is read), their signals, their
// ends.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::runtime {

/// Every process that this pid namespace sees.
std::vector<pid_t> all_pids();

/// /proc/PID/ns/KIND ("mnt", "net" …).
std::string namespace_path(pid_t pid, std::string_view kind);

/// "mnt:[4026532758]"; empty where there is no such process, or it is not ours to look at.
std::string namespace_id(pid_t pid, std::string_view kind);

/// The words it was started with, as it shows them; empty where it has ended, reaped or not.
std::vector<std::string> command_of(pid_t pid);

/// /proc/PID/comm: at most 15 bytes; empty where there is no such process.
std::string name_of(pid_t pid);

/// 0 where there is no such process.
pid_t parent_of(pid_t pid);

/// Whether the process is stopped, as by SIGSTOP.
bool is_stopped(pid_t pid);

/// A descriptor of a process, which no other that gets its pid can take the place of (pidfd_open(2)); empty where there
/// is none.
Fd open_process(pid_t pid);

/// Does nothing where the process has ended or is not ours.
void send_signal(const Fd& process, int signal);

/// Waits for a child's end; its status, as waitpid(2) has it.
int reap(pid_t child);

/// False where it still runs after `patience`.
bool wait_for_end(const Fd& process, std::chrono::milliseconds patience);

}  // namespace mlctr::runtime
