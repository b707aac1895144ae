#include "app/limit_probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/soft_limits.hpp"
#include "runtime/obstacle.hpp"

namespace mlctr {
namespace {

constexpr rlim_t k_few_files = 1024;                         // what systems start with; a loader with workers needs it
constexpr unsigned k_threads = 32;                           // the server's, a pull's, and some of the program's own
constexpr std::uint64_t k_large_bytes = 64ull << 30;         // CUDA reserves as much address space as host and GPU have
constexpr std::uint64_t k_little_memory_bytes = 512u << 20;  // of which images and unnamed containers take their share

// One of ulimit's (bash(1)), of limits.conf(5) and of units (systemd.exec(5)).
struct Limit {
  decltype(RLIMIT_NOFILE) resource;
  char letter;
  const char *item, *in_units;
};
constexpr Limit k_files{RLIMIT_NOFILE, 'n', "nofile", "NOFILE"};
constexpr Limit k_processes{RLIMIT_NPROC, 'u', "nproc", "NPROC"};
constexpr Limit k_address_space{RLIMIT_AS, 'v', "as", "AS"};
constexpr Limit k_file_size{RLIMIT_FSIZE, 'f', "fsize", "FSIZE"};
constexpr Limit k_locked{RLIMIT_MEMLOCK, 'l', "memlock", "MEMLOCK"};

rlimit values_of(const Limit& limit) {
  rlimit values{};
  if (::getrlimit(limit.resource, &values) != 0) throw SysError("cannot read a limit");
  return values;
}

// Raised as far as the user may; the rest is an admin's.
std::vector<std::string> raise(const Limit& limit, rlim_t wanted, const std::string& wanted_text) {
  const rlimit values = values_of(limit);
  if (values.rlim_max >= wanted) return {fmt::format("ulimit -{0} $(ulimit -H{0})", limit.letter)};
  const std::string in_units =
      fmt::format("Limit{}={}", limit.in_units, wanted_text == "unlimited" ? "infinity" : wanted_text);
  return {fmt::format("echo '* - {} {}' | sudo tee -a /etc/security/limits.d/90-mlctr.conf  # then log in again",
                      limit.item, wanted_text),
          fmt::format("sudo systemctl edit slurmd  # for Slurm's jobs: [Service] {}", in_units)};
}

std::string gigabytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} GB", static_cast<double>(bytes) / 1e9);
}

std::string group_line() {
  return read_file_if_any("/proc/self/cgroup");
}

// Absent where it says "max"; the root group has no such file, and a container may see no groups at all.
std::optional<std::uint64_t> read_number(const std::filesystem::path& file) {
  const std::string text = read_file_if_any(file, 64);
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() ? std::optional(value) : std::nullopt;
}

void lower(std::optional<std::uint64_t>& limit, const std::optional<std::uint64_t>& other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

struct TooMany {
  std::string cause;
  std::vector<std::string> fix;
};

TooMany why_no_process() {
  const rlimit processes = values_of(k_processes);
  const GroupLimits group = read_group_limits(group_line());
  if (group.processes && *group.processes < processes.rlim_cur) {
    return {fmt::format("the control group {} allows {} in all (pids.max)", group.path, *group.processes),
            {fmt::format("sudo systemctl set-property user-{}.slice TasksMax=infinity", ::getuid())}};
  }
  return {fmt::format("you may have {} in all (ulimit -u)", processes.rlim_cur), raise(k_processes, 4096, "65536")};
}

// How many could be started side by side, of `wanted`.
unsigned start_threads(unsigned wanted) {
  std::mutex mutex;
  std::condition_variable changed;
  bool may_end = false;
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < wanted) {
      threads.emplace_back([&] {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return may_end; });
      });
    }
  } catch (const std::system_error&) {
    // As many as there are.
  }
  const std::scoped_lock lock(mutex);
  may_end = true;
  changed.notify_all();
  return static_cast<unsigned>(threads.size());
}

}  // namespace

GroupLimits read_group_limits(std::string_view own, const std::filesystem::path& hierarchy) {
  GroupLimits limits;
  std::istringstream lines{std::string(own)};
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("0::/")) limits.path = line.substr(3);
  }
  if (limits.path.empty()) return limits;
  const std::filesystem::path within = limits.path.substr(1);
  std::filesystem::path group = hierarchy;
  auto part = within.begin();
  for (;;) {
    lower(limits.memory_bytes, read_number(group / "memory.max"));
    lower(limits.processes, read_number(group / "pids.max"));
    if (part == within.end() || *part == "..") return limits;
    group /= *part++;
  }
}

Finding probe_open_files() {
  restore_soft_limits();
  std::vector<Fd> files;
  for (;;) {
    Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!file || files.size() >= k_few_files) break;
    files.push_back(std::move(file));
  }
  const rlimit values = values_of(k_files);
  if (values.rlim_cur < k_few_files) {
    return warning(
        fmt::format("only {} can be open at once (ulimit -n {}): programs with many workers need 1024 and more",
                    files.size(), values.rlim_cur),
        raise(k_files, k_few_files, "65536"));
  }
  if (files.size() < k_few_files / 2) {
    return warning(fmt::format("only {} could be opened: the system's limit is near", files.size()),
                   runtime::sysctl_commands("fs.file-max=1000000"));
  }
  return fine(fmt::format("{} a process", values.rlim_cur));
}

Finding probe_threads() {
  restore_soft_limits();
  const unsigned started = start_threads(k_threads);
  if (started == k_threads) return fine(fmt::format("{} started side by side", started));
  const std::string text = fmt::format("only {} of {} threads could be started", started, k_threads);
  const rlimit space = values_of(k_address_space);
  if (space.rlim_cur != RLIM_INFINITY) {
    return warning(fmt::format("{}: the address space is limited (ulimit -v {})", text, space.rlim_cur >> 10),
                   raise(k_address_space, RLIM_INFINITY, "unlimited"));
  }
  const TooMany reason = why_no_process();
  return warning(fmt::format("{}: {}", text, reason.cause), reason.fix);
}

Finding no_process(const Error& error) {
  const TooMany reason = why_no_process();
  return failure(fmt::format("{}: {}", error.message(), reason.cause), reason.fix);
}

Finding probe_address_space() {
  const rlimit values = values_of(k_address_space);
  void* reserved = ::mmap(nullptr, k_large_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved != MAP_FAILED) return fine(fmt::format("{} reserved", gigabytes(k_large_bytes)));
  if (values.rlim_cur == RLIM_INFINITY) return warning(SysError("cannot reserve address space").message());
  return warning(fmt::format("limited to {} (ulimit -v {}): CUDA and PyTorch reserve far more than they use",
                             gigabytes(values.rlim_cur), values.rlim_cur >> 10),
                 raise(k_address_space, RLIM_INFINITY, "unlimited"));
}

Finding probe_file_size() {
  const Fd file(::memfd_create("large", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(k_large_bytes)) == 0) {
    return fine(fmt::format("up to {} at least", gigabytes(k_large_bytes)));
  }
  return warning(fmt::format("files can have {} at most (ulimit -f): a large image can't be pulled",
                             gigabytes(values_of(k_file_size).rlim_cur)),
                 raise(k_file_size, RLIM_INFINITY, "unlimited"));
}

Finding probe_locked_memory() {
  const rlimit values = values_of(k_locked);
  std::error_code error;
  const std::filesystem::directory_iterator fabric("/sys/class/infiniband", error);
  const bool has_fabric = !error && fabric != std::filesystem::directory_iterator();
  if (values.rlim_cur == RLIM_INFINITY) return fine("unlimited");
  const std::string text = fmt::format("at most {:.1f} MB", static_cast<double>(values.rlim_cur) / 1e6);
  if (!has_fabric) return fine(text + "; no InfiniBand here, which needs more");
  return warning(fmt::format("{} (ulimit -l): NCCL and MPI lock what they send over InfiniBand", text),
                 raise(k_locked, RLIM_INFINITY, "unlimited"));
}

Finding probe_inotify() {
  const Fd watch(::inotify_init1(IN_CLOEXEC));
  if (watch) return fine("an instance made");
  const SysError error("cannot make an inotify instance");
  if (error.errno_value() != EMFILE) return warning(error.message());
  return warning(
      "none is left: containers whose image is unpacked need one, Jupyter and TensorBoard some "
      "(fs.inotify.max_user_instances)",
      runtime::sysctl_commands("fs.inotify.max_user_instances=1024"));
}

Finding probe_cgroup() {
  const GroupLimits limits = read_group_limits(group_line());
  if (limits.path.empty()) return fine("of version 1, or none: mlctr leaves them alone");
  const std::string memory = limits.memory_bytes ? gigabytes(*limits.memory_bytes) : "unlimited";
  const std::string processes = limits.processes ? fmt::format("{}", *limits.processes) : "unlimited";
  const std::string text = fmt::format("memory {}, processes {}, in {}", memory, processes, limits.path);
  if (limits.memory_bytes && *limits.memory_bytes < k_little_memory_bytes) {
    return warning(text + ": changes of unnamed containers count as memory", {"srun --mem=8G …"});
  }
  return fine(text);
}

}  // namespace mlctr
