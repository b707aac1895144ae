#include "app/step_entrypoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/nul_separated.hpp"
#include "base/printable.hpp"
#include "runtime/process_table.hpp"

namespace mlctr {
namespace {

// The shell says which process it is and waits, its environment to be read meanwhile.
constexpr int k_shell_in = 8, k_shell_out = 9;
constexpr const char* k_shell = "/bin/sh";
constexpr const char* k_go_script = "echo $$ >&9; read go <&8";
constexpr std::chrono::seconds k_patience_at_end{10};
constexpr std::size_t k_max_environ_bytes = 16u << 20;
constexpr const char* k_hint =
    "--no-container-entrypoint starts the container without it, --container-entrypoint-log shows what it says";

void give(const Fd& fd, int number) {
  const Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, k_shell_out + 1));  // out of the way of both
  if (!high || ::dup2(high.get(), number) < 0) throw SysError("cannot give the entrypoint its pipes");
}

[[noreturn]] void be_entrypoint(const runtime::Program& program, const Fd& in, const Fd& out, StepEntrypoint output) {
  try {
    const Fd null = open_file("/dev/null", O_RDWR);
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(output == StepEntrypoint::shown ? STDERR_FILENO : null.get(), STDOUT_FILENO);
    if (output == StepEntrypoint::silent) ::dup2(null.get(), STDERR_FILENO);
    give(in, k_shell_in);
    give(out, k_shell_out);
    runtime::become(program);
  } catch (const Error& error) {
    const std::string text = fmt::format("!{}\n", error.message());
    [[maybe_unused]] const auto written = ::write(out.get(), text.data(), text.size());
  }
  ::_exit(1);
}

// Up to its end or a newline.
std::string read_line(const Fd& pipe) {
  std::string line;
  char byte = 0;
  while (line.size() < 4096) {
    const ssize_t got = ::read(pipe.get(), &byte, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || byte == '\n') break;
    line += byte;
  }
  return line;
}

std::vector<std::string> environment_of(const std::string& pid) {
  if (pid.starts_with('!'))
    throw Error(fmt::format("cannot run the image's entrypoint: {}", printable(pid.substr(1), 4096)), k_hint);
  if (pid.empty()) throw Error("the image's entrypoint ended before it ran what it was given", k_hint);
  return split_at_nul(read_file(fmt::format("/proc/{}/environ", pid), k_max_environ_bytes));
}

bool is_shells(std::string_view name) {
  return name == "_" || name == "PWD" || name == "OLDPWD" || name == "SHLVL";
}

std::vector<runtime::EnvironmentEdit> difference(const std::vector<std::string>& before,
                                                 const std::vector<std::string>& after) {
  runtime::Environment was, is;
  was.set_entries(before, "");
  is.set_entries(after, "entrypoint");
  std::vector<runtime::EnvironmentEdit> edits;
  for (const auto& [name, variable] : is.variables()) {
    if (is_shells(name) || (was.has(name) && was.value(name) == variable.value)) continue;
    edits.push_back({name, variable.value, variable.origin});
  }
  for (const auto& [name, variable] : was.variables()) {
    if (!is.has(name) && !is_shells(name)) edits.push_back({name, std::nullopt, "entrypoint"});
  }
  return edits;
}

void end(pid_t child) {
  const Fd process = runtime::open_process(child);
  if (!runtime::wait_for_end(process, k_patience_at_end)) ::kill(child, SIGKILL);
  runtime::reap(child);
}

}  // namespace

std::vector<runtime::EnvironmentEdit> run_entrypoint(runtime::Program program, StepEntrypoint output) {
  program.command.insert(program.command.end(), {k_shell, "-c", k_go_script});
  auto [shell_in, go] = make_pipe();
  auto [said, shell_out] = make_pipe();
  const pid_t child = ::fork();
  if (child < 0) throw SysError("cannot start the image's entrypoint");
  if (child == 0) be_entrypoint(program, shell_in, shell_out, output);
  shell_in.reset();
  shell_out.reset();
  std::vector<std::string> environment;
  try {
    environment = environment_of(read_line(said));
  } catch (...) {
    go.reset();
    end(child);
    throw;
  }
  go.reset();
  end(child);
  return difference(program.environment, environment);
}

}  // namespace mlctr
