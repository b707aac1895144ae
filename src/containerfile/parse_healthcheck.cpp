#include <fmt/format.h>

#include <charconv>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"
#include "containerfile/duration.hpp"
#include "containerfile/letters.hpp"
#include "containerfile/statement.hpp"

namespace mlctr::containerfile {
namespace {

std::chrono::nanoseconds interval_of(const Statement& statement, const Flags& flags, std::string_view name) {
  using namespace std::chrono_literals;
  const auto value = flags.text(name);
  if (!value || value->text.empty()) return 0ns;
  const auto duration = parse_duration(value->text);
  if (!duration) {
    statement.fail(value->place, fmt::format("--{}={} is no duration", name, printable(value->text)),
                   "for example 30s, 1m30s");
  }
  if (*duration != 0ns && *duration < 1ms) {
    statement.fail(value->place, fmt::format("--{}={} is shorter than 1ms", name, printable(value->text)));
  }
  return *duration;
}

std::uint32_t retries_of(const Statement& statement, const Flags& flags) {
  const auto value = flags.text("retries");
  if (!value || value->text.empty()) return 0;
  std::int32_t retries = -1;
  const char* end = value->text.data() + value->text.size();
  const auto [stop, error] = std::from_chars(value->text.data(), end, retries);
  if (error != std::errc() || stop != end || retries < 0) {
    statement.fail(value->place, fmt::format("--retries={} is no number from 0 on", printable(value->text)));
  }
  return static_cast<std::uint32_t>(retries);
}

// The arguments' first word: NONE or CMD, in any case.
std::string_view kind_of(std::string_view arguments) {
  std::size_t end = 0;
  while (end < arguments.size() && blank_bytes(arguments.substr(end)) == 0) ++end;
  return arguments.substr(0, end);
}

}  // namespace

Healthcheck parse_healthcheck(const Statement& statement) {
  const std::string_view kind = kind_of(statement.arguments.text);
  const std::string_view rest = without_leading_blanks(statement.arguments.text.substr(kind.size()));
  if (kind.empty()) {
    statement.fail(statement.written_keyword.place(), "HEALTHCHECK without an argument",
                   "write HEALTHCHECK CMD COMMAND, or NONE");
  }
  if (lowered(kind) == "none") {
    if (!rest.empty()) statement.fail(statement.arguments.part(rest).place(), "nothing can follow HEALTHCHECK NONE");
    return {.test = {"NONE"}};
  }
  const Flags flags =
      statement.parse_flags({{"interval"}, {"timeout"}, {"start-period"}, {"start-interval"}, {"retries"}});
  if (lowered(kind) != "cmd") {
    const std::string meant = nearest(lowered(kind), {"cmd", "none"});
    statement.fail(statement.arguments.place(), fmt::format("HEALTHCHECK {} is not known", printable(kind)),
                   meant == "none" ? "did you mean NONE?" : "write HEALTHCHECK CMD COMMAND");
  }
  Statement command = statement;
  command.arguments = statement.arguments.part(rest);
  const CommandLine line = parse_command_line(command);
  if (line.words.empty()) statement.fail(statement.arguments.place(), "no command after HEALTHCHECK CMD");
  Healthcheck check{.test = {line.form == CommandForm::exec ? "CMD" : "CMD-SHELL"}};
  check.test.insert(check.test.end(), line.words.begin(), line.words.end());
  check.interval = interval_of(statement, flags, "interval");
  check.timeout = interval_of(statement, flags, "timeout");
  check.start_period = interval_of(statement, flags, "start-period");
  check.start_interval = interval_of(statement, flags, "start-interval");
  check.retries = retries_of(statement, flags);
  return check;
}

}  // namespace mlctr::containerfile
