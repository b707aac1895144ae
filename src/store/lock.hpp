// Locks that hold across processes and across the nodes of a shared filesystem, and survive neither their process nor its
// node: open-file-description locks (fcntl(2), F_OFD_SETLK) where the filesystem has them; where it has not (Lustre mounted
// without flock), a lease file whose holder renews it and which others take over once it has stood still.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace mlctr {

struct LockOwner {
  std::string host;
  int pid = 0;
};

class Lock {
 public:
  Lock(Lock&&) noexcept;
  Lock& operator=(Lock&&) noexcept;
  ~Lock();

  /// Waits (polling, so that a stop is heeded at once: throws Cancelled). `on_wait` is called once, if it has to wait.
  static Lock acquire(const std::filesystem::path& path, std::stop_token stop,
                      const std::function<void(const LockOwner&)>& on_wait);
  static std::optional<Lock> try_acquire(const std::filesystem::path& path);

 private:
  struct Held;
  explicit Lock(std::unique_ptr<Held> held);
  std::unique_ptr<Held> held_;
};

}  // namespace mlctr
