#include "cli/output.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>

#include "app/export_image.hpp"
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

void print(const Table& table) {
  if (::isatty(STDOUT_FILENO) != 1) return print(table.text());
  const std::string_view ellipsis = terminal_glyphs() == Glyphs::unicode ? "…" : "...";
  print(table.text({.columns = terminal_size(STDOUT_FILENO).columns, .ellipsis = ellipsis}));
}

void print_json(const nlohmann::ordered_json& json) {
  // Names in images need not be UTF-8; JSON must.
  print(json.dump(2, ' ', /*ensure_ascii=*/true, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void refuse_terminal(std::string_view command) {
  if (::isatty(STDOUT_FILENO) != 1) return;
  throw UsageError("cannot write an image to a terminal", fmt::format("name a file, or send it on: {}", command));
}

std::uint64_t print_image(const std::filesystem::path& squashfs, std::stop_token stop) try {
  return write_squashfs(squashfs, STDOUT_FILENO, "standard output", std::move(stop));
} catch (const SysError& error) {
  if (error.errno_value() == EPIPE) throw ReaderGone{};
  throw;
}

std::string check_file_name(const std::string& name) {
  return name.empty() ? "the file's name is empty (- is standard output)" : "";
}

void say(std::string_view text) {
  write_to_terminal(STDERR_FILENO, fmt::format("mlctr: {}\n", text));
}

void warn_of(const std::vector<BrokenEntry>& broken) {
  for (const BrokenEntry& entry : broken) {
    say(fmt::format("warning: {}: {}", printable(entry.path.string(), 4096), printable(entry.problem, 1024)));
  }
}

}  // namespace mlctr::cli
