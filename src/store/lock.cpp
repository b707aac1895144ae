#include "store/lock.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <sstream>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/lease.hpp"
#include "store/lock_kind.hpp"
#include "store/open_file_lock.hpp"

namespace mlctr {
namespace {

std::filesystem::path with_extension(std::filesystem::path path, const char* extension) {
  return path += extension;
}

// A lock one may still get: tries, in the kind that its filesystem has.
class Candidate {
 public:
  explicit Candidate(const std::filesystem::path& path)
      : path_(path), kind_(choose_lock_kind(path.parent_path())), lease_(with_extension(path, ".lease")) {}

  LockAttempt attempt() {
    if (kind_ == LockKind::open_file) {
      if (std::optional<LockAttempt> tried = try_open_file_lock(with_extension(path_, ".lock")))
        return std::move(*tried);
      kind_ = LockKind::lease;
    }
    return lease_.attempt();
  }

 private:
  std::filesystem::path path_;
  LockKind kind_;
  LeaseWatch lease_;
};

// Sleeps longer each time: a thousand nodes that wait for one layer must not busy the file server.
class Patience {
 public:
  void wait(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    woken_.wait_for(lock, stop, pause_, [&] { return stop.stop_requested(); });
    if (stop.stop_requested()) throw Cancelled();
    pause_ = std::min<std::chrono::milliseconds>(pause_ * 3 / 2, std::chrono::milliseconds(500));
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::chrono::milliseconds pause_{10};
};

std::string read_boot_id() {
  const std::string text = read_file_if_any("/proc/sys/kernel/random/boot_id", 256);
  return text.empty() ? "-" : text.substr(0, text.find_first_of(" \n"));
}

}  // namespace

LockOwner LockOwner::current() {
  struct utsname names {};
  const std::string host = ::uname(&names) == 0 && names.nodename[0] != '\0' ? names.nodename : "-";
  static const std::string boot_id = read_boot_id();
  return {host, static_cast<int>(::getpid()), boot_id};
}

LockOwner LockOwner::parse(std::string_view text) {
  LockOwner owner;
  std::istringstream fields{std::string(text.substr(0, text.find('\n')))};
  if (!(fields >> owner.host >> owner.pid >> owner.boot_id) || owner.pid <= 0) return {};
  // The host goes to a terminal.
  const auto is_plain = [](char c) { return c > ' ' && c <= '~'; };
  return std::ranges::all_of(owner.host, is_plain) ? owner : LockOwner{};
}

std::string LockOwner::to_string() const {
  return fmt::format("{} {} {}", host, pid, boot_id);
}

std::string LockOwner::description() const {
  return host.empty() ? "another process" : fmt::format("process {} on {}", pid, host);
}

Lock::Lock(std::unique_ptr<Held> held) : held_(std::move(held)) {}
Lock::Lock(Lock&&) noexcept = default;
Lock& Lock::operator=(Lock&&) noexcept = default;
Lock::~Lock() = default;

void Lock::remove() {
  if (held_) held_->remove();
  held_.reset();
}

Lock Lock::acquire(const std::filesystem::path& path, std::stop_token stop,
                   const std::function<void(const LockOwner&)>& on_wait) {
  Candidate candidate(path);
  Patience patience;
  for (bool is_first = true;; is_first = false) {
    LockAttempt attempt = candidate.attempt();
    if (auto* held = std::get_if<std::unique_ptr<Held>>(&attempt)) return Lock(std::move(*held));
    if (is_first && on_wait) on_wait(std::get<LockOwner>(attempt));
    patience.wait(stop);
  }
}

std::optional<Lock> Lock::try_acquire(const std::filesystem::path& path) {
  LockAttempt attempt = Candidate(path).attempt();
  if (auto* held = std::get_if<std::unique_ptr<Held>>(&attempt)) return Lock(std::move(*held));
  return std::nullopt;
}

bool Lock::is_held(const std::filesystem::path& path) {
  return is_open_file_locked(with_extension(path, ".lock")) || is_leased(with_extension(path, ".lease"));
}

void Lock::remove_idle(const std::filesystem::path& path) {
  const std::filesystem::path lease = with_extension(path, ".lease");
  if (std::filesystem::exists(std::filesystem::symlink_status(lease))) return remove_idle_lease(lease);
  if (std::optional<Lock> lock = try_acquire(path)) lock->remove();
}

}  // namespace mlctr
