// The one place where errors end: each becomes one line, a hint and an exit code.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <clocale>
#include <csignal>
#include <filesystem>
#include <new>

#include "base/error.hpp"
#include "base/ignored_signals.hpp"
#include "base/owner_umask.hpp"
#include "base/printable.hpp"
#include "base/soft_limits.hpp"
#include "cli/command_line.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"
#include "cli/terminal.hpp"
#include "runtime/program.hpp"

namespace mlctr::cli {
namespace {

constexpr int k_broken_pipe = 128 + SIGPIPE;  // what a program that does not ignore the signal ends with

// A file of the store must never become descriptor 1, or what we print ends in it.
void open_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != fd) ::_exit(k_own_failure);
  }
}

// Messages may quote what a registry or an image says.
std::string safe(std::string_view text) {
  return printable(text, 8192);
}

int report(const Error& error) {
  say(fmt::format("error: {}", safe(error.message())));
  if (!error.hint().empty()) write_to_terminal(STDERR_FILENO, fmt::format("hint: {}\n", safe(error.hint())));
  return k_own_failure;
}

int run(int argc, char** argv) {
  try {
    check_hard_limits();
    return parse_command_line(argc, argv)();
  } catch (const StoppedBySignal& stopped) {
    say(stopped.in_one_line());
    die_of_signal(stopped.signal_number());
  } catch (const ReaderGone&) {
    return k_broken_pipe;
  } catch (const runtime::CommandError& error) {
    report(error);
    return error.exit_code();
  } catch (const Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(Error("out of memory", "fewer pull.threads and pull.parallel_downloads need less"));
  } catch (const std::filesystem::filesystem_error& error) {
    return report(SysError(fmt::format("cannot look at {}", error.path1().string()), error.code().value()));
  } catch (const std::exception& error) {
    return report(Error(error.what()));
  }
}

}  // namespace
}  // namespace mlctr::cli

int main(int argc, char** argv) {
  mlctr::raise_soft_limits();
  mlctr::spare_owner_in_umask();
  mlctr::cli::open_standard_descriptors();
  mlctr::ignore_write_signals();
  std::setlocale(LC_CTYPE, "");  // the width of characters; nothing else may depend on the locale
  return mlctr::cli::run(argc, argv);
}
