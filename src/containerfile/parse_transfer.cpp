#include <fmt/format.h>

#include "base/printable.hpp"
#include "containerfile/heredocs.hpp"
#include "containerfile/run_mount_option.hpp"
#include "containerfile/statement.hpp"
#include "containerfile/word_lexer.hpp"

namespace mlctr::containerfile {
namespace {

using Takes = FlagKind::Takes;

// By its name, as BuildKit does: of two heredocs with one name, the last one's content counts for both.
Heredoc with_content(Heredoc source, const Statement& statement) {
  for (const Heredoc& heredoc : statement.heredocs) {
    if (heredoc.name == source.name) {
      source.content = heredoc.content;
      source.place = heredoc.place;
    }
  }
  return source;
}

Transfer parse_transfer(const Statement& statement, const Flags& flags) {
  auto words = json_words(statement.arguments, statement.filename);
  if (!words) words = split_at_blanks(statement.arguments);
  if (words->size() < 2) {
    statement.fail(words->empty() ? statement.written_keyword.place() : words->front().place,
                   fmt::format("{} needs a source and a destination", statement.keyword),
                   fmt::format("write {} SOURCE… DESTINATION", statement.keyword));
  }
  Transfer transfer;
  transfer.destination = std::move(words->back());
  words->pop_back();
  if (heredoc_in(transfer.destination.text)) {
    statement.fail(transfer.destination.place,
                   fmt::format("the destination of {} can't be a heredoc", statement.keyword),
                   "put the destination last");
  }
  for (Word& word : *words) {
    if (const auto heredoc = heredoc_in(word.text)) {
      transfer.contents.push_back(with_content(*heredoc, statement));
    } else {
      transfer.sources.push_back(std::move(word));
    }
  }
  transfer.owner = flags.text("chown");
  transfer.mode = flags.text("chmod");
  transfer.excludes = flags.texts("exclude");
  transfer.link = flags.yes_or_no("link").value_or(false) ? LinkMode::independent : LinkMode::follow;
  return transfer;
}

void check_from(const Statement& statement, const Word& from) {
  const WordLexer lexer({.escape = statement.escape}, [](std::string_view) { return std::nullopt; });
  try {
    if (lexer.lex(from.text).value == from.text) return;
  } catch (const WordError&) {
    // Neither is it a name.
  }
  statement.fail(from.place, fmt::format("--from={} can't have variables or quotes", printable(from.text)),
                 "name a stage there: FROM ${IMAGE} AS tools, then COPY --from=tools");
}

RunNetwork parse_network(const Statement& statement, const std::optional<Word>& value) {
  if (!value || value->text == "default") return RunNetwork::standard;
  if (value->text == "none") return RunNetwork::none;
  if (value->text == "host") return RunNetwork::host;
  statement.fail(value->place, fmt::format("--network={} is not known", printable(value->text)),
                 "known are default, none and host");
}

void check_security(const Statement& statement, const std::optional<Word>& value) {
  if (!value || value->text == "sandbox") return;
  statement.fail(value->place,
                 fmt::format("--security={} can't be had without root on the host", printable(value->text)),
                 "leave it out: a step is root in its rootfs already");
}

}  // namespace

Copy parse_copy(const Statement& statement) {
  const Flags flags = statement.parse_flags({{"chown"},
                                             {"chmod"},
                                             {"from"},
                                             {"link", Takes::yes_or_no},
                                             {"parents", Takes::yes_or_no},
                                             {"exclude", Takes::texts}});
  Copy copy{parse_transfer(statement, flags), flags.text("from"),
            flags.yes_or_no("parents").value_or(false) ? ParentNames::kept : ParentNames::dropped};
  if (copy.from && copy.from->text.empty()) copy.from.reset();
  if (copy.from) check_from(statement, *copy.from);
  return copy;
}

Add parse_add(const Statement& statement) {
  const Flags flags = statement.parse_flags({{"chown"},
                                             {"chmod"},
                                             {"link", Takes::yes_or_no},
                                             {"keep-git-dir", Takes::yes_or_no},
                                             {"checksum"},
                                             {"unpack", Takes::yes_or_no},
                                             {"exclude", Takes::texts}});
  Add add{parse_transfer(statement, flags), flags.text("checksum")};
  if (const auto kept = flags.yes_or_no("keep-git-dir")) {
    add.git_directory = *kept ? GitDirectory::kept : GitDirectory::dropped;
  }
  if (const auto unpacked = flags.yes_or_no("unpack")) add.archives = *unpacked ? Archives::unpacked : Archives::kept;
  return add;
}

Run parse_run(const Statement& statement) {
  const Flags flags =
      statement.parse_flags({{"mount", Takes::texts}, {"network"}, {"security"}, {"device", Takes::texts}});
  Run run{.command = parse_command_line(statement), .mount_options = flags.texts("mount"), .mounts = {}};
  for (const Word& option : run.mount_options) check_mount(option, statement.filename);
  run.network = parse_network(statement, flags.text("network"));
  check_security(statement, flags.text("security"));
  if (const auto devices = flags.texts("device"); !devices.empty()) {
    statement.fail(devices.front().place, "--device is not known to this build",
                   "leave it out: a build makes files, and needs no GPU for that");
  }
  return run;
}

}  // namespace mlctr::containerfile
