// mlctr-task MLCTR step run [OPTIONS] -- COMMAND...
//
// What `mlctr srun` has Slurm start where it lies beside mlctr. The first task of a node becomes MLCTR, with the words
// behind it; a later one gets into the container by the step's holder and becomes the command, without the milliseconds
// that a start of mlctr takes. Whatever keeps it out: it becomes MLCTR as well, which tells why.
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "spank/hand_off.hpp"
#include "spank/join.hpp"
#include "spank/step_door.hpp"

namespace mlctr::spank {
namespace {

constexpr int k_own_failure = 125, k_not_executable = 126, k_not_found = 127;

/// The node is Slurm's variable, which an image can't set.
void tell(const Failure& failure) {
  const char* const node = std::getenv("SLURMD_NODENAME");
  std::fprintf(stderr, "mlctr: error: %s%s%s\n", node == nullptr ? "" : node, node == nullptr ? "" : ": ",
               failure.text.data());
}

[[noreturn]] void end(const Failure& failure) {
  tell(failure);
  ::_exit(k_own_failure);
}

/// The command's words; null where there are none.
char** command_of(char** words) {
  while (*words != nullptr && std::string_view(*words) != "--") ++words;
  return words[0] == nullptr || words[1] == nullptr ? nullptr : words + 1;
}

bool is_later_task() {
  const char* const number = std::getenv("SLURM_LOCALID");
  return number != nullptr && *number != '\0' && std::string_view(number) != "0";
}

/// Only children of the process that enters it are in it: who starts one stays outside, to wait for it.
bool has_own_pids(const HandOff& hand_off) {
  for (std::size_t i = 0; i < hand_off.namespace_count; ++i) {
    if (::ioctl(hand_off.namespaces[i].get(), NS_GET_NSTYPE) == CLONE_NEWPID) return true;
  }
  return false;
}

/// Null where there is no memory for it.
char** environment_of(const MappedRecords& records) {
  std::size_t count = 0;
  records.each(MLCTR_HAND_OFF_VARIABLE, [&](std::string_view) { ++count; });
  auto** const variables = static_cast<char**>(std::calloc(count + 1, sizeof(char*)));
  if (variables == nullptr) return nullptr;
  std::size_t copied = 0, next = 0;
  records.each(MLCTR_HAND_OFF_VARIABLE, [&](std::string_view bytes) {
    variables[next] = ::strndup(bytes.data(), bytes.size());
    copied += variables[next++] != nullptr;
  });
  return copied == count ? variables : nullptr;
}

void print_warnings(const MappedRecords& records) {
  records.each(MLCTR_HAND_OFF_WARNING, [](std::string_view bytes) {
    const Failure line = failed("%.*s", static_cast<int>(bytes.size()), bytes.data());
    std::fprintf(stderr, "mlctr: %s\n", line.text.data());
  });
}

/// The first failure that is not about a file that isn't there; none: nowhere in PATH is one of that name.
int run_in_path(char** command) {
  if (std::strchr(command[0], '/') != nullptr) {
    ::execve(command[0], command, environ);
    struct stat status;
    return errno == ENOENT && ::stat(command[0], &status) != 0 ? 0 : errno;
  }
  const char* const path = std::getenv("PATH");
  int failure = 0;
  for (std::string_view rest = path == nullptr ? "" : path; !rest.empty();) {
    std::string_view directory = rest.substr(0, rest.find(':'));
    rest.remove_prefix(directory.size() + (directory.size() < rest.size() ? 1 : 0));
    if (directory.empty()) directory = ".";
    char file[PATH_MAX];
    const int length =
        std::snprintf(file, sizeof(file), "%.*s/%s", static_cast<int>(directory.size()), directory.data(), command[0]);
    if (length < 0 || static_cast<std::size_t>(length) >= sizeof(file)) continue;
    ::execve(file, command, environ);
    const int cause = errno;
    struct stat status;
    if (failure == 0 && ((cause != ENOENT && cause != ENOTDIR) || ::stat(file, &status) == 0)) failure = cause;
  }
  return failure;
}

/// What is wrong with the command, the first task of the node tells: unless another task may fare better.
[[noreturn]] void become(char** command) {
  const int failure = run_in_path(command);
  if (failure == 0) ::_exit(k_not_found);
  if (failure != ENOENT && failure != EACCES && failure != ENOEXEC && failure != EISDIR) {
    errno = failure;
    tell(failed_by_errno("cannot run %s", command[0]));
  }
  ::_exit(k_not_executable);
}

/// Returns where mlctr is to be asked.
void enter(char** command) {
  const HandOff hand_off = ask_holder(TaskOrder::later, environ);
  if (hand_off.failure.happened() || has_own_pids(hand_off)) return;
  char** const variables = environment_of(hand_off.records);
  if (variables == nullptr) return;
  print_warnings(hand_off.records);
  if (const Failure failure = join_container(hand_off); failure.happened()) end(failure);
  environ = variables;
  become(command);
}

}  // namespace
}  // namespace mlctr::spank

int main(int count, char** words) {
  using namespace mlctr::spank;
  if (count < 2) end(failed("mlctr-task is what mlctr srun has Slurm start: `mlctr srun --help`"));
  char** const command = command_of(words);
  if (command != nullptr && is_later_task()) enter(command);
  ::execv(words[1], words + 1);
  end(failed_by_errno("cannot run %s (nodes need it where the login node has it)", words[1]));
}
