#include "containerfile/checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/ascii.hpp"
#include "base/printable.hpp"

namespace mlctr::containerfile {
namespace {

class Checks {
 public:
  explicit Checks(const Containerfile& file) : file_(file) {}

  std::vector<Warning> run() {
    for (const Stage& stage : file_.stages) check_name(stage);
    for (const Instruction& instruction : file_.global_arguments) check(instruction);
    for (const Stage& stage : file_.stages) check_stage(stage);
    drop_skipped();
    std::stable_sort(warnings_.begin(), warnings_.end(),
                     [](const Warning& a, const Warning& b) { return a.place.line < b.place.line; });
    return std::move(warnings_);
  }

 private:
  void warn(Place place, std::string rule, std::string message) {
    warnings_.push_back({place, std::move(rule), std::move(message)});
  }

  void check_name(const Stage& stage) {
    if (stage.name.empty()) return;
    if (stage.name == "scratch" || stage.name == "context") {
      warn(stage.place, "ReservedStageName", fmt::format("\"{}\" means something else to FROM and --from", stage.name));
    }
    if (!names_.insert(stage.name).second) {
      warn(stage.place, "DuplicateStageName", fmt::format("a stage before has the name \"{}\" already", stage.name));
    }
  }

  void check_stage(const Stage& stage) {
    last_once_.clear();
    other_user_.clear();
    for (const Instruction& instruction : stage.instructions) {
      check(instruction);
      check_once(instruction);
      check_single_id(instruction);
    }
  }

  void check(const Instruction& instruction) {
    if (std::holds_alternative<Maintainer>(instruction.body)) {
      warn(instruction.place, "MaintainerDeprecated",
           "write LABEL org.opencontainers.image.authors=… instead of MAINTAINER");
    } else if (const Env* env = std::get_if<Env>(&instruction.body)) {
      if (env->form == AssignmentForm::legacy) warn_legacy(instruction, env->variables.front());
      for (const Assignment& variable : env->variables) check_secret("ENV", variable.name);
    } else if (const Label* label = std::get_if<Label>(&instruction.body)) {
      if (label->form == AssignmentForm::legacy) warn_legacy(instruction, label->labels.front());
    } else if (const Arg* arg = std::get_if<Arg>(&instruction.body)) {
      for (const Declaration& declaration : arg->declarations) check_secret("ARG", declaration.name);
    } else {
      check_command(instruction);
    }
  }

  void warn_legacy(const Instruction& instruction, const Assignment& assignment) {
    warn(instruction.place, "LegacyKeyValueFormat",
         fmt::format("write {} {}=… with \"=\"", keyword_of(instruction), printable(assignment.name.text)));
  }

  // A whole word between "_" decides: API_KEY, but not KEYBOARD. PUBLIC_KEY, KEY_FILE and TOKEN_VERSION hold none.
  void check_secret(std::string_view keyword, const Word& name) {
    constexpr std::array<std::string_view, 10> k_secret{"apikey",   "auth",  "credential", "credentials", "key",
                                                        "password", "pword", "passwd",     "secret",      "token"};
    constexpr std::array<std::string_view, 3> k_harmless{"public", "file", "version"};
    bool is_secret = false;
    bool is_harmless = false;
    const std::string lower = lowered(name.text);
    for (std::size_t at = 0; at <= lower.size();) {
      const std::size_t end = std::min(lower.find('_', at), lower.size());
      const std::string_view part = std::string_view(lower).substr(at, end - at);
      is_secret = is_secret || std::find(k_secret.begin(), k_secret.end(), part) != k_secret.end();
      is_harmless = is_harmless || std::find(k_harmless.begin(), k_harmless.end(), part) != k_harmless.end();
      at = end + 1;
    }
    if (!is_secret || is_harmless) return;
    warn(name.place, "SecretsUsedInArgOrEnv",
         fmt::format("{} {} stays readable in the image: give secrets by RUN --mount=type=secret", keyword,
                     printable(name.text)));
  }

  void check_command(const Instruction& instruction) {
    const CommandLine* command = nullptr;
    bool should_be_exec = true;
    if (const Run* run = std::get_if<Run>(&instruction.body)) {
      command = &run->command;
      should_be_exec = false;
    } else if (const Cmd* cmd = std::get_if<Cmd>(&instruction.body)) {
      command = &cmd->command;
    } else if (const Entrypoint* entrypoint = std::get_if<Entrypoint>(&instruction.body)) {
      command = &entrypoint->command;
    }
    if (command == nullptr || command->form == CommandForm::exec || command->words.empty()) return;
    const std::string& text = command->words.front();
    const std::size_t second = text.find_first_not_of(" \t", 1);
    const bool looks_like_json = text.starts_with('[') && second != std::string::npos &&
                                 (text[second] == '"' || text[second] == '\'') && text.ends_with(']') &&
                                 text.find(',') != std::string::npos;
    if (looks_like_json) {
      warn(instruction.place, "JSONArgsInvalid",
           "looks like the JSON form but is no JSON (single quotes?): the shell gets it");
    } else if (should_be_exec) {
      warn(instruction.place, "JSONArgsRecommended",
           fmt::format("{} in the JSON form gets signals; a shell in between keeps them", keyword_of(instruction)));
    }
  }

  void check_once(const Instruction& instruction) {
    const std::string_view keyword = keyword_of(instruction);
    if (keyword != "CMD" && keyword != "ENTRYPOINT" && keyword != "HEALTHCHECK") return;
    const auto [last, is_first] = last_once_.try_emplace(std::string(keyword), instruction.place);
    if (is_first) return;
    warn(last->second, "MultipleInstructionsDisallowed",
         fmt::format("another {} in line {} takes the place of this one", keyword, instruction.place.line));
    last->second = instruction.place;
  }

  // A user namespace with a single id has no second user to become.
  void check_single_id(const Instruction& instruction) {
    if (const User* user = std::get_if<User>(&instruction.body)) {
      const std::string name = user->user.text.substr(0, user->user.text.find(':'));
      other_user_ = name == "root" || name == "0" ? std::string() : user->user.text;
    } else if (std::holds_alternative<Run>(instruction.body) && !other_user_.empty()) {
      warn(instruction.place, "SingleId",
           fmt::format("this step runs as root of its rootfs, not as {}: there is one id without subordinate ids",
                       printable(other_user_)));
      other_user_.clear();  // once is enough
    }
  }

  // "skip=RULE,RULE;error=true": only what is skipped matters here.
  void drop_skipped() {
    std::string_view rest = file_.checks;
    while (!rest.empty()) {
      const std::string_view option = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(option.size() + 1, rest.size()));
      if (!option.starts_with("skip=")) continue;
      const std::string rules = "," + lowered(option.substr(5)) + ",";
      std::erase_if(warnings_, [&](const Warning& warning) {
        return rules == ",all," || rules.find("," + lowered(warning.rule) + ",") != std::string::npos;
      });
    }
  }

  const Containerfile& file_;
  std::vector<Warning> warnings_;
  std::set<std::string> names_;
  std::map<std::string, Place> last_once_;
  std::string other_user_;
};

}  // namespace

std::vector<Warning> warnings_about(const Containerfile& file) {
  return Checks(file).run();
}

}  // namespace mlctr::containerfile
