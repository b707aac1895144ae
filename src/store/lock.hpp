// Locks that hold across processes and across the nodes of a shared filesystem, and survive neither their process nor
// its node: open-file-description locks (fcntl(2), F_OFD_SETLK) where the filesystem has them; where it has not (Lustre
// without flock) or has them for one node only (Lustre's localflock, NFS's nolock), a lease that its holder renews and
// that others take over once it has stood still (store/lease.hpp). MLCTR_LOCKS=lease forces the latter.
//
// A lock saves double work and keeps gc away; what arrives in the store is whole even if one fails.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

namespace mlctr {

/// Who holds a lock, for messages. Written in the lock's file as "HOST PID BOOT-ID".
struct LockOwner {
  std::string host;  ///< empty where unknown
  int pid = 0;
  std::string boot_id;

  static LockOwner current();
  /// Never throws: a file cut short or made by others gives an owner unknown.
  static LockOwner parse(std::string_view text);
  std::string to_string() const;
  /// For messages: "process 12 on n1", or "another process".
  std::string description() const;
};

class Lock {
 public:
  Lock(Lock&&) noexcept;
  Lock& operator=(Lock&&) noexcept;
  ~Lock();

  /// Waits (polling, so that a stop is heeded at once: throws Cancelled). `on_wait` is called once, if it has to wait;
  /// it may be empty. `path` has no extension; the lock adds its own.
  [[nodiscard]] static Lock acquire(const std::filesystem::path& path, std::stop_token stop,
                                    const std::function<void(const LockOwner&)>& on_wait);
  [[nodiscard]] static std::optional<Lock> try_acquire(const std::filesystem::path& path);

  /// Releases the lock and removes its file, where that is safe while others wait for it.
  void remove();

  /// Whether anyone holds it now: by a look that keeps nobody from it.
  [[nodiscard]] static bool is_held(const std::filesystem::path& path);
  /// Removes the files of a lock that nobody holds.
  static void remove_idle(const std::filesystem::path& path);

  /// What a kind of lock does while it is held. Its destructor releases.
  class Held {
   public:
    virtual ~Held() = default;
    virtual void remove() = 0;
  };

 private:
  explicit Lock(std::unique_ptr<Held> held);
  std::unique_ptr<Held> held_;
};

}  // namespace mlctr
