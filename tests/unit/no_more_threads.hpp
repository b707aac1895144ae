// A process that can start no more threads, as under a low ulimit -u; but for every user, root too.
#pragma once

#include <doctest/doctest.h>
#include <pthread.h>

namespace mlctr::test {

/// While it lives, no thread with default attributes starts: their stacks would fill the whole address space.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    REQUIRE(::pthread_getattr_default_np(&before_) == 0);
    pthread_attr_t huge;
    REQUIRE(::pthread_attr_init(&huge) == 0);
    REQUIRE(::pthread_attr_setstacksize(&huge, 1ull << 47) == 0);
    REQUIRE(::pthread_setattr_default_np(&huge) == 0);
    ::pthread_attr_destroy(&huge);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;
  ~NoMoreThreads() {
    ::pthread_setattr_default_np(&before_);
    ::pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

}  // namespace mlctr::test
