// mlctr run
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/build_place.hpp"
#include "app/container_program.hpp"
#include "app/create_container.hpp"
#include "app/lock_file.hpp"
#include "app/run_container.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/find_or_pull.hpp"
#include "cli/locked.hpp"
#include "cli/output.hpp"
#include "cli/run_options.hpp"
#include "cli/terminal.hpp"
#include "image/reference.hpp"

namespace mlctr::cli {
namespace {

enum class Explain { nothing, environment, hooks };

struct Options {
  std::shared_ptr<RunOptions> run = std::make_shared<RunOptions>();
  std::vector<std::string> words;  // what to run, then the command
  std::optional<std::string> name;
  std::string pull_policy = "missing";
  std::vector<std::string> only_when_made;  // options given that a container which runs can't heed
  Verbosity verbosity = Verbosity::normal;
  Locked locked = Locked::no;
  Explain explain = Explain::nothing;
};

// What was installed into a container is not for one more run to throw away.
void check_may_remove(const Options& options, const std::string& name) {
  if (options.run->request.lifetime != Lifetime::remove) return;
  throw UsageError(fmt::format("--rm: the container {} was there before, with what was changed in it", printable(name)),
                   fmt::format("`mlctr rm {}` removes it; --rm is for one that --name makes", printable(name)));
}

RunSubject make_subject(const Configuration& configuration, const RunTarget& target, const Options& options) {
  if (const auto* container = std::get_if<StoredContainer>(&target)) {
    if (options.name && *options.name != container->record.name) {
      throw UsageError(fmt::format("--name {}: {} is a container and has its name", printable(*options.name),
                                   container->record.name),
                       fmt::format("`mlctr run --name {} {}` makes another of its image", printable(*options.name),
                                   printable(container->record.image)));
    }
    check_may_remove(options, container->record.name);
    return {.image = base_image_of(configuration, *container), .container = *container};
  }
  const auto& image = std::get<BaseImage>(target);
  if (!options.name) return {.image = image, .container = std::nullopt};
  if (open_containers(configuration).find(*options.name)) check_may_remove(options, *options.name);
  const StoredContainer container = find_or_create_container(configuration, image, *options.name);
  return {.image = base_image_of(configuration, container), .container = container};
}

// `run --name NAME WORD…` where NAME is there: the image may have been left out, and WORD be the command.
void check_image_is_named(const Configuration& configuration, const std::string& name, const RunWords& words) {
  const auto container = open_containers(configuration).find(name);
  if (!container || container->record.image == words.target || find_run_target(configuration, words.target)) return;
  if (to_string(parse_image_source(words.target)) == container->record.image) return;
  throw UsageError(fmt::format("--name {}: {} is no image here, and the container {} was made from {}", name,
                               printable(words.target), name, printable(container->record.image)),
                   fmt::format("mlctr run {} {} … runs that in it", name, printable(words.target)));
}

void print_environment(const runtime::Environment& environment) {
  std::string text;
  for (const auto& [name, variable] : environment.variables()) {
    text += fmt::format("{}={}    # {}\n", printable(name), printable(variable.value, 4096), variable.origin);
  }
  print(text);
}

void tell_of_lost_changes(const LostFiles& files) {
  if (files.count == 0) return;
  std::string examples;
  for (const auto& file : files.examples) examples += (examples.empty() ? "" : ", ") + printable(file.string(), 100);
  if (!examples.empty() && files.count > files.examples.size()) examples += ", …";
  say(fmt::format("{} changed file{} went with this unnamed container{}; --name NAME keeps them", files.count,
                  files.count == 1 ? "" : "s", examples.empty() ? "" : fmt::format(" ({})", examples)));
}

// Where the container runs already.
void warn_of_ignored_options(const std::vector<std::string>& options, const std::string& name) {
  if (!options.empty()) say(fmt::format("ignoring {}: {} is already running", fmt::join(options, ", "), name));
}

// A program that looks for its files would only say that they are not there.
void warn_of_hidden_directory(const RunRequest& request, const runtime::Host& host) {
  if (request.base.home == runtime::HomeMount::no) return;  // who asked for that knows
  if (!request.working_directory.empty() || host.current_directory.empty() || host.current_directory == "/" ||
      shows_current_directory(request, host)) {
    return;
  }
  say(fmt::format("{} is not in the container: --mount . brings it along",
                  printable(host.current_directory.string(), 4096)));
}

RunSubject find_subject(const Configuration& configuration, const std::string& text, const PullChoice& choice,
                        const Options& options) {
  const RunTarget target = find_or_pull_target(configuration, text, choice);
  if (options.locked == Locked::yes) check_target_locked(text, target);
  return make_subject(configuration, target, options);
}

int run(const Options& options) {
  RunWords words = split_run_words(
      options.words, "run", UsageError("mlctr run: what?", "an image, a container or a .sqsh file: mlctr run --help"));
  words.target = resolve_lock_target(words.target);
  const Configuration configuration = load_configuration();
  const runtime::Host host = runtime::look_at_host();
  RunRequest request = make_run_request(*options.run, host);
  request.command = words.command;
  if (has_terminal()) request.lost_changes = LostChanges::tell;

  warn_of_hidden_directory(request, host);
  if (options.name) {  // before a long pull
    check_container_name(*options.name);
    check_image_is_named(configuration, *options.name, words);
  }
  const PullChoice choice{.policy = options.pull_policy, .verbosity = options.verbosity};
  if (options.locked == Locked::yes) check_before_run(configuration, words.target);
  auto failed_step = find_failed_step(configuration, words.target);
  const RunSubject subject =
      failed_step ? std::move(*failed_step) : find_subject(configuration, words.target, choice, options);
  if (subject.container) request.container_name = subject.container->record.name;
  if (has_terminal()) request.prompt_name = prompt_name_of(request.container_name, subject.image.reference);
  request.tell = [](const std::string& line) { say(line); };
  request.before_join = [&] { warn_of_ignored_options(options.only_when_made, subject.container->record.name); };
  if (options.explain == Explain::environment) {
    return explain_environment(configuration, subject, request, host, print_environment), 0;
  }
  if (options.explain == Explain::hooks) {
    return print(explain_hooks(configuration, subject, request, host)), 0;
  }
  const RunResult result = run_container(configuration, subject, request, host);
  tell_of_lost_changes(result.lost_changes);
  return end_as(result.end);
}

}  // namespace

void add_run(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = program.add_subcommand("run", "Run a program in an image or a named container");
  command->group(k_containers_group);
  command->prefix_command();  // what follows the image is the program's
  command->add_option("--name,-n", options->name, "Keep what changes under this name; made if it is not there")
      ->type_name("NAME");
  command->add_flag_callback(
      "--locked", [options] { options->locked = Locked::yes; }, "Refuse an image that is not what ./mlctr.lock says");
  add_program_options(*command, options->run);
  add_container_options(*command, options->run);
  command->add_flag_callback(
      "--rm", [options] { options->run->request.lifetime = Lifetime::remove; },
      "Remove the named container afterwards");
  command
      ->add_option("--pull,--policy", options->pull_policy,
                   "When to ask the registry: missing (default), newer, always, never")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"missing", "newer", "always", "never"}));
  command->add_flag_callback(
      "--explain-env", [options] { options->explain = Explain::environment; },
      "Print the program's environment and who set what, and run nothing");
  command->add_flag_callback(
      "--explain-hooks", [options] { options->explain = Explain::hooks; },
      "Print what GPUs and fabrics would add, as JSON, and run nothing");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "No progress of a pull");
  command->footer(
      "Examples:\n"
      "  mlctr run python:3.8 python -V\n"
      "  mlctr run --remap-root --name py38 python:3.8 pip install numpy\n"
      "  mlctr run py38 python train.py\n"
      "Your home, /tmp and the current directory are there; everything else is the image's.\n"
      "hooks.d, mounts.d and environ.d of /etc/mlctr and ~/.config/mlctr add to every container.\n"
      "Exit code: the program's; 125 mlctr failed, 126 not executable, 127 not found.\n");
  command->final_callback([options, command, &chosen] {
    options->words = command->remaining();
    options->only_when_made = given_container_options(*command);
    if (options->run->request.lifetime == Lifetime::remove) options->only_when_made.emplace_back("--rm");
    chosen = [options] { return run(*options); };
  });
}

}  // namespace mlctr::cli
