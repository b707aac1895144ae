#include "containerfile/containerfile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"
#include "containerfile/checks.hpp"
#include "containerfile/heredocs.hpp"
#include "containerfile/letters.hpp"
#include "containerfile/line_reader.hpp"
#include "containerfile/statement.hpp"

namespace mlctr::containerfile {
namespace {

std::vector<Heredoc> read_heredocs(LineReader& reader, const Line& line) {
  std::vector<Heredoc> heredocs = heredocs_in(line.text());
  for (Heredoc& heredoc : heredocs) {
    heredoc.place = {reader.line_number() + 1, 1};
    for (auto raw = reader.next_raw();; raw = reader.next_raw()) {
      if (!raw) {
        throw SyntaxError(reader.filename(), line.place_at(line.text().find("<<")),
                          fmt::format("the heredoc {} has no end", printable(heredoc.name)),
                          fmt::format("end it with a line that holds {} and nothing else", printable(heredoc.name)));
      }
      if (ends_heredoc(heredoc, *raw)) break;
      heredoc.content += *raw;
    }
  }
  return heredocs;
}

Statement read_statement(LineReader& reader, const Line& line) {
  Statement statement = split_statement({&line, line.text()}, reader.escape(), reader.filename());
  if (line.text().find("<<") != std::string::npos && may_have_heredocs(statement)) {
    statement.heredocs = read_heredocs(reader, line);
  }
  return statement;
}

Instruction instruction_of(const Statement& statement, std::uint32_t last_line) {
  const Line& line = *statement.written_keyword.line;
  return {.body = parse_body(statement),
          .text = std::string(without_blanks_around(line.text())),
          .place = statement.written_keyword.place(),
          .last_line = last_line};
}

void add_instruction(Containerfile& file, const Statement& statement, std::uint32_t last_line) {
  if (statement.keyword == "FROM") return file.stages.push_back(parse_from(statement));
  Instruction instruction = instruction_of(statement, last_line);
  if (!file.stages.empty()) return file.stages.back().instructions.push_back(std::move(instruction));
  if (!std::holds_alternative<Arg>(instruction.body)) {
    statement.fail(instruction.place, fmt::format("{} comes before the first FROM", statement.keyword),
                   "begin with FROM IMAGE; only ARG may come before it");
  }
  file.global_arguments.push_back(std::move(instruction));
}

std::string directive(const LineReader& reader, const std::string& name) {
  const auto value = reader.directives().find(name);
  return value == reader.directives().end() ? std::string() : value->second;
}

void check_size(std::string_view text, std::string_view filename) {
  if (text.size() <= k_max_file_bytes) return;
  throw Error(fmt::format("{} is larger than {} MiB", printable(filename), k_max_file_bytes >> 20),
              "is it a Containerfile?");
}

}  // namespace

Containerfile parse(std::string_view text, std::string filename) {
  check_size(text, filename);
  Containerfile file;
  LineReader reader(text, filename);
  while (const auto continued = reader.next()) {
    const Statement statement = read_statement(reader, continued->line);
    if (continued->empty_line != 0) {
      file.warnings.push_back(
          {{continued->empty_line, 1}, "NoEmptyContinuation", "an empty line inside an instruction"});
    }
    add_instruction(file, statement, reader.line_number());
  }
  file.filename = std::move(filename);
  file.syntax = directive(reader, "syntax");
  file.checks = directive(reader, "check");
  file.escape = reader.escape();
  if (file.stages.empty()) {
    throw SyntaxError(file.filename, {std::max(reader.line_number(), 1u), 1}, "there is no FROM in it",
                      "begin with FROM IMAGE, or FROM scratch");
  }
  const std::vector<Warning> found = warnings_about(file);
  file.warnings.insert(file.warnings.end(), found.begin(), found.end());
  return file;
}

Instruction parse_trigger(std::string_view expression, std::string_view filename, Place place) {
  check_size(expression, filename);
  LineReader reader(expression, std::string(filename), place);
  const auto continued = reader.next();
  if (!continued) throw SyntaxError(filename, place, "an ONBUILD instruction of the base image is empty");
  const Statement statement = read_statement(reader, continued->line);
  Instruction instruction = instruction_of(statement, place.line);
  if (reader.next()) {
    throw SyntaxError(filename, place, "an ONBUILD instruction of the base image is more than one instruction");
  }
  return instruction;
}

std::optional<std::size_t> find_stage(const Containerfile& file, std::string_view name, std::size_t count) {
  const std::string wanted = lowered(name);
  for (std::size_t i = std::min(count, file.stages.size()); i > 0; --i) {  // of two with one name, the later one
    if (!wanted.empty() && file.stages[i - 1].name == wanted) return i - 1;
  }
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  return is_number && number < count ? std::optional(number) : std::nullopt;
}

std::size_t target_stage(const Containerfile& file, std::string_view target) {
  if (target.empty()) return file.stages.size() - 1;
  if (const auto stage = find_stage(file, target, file.stages.size())) return *stage;
  std::vector<std::string> names;
  for (const Stage& stage : file.stages) {
    if (!stage.name.empty()) names.push_back(stage.name);
  }
  const std::string meant = nearest(lowered(target), names);
  throw UsageError(fmt::format("{} has no stage \"{}\"", printable(file.filename), printable(target)),
                   !meant.empty()  ? fmt::format("did you mean --target {}?", meant)
                   : names.empty() ? "none of its stages has a name: FROM IMAGE AS NAME"
                                   : fmt::format("its stages are {}", fmt::join(names, ", ")));
}

}  // namespace mlctr::containerfile
