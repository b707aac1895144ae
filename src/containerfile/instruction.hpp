// The instructions of a Containerfile. Format: BuildKit's Dockerfile reference. What `parse` returns has its words as
// written; what `StageVariables::evaluate` returns has their values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "containerfile/place.hpp"
#include "containerfile/run_mount.hpp"

namespace mlctr::containerfile {

enum class HeredocVariables { expanded, literal };  ///< literal: its delimiter was quoted
enum class LeadingTabs { kept, stripped };          ///< stripped: <<-NAME

struct Heredoc {
  std::string name;
  std::string content;  ///< every line with its newline, leading tabs still there
  HeredocVariables variables = HeredocVariables::expanded;
  LeadingTabs tabs = LeadingTabs::kept;
  Place place;  ///< of its first line

  bool operator==(const Heredoc&) const = default;
};

/// `content` as it is to be used: without leading tabs where the heredoc says so.
std::string content_of(const Heredoc& heredoc);

enum class CommandForm { shell, exec };

/// RUN, CMD and ENTRYPOINT: `words` is one text for the shell (none where there is nothing), or the arguments of exec.
struct CommandLine {
  CommandForm form = CommandForm::shell;
  std::vector<std::string> words;
  std::vector<Heredoc> heredocs;

  bool operator==(const CommandLine&) const = default;
};

/// What a RUN's command comes to: a text for the shell, or a script (it begins with "#!") to be run as a file.
struct RunScript {
  enum class Kind { shell_text, file } kind = Kind::shell_text;
  std::string name;  ///< of the file
  std::string content;
};

/// Of a command in the shell form: its heredocs are in the text, for the shell to read, but a lone one is the text.
RunScript script_of(const CommandLine& command);

enum class RunNetwork { standard, none, host };

struct Run {
  CommandLine command;
  std::vector<Word> mount_options;  ///< each --mount's value, as written
  std::vector<RunMount> mounts;     ///< only once evaluated
  RunNetwork network = RunNetwork::standard;
};

enum class LinkMode { follow, independent };  ///< independent: --link
enum class ParentNames { dropped, kept };     ///< kept: --parents
enum class GitDirectory { standard, kept, dropped };
enum class Archives { standard, unpacked, kept };  ///< ADD --unpack: standard unpacks local ones only

/// What COPY and ADD share. `contents` are the sources given as heredocs.
struct Transfer {
  std::vector<Word> sources;
  std::vector<Heredoc> contents;
  Word destination;
  std::optional<Word> owner;  ///< --chown
  std::optional<Word> mode;   ///< --chmod
  std::vector<Word> excludes;
  LinkMode link = LinkMode::follow;
};

struct Copy {
  Transfer transfer;
  std::optional<Word> from;  ///< a stage's name or number, or an image; never has variables
  ParentNames parents = ParentNames::dropped;
};

struct Add {
  Transfer transfer;
  std::optional<Word> checksum;
  GitDirectory git_directory = GitDirectory::standard;
  Archives archives = Archives::standard;
};

struct Assignment {
  Word name;
  Word value;

  bool operator==(const Assignment&) const = default;
};

enum class AssignmentForm { equals, legacy };  ///< legacy: ENV NAME the rest of the line

struct Env {
  std::vector<Assignment> variables;
  AssignmentForm form = AssignmentForm::equals;
};

struct Label {
  std::vector<Assignment> labels;
  AssignmentForm form = AssignmentForm::equals;
};

struct Declaration {
  Word name;
  std::optional<Word> value;  ///< evaluated: absent where neither the file nor the caller gave one
};

struct Arg {
  std::vector<Declaration> declarations;
};

struct Workdir {
  Word path;
};

struct User {
  Word user;  ///< NAME|UID[:GROUP|GID]
};

struct Shell {
  std::vector<std::string> words;
};

struct Entrypoint {
  CommandLine command;
};

struct Cmd {
  CommandLine command;
};

struct Expose {
  std::vector<Word> ports;  ///< evaluated: "8080/tcp", one port each
};

struct Volume {
  std::vector<Word> paths;
};

struct StopSignal {
  Word signal;
};

/// `test` as the image's configuration has it: {"NONE"}, {"CMD", …} or {"CMD-SHELL", text}. 0: not given.
struct Healthcheck {
  std::vector<std::string> test;
  std::chrono::nanoseconds interval{0}, timeout{0}, start_period{0}, start_interval{0};
  std::uint32_t retries = 0;
};

/// `expression` is an instruction to parse when the image is built upon (parse_trigger).
struct OnBuild {
  std::string expression;
};

struct Maintainer {
  std::string name;
};

using Body = std::variant<Run, Copy, Add, Env, Arg, Workdir, User, Shell, Entrypoint, Cmd, Label, Expose, Volume,
                          StopSignal, Healthcheck, OnBuild, Maintainer>;

struct Instruction {
  Body body;
  std::string text;  ///< as written, continued lines joined, without heredocs: "RUN  make all"
  Place place;
  std::uint32_t last_line = 0;  ///< with its heredocs
};

/// The stages or images that an instruction reads: COPY --from, RUN --mount=…,from=.
std::vector<Word> sources_of(const Instruction& instruction);

/// "RUN", "COPY" …
std::string_view keyword_of(const Instruction& instruction);

}  // namespace mlctr::containerfile
