#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EPIPE) throw ReaderGone{};
    if (put < 0) throw SysError("cannot write standard output");
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

void print_json(const nlohmann::ordered_json& json) {
  const bool ascii_only = ::isatty(STDOUT_FILENO) == 1;
  // Names in images need not be UTF-8; JSON must.
  print(json.dump(2, ' ', ascii_only, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void say(std::string_view text) {
  write_to_terminal(STDERR_FILENO, fmt::format("mlctr: {}\n", text));
}

void warn_of(const std::vector<BrokenEntry>& broken) {
  for (const BrokenEntry& entry : broken) {
    say(fmt::format("warning: {}: {}", printable(entry.path.string(), 4096), printable(entry.problem, 1024)));
  }
}

std::string shell_word(std::string_view text) {
  constexpr std::string_view k_plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./:@%+=,-#";
  const bool is_plain =
      !text.empty() && text.front() != '#' && text.find_first_not_of(k_plain) == std::string_view::npos;
  if (is_plain) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace mlctr::cli
