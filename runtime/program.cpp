#include "runtime/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "base/fd.hpp"
#include "base/ignored_signals.hpp"
#include "base/owner_umask.hpp"
#include "base/printable.hpp"
#include "base/soft_limits.hpp"
#include "runtime/environment.hpp"
#include "runtime/remap_filter.hpp"

namespace mlctr::runtime {
namespace {

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (is_entry_of(entry, name)) return std::string_view(entry).substr(name.size() + 1);
  }
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> result;
  for (const std::string& word : words) result.push_back(const_cast<char*>(word.c_str()));
  result.push_back(nullptr);
  return result;
}

// "#!/usr/bin/python4" -> "/usr/bin/python4"; empty for anything else.
std::string interpreter_of(const std::string& script) {
  const Fd file(::open(script.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::array<char, 256> line{};
  const ssize_t size = file ? ::read(file.get(), line.data(), line.size()) : -1;
  std::string_view text(line.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  if (!text.starts_with("#!")) return "";
  text.remove_prefix(std::min(text.find_first_not_of(" \t", 2), text.size()));
  return std::string(text.substr(0, text.find_first_of(" \t\n")));
}

[[noreturn]] void refuse(const std::string& path, int errno_value) {
  const SysError cause(fmt::format("cannot run {}", printable(path, 4096)), errno_value);
  if (errno_value == ENOENT) {
    // The file is there: what is missing is what it says it needs.
    const std::string interpreter = interpreter_of(path);
    throw CommandError(CommandError::Kind::not_executable,
                       fmt::format("cannot run {}: its interpreter {}is not in the container", printable(path, 4096),
                                   interpreter.empty() ? "" : printable(interpreter) + " "),
                       interpreter.empty() ? "a dynamic program needs the loader it was linked for" : "");
  }
  std::string hint;
  if (errno_value == EACCES) hint = "chmod +x makes a file executable";
  if (errno_value == ENOEXEC) hint = "it may be for another architecture, or a script without a #! line";
  if (errno_value == E2BIG) hint = "arguments and environment are too long: `ulimit -s` raises how much there can be";
  throw CommandError(CommandError::Kind::not_executable, cause.message(), hint);
}

void enter_directory(const Program& program) {
  for (const std::string& directory : program.directories) {
    if (::chdir(directory.c_str()) == 0) return;
  }
  if (!program.directories.empty()) {
    const std::string directory = printable(program.directories.back(), 4096);
    SysError error(fmt::format("cannot start in the container's {}", directory));
    error.add_hint(fmt::format(
        "where it is the host's, --mount {0} (of srun's options --container-mounts={0}) brings it along", directory));
    throw error;
  }
}

}  // namespace

std::vector<std::string> program_paths(const std::string& name, const std::vector<std::string>& environment) {
  if (name.find('/') != std::string::npos) return {name};
  std::string_view path = value_of(environment, "PATH");
  if (path.empty()) path = k_default_path;
  std::vector<std::string> found;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const std::string_view directory = path.substr(begin, end - begin);
    found.push_back(fmt::format("{}/{}", directory.empty() ? "." : directory, name));
    begin = end + 1;
  }
  return found;
}

void become(const Program& program) {
  enter_directory(program);
  // Nothing in a container gains privileges from a file: no setuid, no capabilities (prctl(2)). seccomp wants it too.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw SysError("cannot set no_new_privs");
  install_filter(program.remap);
  restore_write_signals();
  const std::vector<char*> arguments = pointers(program.command);
  const std::vector<char*> environment = pointers(program.environment);
  int first_failure = 0;
  std::string refused;
  restore_soft_limits();
  program.umask ? static_cast<void>(::umask(*program.umask)) : restore_umask();
  for (const std::string& path : program_paths(program.command[0], program.environment)) {
    ::execve(path.c_str(), arguments.data(), environment.data());
    const int errno_value = errno;
    struct stat status;
    const bool is_there = ::stat(path.c_str(), &status) == 0;
    if (first_failure == 0 && (is_there || (errno_value != ENOENT && errno_value != ENOTDIR))) {
      first_failure = S_ISDIR(status.st_mode) && is_there ? EISDIR : errno_value;
      refused = path;
    }
  }
  raise_soft_limits();  // to tell of it
  if (first_failure != 0) refuse(refused, first_failure);
  throw CommandError(CommandError::Kind::not_found,
                     fmt::format("command not found in the container: {}",
                                 program.command[0].empty() ? "''" : printable(program.command[0], 4096)),
                     program.command[0].empty()
                         ? "the first word is empty: --entrypoint PROGRAM names another, --no-entrypoint leaves it out"
                     : program.command[0].starts_with('-') ? "options of mlctr's own go in front of the image"
                     : program.command[0].find('/') == std::string::npos
                         ? fmt::format("PATH there is {}", printable(value_of(program.environment, "PATH"), 4096))
                         : "only the image, your home, /tmp and the current directory are there; --mount adds more");
}

}  // namespace mlctr::runtime
