#include "cli/step_request.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "app/lock_file.hpp"
#include "app/mount_option.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/environment.hpp"
#include "store/container_store.hpp"

namespace mlctr::cli {
namespace {

/// All of one command line's.
class Given {
 public:
  explicit Given(const std::vector<GivenOption>& options) : options_(options) {}

  std::vector<std::string> values(std::string_view name) const {
    std::vector<std::string> values;
    for (const GivenOption& given : options_) {
      if (given.option->name == name) values.push_back(given.value);
    }
    return values;
  }

  bool has(std::string_view name) const { return !values(name).empty(); }

  // Empty where it is not given.
  std::string only_value(std::string_view name) const {
    const std::vector<std::string> all = values(name);
    for (const std::string& value : all) {
      if (value != all[0]) throw UsageError(fmt::format("--{} specified multiple times", name));
    }
    return all.empty() ? "" : all[0];
  }

  template <class Choice>
  std::optional<Choice> choice(std::string_view yes, Choice if_yes, std::string_view no, Choice if_no) const {
    if (has(yes) && has(no)) throw UsageError(fmt::format("both --{} and --{} were specified", yes, no));
    return has(yes) ? std::optional(if_yes) : has(no) ? std::optional(if_no) : std::nullopt;
  }

 private:
  const std::vector<GivenOption>& options_;
};

// At commas; an empty element is nobody's wish.
std::vector<std::string> elements(const Given& given, std::string_view name) {
  std::vector<std::string> elements;
  for (const std::string& list : given.values(name)) {
    for (std::size_t begin = 0; begin <= list.size();) {
      const std::size_t end = std::min(list.find(',', begin), list.size());
      if (end == begin) throw UsageError(fmt::format("--{}: invalid format: {}", name, printable(list, 4096)));
      elements.push_back(list.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return elements;
}

struct NameFlag {
  std::string_view word;
  NameUse use;
};
constexpr std::array<NameFlag, 5> k_name_flags{{{"", NameUse::any},
                                                {"auto", NameUse::any},
                                                {"create", NameUse::create},
                                                {"exec", NameUse::exec},
                                                {"no_exec", NameUse::no_exec}}};

void read_name(StepRequest& request, const Given& given) {
  const std::string text = given.only_value("container-name");
  if (text.empty()) return;
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string flag = colon == text.size() ? "" : text.substr(colon + 1);
  const auto* found = std::ranges::find(k_name_flags, flag, &NameFlag::word);
  if (found == k_name_flags.end()) {
    throw UsageError(fmt::format("--container-name: no such flag: {}", printable(flag)),
                     "flag must be \"auto\", \"create\", \"exec\" or \"no_exec\"");
  }
  request.name_use = found->use;
  request.name = text.substr(0, colon);
  if (request.name.empty()) throw UsageError("--container-name: empty name");
  check_container_name(request.name);
  const std::string scope = given.only_value("container-scope");
  if (scope == "job") {
    request.job = request.step.job;
    request.name = fmt::format("job{}.{}", request.job, request.name);
  } else if (!scope.empty() && scope != "global") {
    throw UsageError(fmt::format("--container-scope: no such scope: {}", printable(scope)), "it is global or job");
  }
}

std::vector<runtime::Mount> read_mounts(const Given& given, const runtime::Host& host) {
  std::vector<runtime::Mount> mounts;
  for (const std::string& text : elements(given, "container-mounts")) {
    const std::size_t colon = text.find(':');
    if (colon != text.npos && (colon + 1 == text.size() || text[colon + 1] == ':')) {
      throw UsageError(fmt::format("--container-mounts: invalid format: {}", printable(text, 4096)),
                       "it is SRC[:DST[:OPTION+OPTION]]");
    }
    mounts.push_back(parse_mount(text, host.current_directory, "--container-mounts"));
  }
  return mounts;
}

std::vector<std::string> read_environment(const Given& given, const runtime::Host& host) {
  std::vector<std::string> environment;
  for (const std::string& name : elements(given, "container-env")) {
    if (name.find('=') != name.npos) {
      throw UsageError(fmt::format("--container-env: invalid format: {}", printable(name)),
                       "it takes names: the values are those of the job");
    }
    if (auto entry = runtime::parse_env_option(name, host.environment)) environment.push_back(std::move(*entry));
  }
  return environment;
}

int read_namespaces(const Given& given) {
  int namespaces = 0;
  for (const std::string& name : elements(given, "container-unshare")) {
    if (name == "net") {
      namespaces |= CLONE_NEWNET;
    } else if (name == "ipc") {
      namespaces |= CLONE_NEWIPC;
    } else if (name == "uts") {
      namespaces |= CLONE_NEWUTS;
    } else {
      throw UsageError(fmt::format("--container-unshare: unknown namespace '{}'", printable(name)),
                       "it is net, ipc or uts");
    }
  }
  return namespaces;
}

// A relative one counts from the container's root (pyxis).
std::string read_directory(const Given& given) {
  const std::string directory = given.only_value("container-workdir");
  return directory.empty() ? "" : (std::filesystem::path("/") / directory).lexically_normal().string();
}

StepEntrypoint read_entrypoint(const Given& given) {
  const auto chosen =
      given.choice("container-entrypoint", StepEntrypoint::silent, "no-container-entrypoint", StepEntrypoint::none);
  if (chosen != StepEntrypoint::silent) return StepEntrypoint::none;
  return given.has("container-entrypoint-log") ? StepEntrypoint::shown : StepEntrypoint::silent;
}

std::filesystem::path read_destination(const Given& given, const runtime::Host& host) {
  const std::string path = given.only_value("container-save");
  if (path.empty()) return {};
  if (path.ends_with('/')) throw UsageError("--container-save: target is a directory", "it takes a file's name");
  return (host.current_directory / path).lexically_normal();
}

}  // namespace

StepRequest make_step_request(const std::vector<GivenOption>& options, const SlurmStep& step,
                              const runtime::Host& host) {
  const Given given(options);
  StepRequest request;
  request.step = step;
  request.image = resolve_lock_target(given.only_value("container-image"));
  read_name(request, given);
  request.remap =
      given.choice("container-remap-root", runtime::Remap::root, "no-container-remap-root", runtime::Remap::none);
  request.home =
      given.choice("container-mount-home", runtime::HomeMount::yes, "no-container-mount-home", runtime::HomeMount::no);
  request.access = given.choice("container-writable", runtime::RootfsAccess::read_write, "container-readonly",
                                runtime::RootfsAccess::read_only);
  request.own_namespaces = read_namespaces(given);
  request.mounts = read_mounts(given, host);
  request.environment = read_environment(given, host);
  request.working_directory = read_directory(given);
  request.entrypoint = read_entrypoint(given);
  request.save_as = read_destination(given, host);
  if (request.image.empty() && request.name.empty()) {
    throw UsageError("neither --container-image nor --container-name is set", "one of them says what to run in");
  }
  return request;
}

}  // namespace mlctr::cli
