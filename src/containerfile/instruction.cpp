#include "containerfile/instruction.hpp"

#include <array>

#include "containerfile/heredocs.hpp"
#include "containerfile/run_mount_option.hpp"

namespace mlctr::containerfile {

std::string content_of(const Heredoc& heredoc) {
  if (heredoc.tabs == LeadingTabs::kept) return heredoc.content;
  std::string content;
  bool is_leading = true;
  for (const char c : heredoc.content) {
    is_leading = is_leading && c == '\t';
    if (!is_leading) content += c;
    if (c == '\n') is_leading = true;
  }
  return content;
}

RunScript script_of(const CommandLine& command) {
  RunScript script;
  for (const std::string& word : command.words) script.content.append(script.content.empty() ? "" : " ").append(word);
  if (command.heredocs.empty()) return script;
  const Heredoc& first = command.heredocs.front();
  if (heredoc_in(script.content)) {
    script.content = content_of(first);
    if (!script.content.starts_with("#!")) return script;
    return {RunScript::Kind::file, first.name, std::move(script.content)};
  }
  for (const Heredoc& heredoc : command.heredocs) {
    script.content.append("\n").append(heredoc.content).append(heredoc.name);
  }
  return script;
}

std::vector<Word> sources_of(const Instruction& instruction) {
  if (const Copy* copy = std::get_if<Copy>(&instruction.body)) {
    return copy->from ? std::vector<Word>{*copy->from} : std::vector<Word>{};
  }
  std::vector<Word> sources;
  if (const Run* run = std::get_if<Run>(&instruction.body)) {
    for (const Word& option : run->mount_options) {
      if (auto from = mount_source(option)) sources.push_back(std::move(*from));
    }
  }
  return sources;
}

std::string_view keyword_of(const Instruction& instruction) {
  constexpr std::array<std::string_view, std::variant_size_v<Body>> k_names{
      "RUN", "COPY",  "ADD",    "ENV",    "ARG",        "WORKDIR",     "USER",    "SHELL",     "ENTRYPOINT",
      "CMD", "LABEL", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "ONBUILD", "MAINTAINER"};
  return k_names.at(instruction.body.index());
}

}  // namespace mlctr::containerfile
