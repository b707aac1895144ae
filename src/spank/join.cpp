#include "spank/join.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "spank/numbers.hpp"

namespace mlctr::spank {
namespace {

/// The first record of a kind; its bytes are empty where there is none.
MappedRecords::Record find_record(const MappedRecords& records, std::uint32_t kind) {
  for (std::size_t offset = 0; offset < records.size_bytes();) {
    if (const MappedRecords::Record record = records.take(offset); record.kind == kind) return record;
  }
  return {.kind = kind, .bytes = {}};
}

Failure enter_namespaces(const HandOff& hand_off) {
  for (std::size_t i = 0; i < hand_off.namespace_count; ++i) {
    if (::setns(hand_off.namespaces[i].get(), 0) != 0)
      return failed_by_errno("cannot enter a namespace of the container");
  }
  return {};
}

Failure write_map(int process, const char* name, const char* map) {
  const Descriptor file(::openat(process, name, O_WRONLY | O_CLOEXEC));
  const auto length = static_cast<ssize_t>(std::strlen(map));
  if (file && ::write(file.get(), map, static_cast<std::size_t>(length)) == length) return {};
  return failed_by_errno("cannot write %s for the container", name);
}

Failure write_maps(int process, const std::array<std::uint32_t, 2>& inside, uid_t uid, gid_t gid) {
  char map[64];
  // An unprivileged gid_map is only taken once setgroups(2) is off (user_namespaces(7)).
  if (Failure failure = write_map(process, "setgroups", "deny"); failure.happened()) return failure;
  std::snprintf(map, sizeof(map), "%u %u 1\n", inside[0], uid);
  if (Failure failure = write_map(process, "uid_map", map); failure.happened()) return failure;
  std::snprintf(map, sizeof(map), "%u %u 1\n", inside[1], gid);
  return write_map(process, "gid_map", map);
}

/// `process` is /proc/self as it was before: a container's own /proc need not know this process.
Failure change_identity(int process, std::string_view wanted) {
  if (wanted.empty()) return {};
  std::array<std::uint32_t, 2> inside;
  if (!read_numbers(wanted, inside.data(), inside.size())) return failed("the container's identity is malformed");
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return failed_by_errno("cannot make a user namespace in the container");
  // A process that was root is not dumpable, and its files in /proc root's; back to that as soon as they are open,
  // since what is left of slurmstepd in its memory is not for the user's debugger.
  const int before = ::prctl(PR_GET_DUMPABLE);
  ::prctl(PR_SET_DUMPABLE, 1);
  Failure failure = write_maps(process, inside, uid, gid);
  ::prctl(PR_SET_DUMPABLE, before == 1 ? 1 : 0);
  return failure;
}

/// Nobody (65534) where an id has no place inside: files made by the task would then fail in odd ways, much later.
Failure check_identity(const HandOff& hand_off) {
  if (::geteuid() == hand_off.uid && ::getegid() == hand_off.gid) return {};
  return failed("the task would be %u:%u in the container, not %u:%u", ::geteuid(), ::getegid(), hand_off.uid,
                hand_off.gid);
}

Failure enter_directory(const MappedRecords& records) {
  Failure failure;
  for (std::size_t offset = 0; offset < records.size_bytes();) {
    const MappedRecords::Record record = records.take(offset);
    if (record.kind != MLCTR_HAND_OFF_DIRECTORY) continue;
    char path[PATH_MAX];
    if (record.bytes.size() >= sizeof(path)) return failed("a working directory's path is too long");
    std::memcpy(path, record.bytes.data(), record.bytes.size());
    path[record.bytes.size()] = '\0';
    if (::chdir(path) == 0) return {};
    failure = failed_by_errno("cannot go to %s in the container", path);
  }
  return failure;
}

Failure install_filter(std::string_view program) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed_by_errno("cannot set no_new_privs");
  if (program.empty()) return {};
  // The records need not be aligned.
  auto* const instructions = static_cast<sock_filter*>(std::malloc(program.size()));
  if (instructions == nullptr) return failed("no memory for the container's filter");
  std::memcpy(instructions, program.data(), program.size());
  const sock_fprog filter{.len = static_cast<unsigned short>(program.size() / sizeof(sock_filter)),
                          .filter = instructions};
  const int result = ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
  Failure failure = result == 0 ? Failure{} : failed_by_errno("cannot install the container's filter of system calls");
  std::free(instructions);
  return failure;
}

}  // namespace

Failure join_container(const HandOff& hand_off) {
  const Descriptor process(::open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!process) return failed_by_errno("cannot open /proc/self");
  if (Failure failure = enter_namespaces(hand_off); failure.happened()) return failure;
  const std::string_view identity = find_record(hand_off.records, MLCTR_HAND_OFF_IDENTITY).bytes;
  if (Failure failure = change_identity(process.get(), identity); failure.happened()) return failure;
  if (Failure failure = check_identity(hand_off); failure.happened()) return failure;
  if (Failure failure = enter_directory(hand_off.records); failure.happened()) return failure;
  return install_filter(find_record(hand_off.records, MLCTR_HAND_OFF_FILTER).bytes);
}

}  // namespace mlctr::spank
