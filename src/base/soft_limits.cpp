#include "base/soft_limits.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

namespace mlctr {
namespace {

constexpr rlim_t k_least_stack_bytes = 128u << 10;  // a run takes less, a pull's main thread too
constexpr rlim_t k_stack_bytes = 1u << 20;
constexpr rlim_t k_files = 1024;  // a start has some thirty open at once, a pull some for each layer

struct Need {
  decltype(RLIMIT_STACK) resource;
  rlim_t wanted;
};
// How many processes are enough nobody can tell: the limit counts all of the user's.
constexpr std::array<Need, 3> k_needs{
    {{RLIMIT_STACK, k_stack_bytes}, {RLIMIT_NOFILE, k_files}, {RLIMIT_NPROC, RLIM_INFINITY}}};

// What the session has, of those that were raised: the kernel knows only what they are now.
std::array<std::optional<rlim_t>, k_needs.size()> given_limits;

rlimit values_of(const Need& need) {
  rlimit values{};
  ::getrlimit(need.resource, &values);  // can't fail: these resources exist
  return values;
}

// The C library has taken it from the limit when the process started (pthread_create(3)).
void give_threads_enough_stack() {
  pthread_attr_t attributes;
  if (::pthread_attr_init(&attributes) != 0) return;
  if (::pthread_attr_setstacksize(&attributes, k_stack_bytes) == 0) ::pthread_setattr_default_np(&attributes);
  ::pthread_attr_destroy(&attributes);
}

std::string amount(rlim_t limit) {
  return limit == RLIM_INFINITY ? "unlimited" : fmt::format("{}", limit);
}

}  // namespace

void raise_soft_limits() {
  for (std::size_t i = 0; i < k_needs.size(); ++i) {
    rlimit values = values_of(k_needs[i]);
    const rlim_t wanted = std::min(values.rlim_max, k_needs[i].wanted);
    if (values.rlim_cur >= wanted) continue;
    const rlim_t before = std::exchange(values.rlim_cur, wanted);
    if (::setrlimit(k_needs[i].resource, &values) == 0 && !given_limits[i]) given_limits[i] = before;
  }
  if (given_limits[0]) give_threads_enough_stack();
}

void check_hard_limits() {
  const rlimit stack = values_of(k_needs[0]);
  if (stack.rlim_cur >= k_least_stack_bytes) return;
  throw Error(fmt::format("this session may use {} KiB of stack (ulimit -s), mlctr needs {}", stack.rlim_cur >> 10,
                          k_least_stack_bytes >> 10),
              "its hard limit is as low, so log in anew or leave the script that set it, and type: ulimit -s 8192");
}

void restore_soft_limits() {
  for (std::size_t i = 0; i < k_needs.size(); ++i) {
    rlimit values = values_of(k_needs[i]);
    if (!given_limits[i]) continue;
    values.rlim_cur = *given_limits[i];
    ::setrlimit(k_needs[i].resource, &values);
  }
}

SysError fork_error(std::string_view action, int errno_value) {
  SysError error(action, errno_value);
  if (errno_value != EAGAIN) return error;
  error.add_hint(
      fmt::format("you may have {} processes and threads in all (ulimit -Hu) or the control group fewer: end "
                  "some (ps -u $USER), or see `mlctr doctor`",
                  amount(values_of(k_needs[2]).rlim_max)));
  return error;
}

std::string too_many_files_hint() {
  const rlimit files = values_of(k_needs[1]);
  if (files.rlim_max > files.rlim_cur) {
    return fmt::format("a process may open {} files here: ulimit -n {}", files.rlim_cur, amount(files.rlim_max));
  }
  return fmt::format(
      "a process may open {} files here, and not raise that: after a new login perhaps, with ulimit -n 1024; "
      "`mlctr doctor` says what an admin types",
      files.rlim_cur);
}

}  // namespace mlctr
