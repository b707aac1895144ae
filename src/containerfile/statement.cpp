#include "containerfile/statement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"
#include "containerfile/letters.hpp"

namespace mlctr::containerfile {
namespace {

std::string uppered(std::string_view text) {
  std::string upper(text);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

void check_arguments(const Statement& statement) {
  if (!statement.arguments.text.empty()) return;
  statement.fail(statement.written_keyword.place(), fmt::format("{} without an argument", statement.keyword),
                 "write it on the same line");
}

std::string whole_argument(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  return std::string(statement.arguments.text);
}

Word whole_word(const Statement& statement) {
  return {whole_argument(statement), statement.arguments.place()};
}

std::vector<Word> list_of(const Statement& statement) {
  if (auto words = json_words(statement.arguments, statement.filename)) return *words;
  return split_at_blanks(statement.arguments);
}

struct Assignments {
  std::vector<Assignment> list;
  AssignmentForm form;
};

Assignments legacy_assignment(const Statement& statement) {
  const FirstAndRest parts = split_first(statement.arguments);
  if (!parts.rest) {
    statement.fail(parts.first.place(),
                   fmt::format("{} {} has no value", statement.keyword, printable(parts.first.text)),
                   fmt::format("write {} {}=VALUE", statement.keyword, printable(parts.first.text)));
  }
  return {{{parts.first.word(), parts.rest->word()}}, AssignmentForm::legacy};
}

Assignment split_assignment(const Statement& statement, const Word& word) {
  const std::size_t equals = word.text.find('=');
  if (equals == std::string::npos) {
    statement.fail(word.place, fmt::format("no \"=\" in {}", printable(word.text)),
                   "put a value with blanks between double quotes: NAME=\"a b\"");
  }
  if (equals == 0) {
    statement.fail(word.place, fmt::format("no name before \"=\" in {}", printable(word.text)),
                   "no blanks belong around \"=\"");
  }
  Place value_place = word.place;
  value_place.column += static_cast<std::uint32_t>(equals + 1);
  return {{word.text.substr(0, equals), word.place}, {word.text.substr(equals + 1), value_place}};
}

Assignments assignments_of(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  const std::vector<Word> words = split_quoted(statement.arguments, statement.escape);
  if (words.empty() || words.front().text.find('=') == std::string::npos) return legacy_assignment(statement);
  Assignments assignments{{}, AssignmentForm::equals};
  for (const Word& word : words) assignments.list.push_back(split_assignment(statement, word));
  return assignments;
}

Body parse_env(const Statement& statement) {
  Assignments assignments = assignments_of(statement);
  return Env{std::move(assignments.list), assignments.form};
}

Body parse_label(const Statement& statement) {
  Assignments assignments = assignments_of(statement);
  return Label{std::move(assignments.list), assignments.form};
}

Body parse_arg(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  Arg arg;
  for (const Word& word : split_quoted(statement.arguments, statement.escape)) {
    if (word.text.find('=') == std::string::npos) {
      arg.declarations.push_back({word, std::nullopt});
    } else {
      Assignment assignment = split_assignment(statement, word);
      arg.declarations.push_back({std::move(assignment.name), std::move(assignment.value)});
    }
  }
  return arg;
}

Body parse_shell(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  const auto words = json_words(statement.arguments, statement.filename);
  if (!words || words->empty()) {
    statement.fail(statement.arguments.place(), "SHELL wants a JSON array of strings",
                   R"(write SHELL ["/bin/bash", "-c"])");
  }
  Shell shell;
  for (const Word& word : *words) shell.words.push_back(word.text);
  return shell;
}

Body parse_expose(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  return Expose{split_at_blanks(statement.arguments)};
}

Body parse_volume(const Statement& statement) {
  statement.parse_flags({});
  Volume volume;
  for (Word word : list_of(statement)) {
    word.text = without_blanks_around(word.text);
    if (word.text.empty()) statement.fail(word.place, "an empty path in VOLUME");
    volume.paths.push_back(std::move(word));
  }
  if (volume.paths.empty()) statement.fail(statement.written_keyword.place(), "VOLUME without a path");
  return volume;
}

Body parse_onbuild(const Statement& statement) {
  statement.parse_flags({});
  check_arguments(statement);
  Statement trigger = split_statement(statement.arguments, statement.escape, statement.filename);
  trigger.heredocs = statement.heredocs;
  if (trigger.keyword == "ONBUILD" || trigger.keyword == "FROM" || trigger.keyword == "MAINTAINER") {
    statement.fail(trigger.written_keyword.place(), fmt::format("{} can't follow ONBUILD", trigger.keyword));
  }
  parse_body(trigger);  // what it says counts later, but whether it can be parsed is told now
  std::string expression(statement.arguments.text);
  for (const Heredoc& heredoc : statement.heredocs) {
    expression += fmt::format("\n{}{}", heredoc.content, heredoc.name);
  }
  return OnBuild{std::move(expression)};
}

Body parse_command(const Statement& statement) {
  statement.parse_flags({});
  return Cmd{parse_command_line(statement)};
}

Body parse_entrypoint(const Statement& statement) {
  statement.parse_flags({});
  return Entrypoint{parse_command_line(statement)};
}

struct Keyword {
  std::string_view name;
  Body (*parse)(const Statement&);  ///< null: FROM
};

constexpr std::array k_keywords{
    Keyword{"ADD", [](const Statement& s) -> Body { return parse_add(s); }},
    Keyword{"ARG", parse_arg},
    Keyword{"CMD", parse_command},
    Keyword{"COPY", [](const Statement& s) -> Body { return parse_copy(s); }},
    Keyword{"ENTRYPOINT", parse_entrypoint},
    Keyword{"ENV", parse_env},
    Keyword{"EXPOSE", parse_expose},
    Keyword{"FROM", nullptr},
    Keyword{"HEALTHCHECK", [](const Statement& s) -> Body { return parse_healthcheck(s); }},
    Keyword{"LABEL", parse_label},
    Keyword{"MAINTAINER", [](const Statement& s) -> Body { return Maintainer{whole_argument(s)}; }},
    Keyword{"ONBUILD", parse_onbuild},
    Keyword{"RUN", [](const Statement& s) -> Body { return parse_run(s); }},
    Keyword{"SHELL", parse_shell},
    Keyword{"STOPSIGNAL", [](const Statement& s) -> Body { return StopSignal{whole_word(s)}; }},
    Keyword{"USER", [](const Statement& s) -> Body { return User{whole_word(s)}; }},
    Keyword{"VOLUME", parse_volume},
    Keyword{"WORKDIR", [](const Statement& s) -> Body { return Workdir{whole_word(s)}; }},
};

[[noreturn]] void fail_unknown(const Statement& statement) {
  std::vector<std::string> names;
  for (const Keyword& keyword : k_keywords) names.emplace_back(keyword.name);
  const std::string meant = nearest(statement.keyword, names);
  statement.fail(statement.written_keyword.place(),
                 fmt::format("no instruction is called {}", printable(statement.written_keyword.text)),
                 meant.empty() ? fmt::format("if it belongs to the line before, end that one with {}", statement.escape)
                               : fmt::format("did you mean {}?", meant));
}

}  // namespace

void Statement::fail(Place place, std::string_view what, std::string hint) const {
  throw SyntaxError(filename, place, what, std::move(hint));
}

Statement split_statement(Slice line, char escape, std::string_view filename) {
  SplitCommand parts = split_command(line, escape);
  return {.keyword = uppered(parts.keyword.text),
          .written_keyword = parts.keyword,
          .flags = std::move(parts.flags),
          .arguments = parts.arguments,
          .heredocs = {},
          .escape = escape,
          .filename = filename};
}

bool may_have_heredocs(const Statement& statement) {
  if (statement.keyword == "ONBUILD") {
    const Statement trigger = split_statement(statement.arguments, statement.escape, statement.filename);
    return trigger.keyword != "ONBUILD" && may_have_heredocs(trigger);
  }
  const bool is_kind = statement.keyword == "RUN" || statement.keyword == "COPY" || statement.keyword == "ADD";
  return is_kind && !json_words(statement.arguments, statement.filename);
}

CommandLine parse_command_line(const Statement& statement) {
  CommandLine command{.form = CommandForm::shell, .words = {}, .heredocs = statement.heredocs};
  if (const auto words = json_words(statement.arguments, statement.filename)) {
    command.form = CommandForm::exec;
    for (const Word& word : *words) command.words.push_back(word.text);
  } else if (!statement.arguments.text.empty()) {
    command.words.emplace_back(statement.arguments.text);
  }
  return command;
}

Body parse_body(const Statement& statement) {
  const auto keyword = std::find_if(k_keywords.begin(), k_keywords.end(),
                                    [&](const Keyword& one) { return one.name == statement.keyword; });
  if (keyword == k_keywords.end() || keyword->parse == nullptr) fail_unknown(statement);
  return keyword->parse(statement);
}

}  // namespace mlctr::containerfile
