// A mutex for sections that wait for the network: whoever waits for it can be told to stop.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "base/error.hpp"

namespace mlctr {

class StoppableMutex {
 public:
  /// Throws Cancelled.
  void lock(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    if (!free_.wait(lock, stop, [this] { return !held_; })) throw Cancelled();
    held_ = true;
  }
  void unlock() noexcept {
    const std::lock_guard lock(mutex_);
    held_ = false;
    free_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any free_;
  bool held_ = false;
};

class StoppableLock {
 public:
  StoppableLock(StoppableMutex& mutex, std::stop_token stop) : mutex_(mutex) { mutex_.lock(std::move(stop)); }
  ~StoppableLock() { mutex_.unlock(); }
  StoppableLock(const StoppableLock&) = delete;
  StoppableLock& operator=(const StoppableLock&) = delete;

 private:
  StoppableMutex& mutex_;
};

}  // namespace mlctr
