#include "build/mode_change.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/error.hpp"
#include "base/number.hpp"
#include "base/printable.hpp"

namespace mlctr::build {
namespace {

constexpr mode_t k_mode_bits = 07777, k_chmod_umask = 022, k_execute_bits = 0111;

[[noreturn]] void refuse_mode(const std::string& text) {
  throw Error(fmt::format("--chmod={}: that is no mode", printable(text)), "--chmod=755 or --chmod=u=rwX,go=rX");
}

mode_t bits_of_users(char who) {
  switch (who) {
    case 'u':
      return 04700;
    case 'g':
      return 02070;
    case 'o':
      return 01007;
    case 'a':
      return k_mode_bits;
  }
  return 0;
}

mode_t bits_of_permission(char permission) {
  switch (permission) {
    case 'r':
      return 0444;
    case 'w':
      return 0222;
    case 'x':
      return k_execute_bits;
    case 's':
      return 06000;
    case 't':
      return 01000;
  }
  return 0;
}

// The permissions of one kind of users, given to all.
mode_t spread_to_all(mode_t mode, char who) {
  const mode_t three = (who == 'u' ? mode >> 6 : who == 'g' ? mode >> 3 : mode) & 07;
  return three << 6 | three << 3 | three;
}

}  // namespace

ModeChange ModeChange::parse(const std::string& text) {
  ModeChange change;
  change.text_ = text;
  if (const auto octal = parse_number<unsigned>(text, 8)) {
    if (*octal > k_mode_bits) refuse_mode(text);
    change.edits_ = {{.who = k_mode_bits, .operation = '=', .bits = *octal}};
    return change;
  }
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    for (const Edit& edit : parse_clause(text.substr(begin, comma - begin), text)) change.edits_.push_back(edit);
    begin = comma + 1;
  }
  return change;
}

std::vector<ModeChange::Edit> ModeChange::parse_clause(const std::string& clause, const std::string& text) {
  std::size_t at = 0;
  mode_t who = 0;
  for (; at < clause.size() && bits_of_users(clause[at]) != 0; ++at) who |= bits_of_users(clause[at]);
  std::vector<Edit> edits;
  while (at < clause.size()) {
    Edit edit{.who = who, .operation = clause[at++]};
    if (edit.operation != '+' && edit.operation != '-' && edit.operation != '=') refuse_mode(text);
    if (at < clause.size() && (clause[at] == 'u' || clause[at] == 'g' || clause[at] == 'o')) {
      edit.copied = clause[at++];
    } else {
      for (; at < clause.size(); ++at) {
        if (clause[at] == 'X') {
          edit.runs_too = true;
        } else if (const mode_t bits = bits_of_permission(clause[at]); bits != 0) {
          edit.bits |= bits;
        } else {
          break;
        }
      }
    }
    edits.push_back(edit);
  }
  if (edits.empty()) refuse_mode(text);
  return edits;
}

mode_t ModeChange::apply(mode_t mode) const {
  const bool is_directory = S_ISDIR(mode);
  mode &= k_mode_bits;
  for (const Edit& edit : edits_) mode = apply(edit, mode, is_directory);
  return mode;
}

mode_t ModeChange::apply(const Edit& edit, mode_t mode, bool is_directory) {
  mode_t bits = edit.copied != 0 ? spread_to_all(mode, edit.copied) : edit.bits;
  if (edit.runs_too && (is_directory || (mode & k_execute_bits) != 0)) bits |= k_execute_bits;
  bits &= edit.who != 0 ? edit.who : k_mode_bits & ~k_chmod_umask;
  if (edit.operation == '+') return mode | bits;
  if (edit.operation == '-') return mode & ~bits;
  return (mode & (edit.who != 0 ? k_mode_bits & ~edit.who : 0)) | bits;
}

}  // namespace mlctr::build
