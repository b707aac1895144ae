// mlctr login
#include "app/login.hpp"

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/prompt.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

enum class PasswordFrom { terminal, standard_input };

struct LoginOptions {
  std::string registry = "docker.io";
  std::string username;
  PasswordFrom password_from = PasswordFrom::terminal;
};

LoginRequest ask_who(const LoginOptions& options, const std::stop_token& stop) {
  LoginRequest request{.registry = login_name(options.registry), .username = options.username, .password = {}};
  const bool has_terminal = options.password_from == PasswordFrom::terminal;
  if (request.username.empty() && !has_terminal) {
    throw UsageError("--password-stdin needs to know whose password it is", "add --username USER");
  }
  if (request.username.empty()) {
    request.username = ask(fmt::format("User name for {}: ", printable(request.registry)), Typing::shown, stop);
  }
  request.password =
      has_terminal
          ? ask(fmt::format("Password of {} at {}: ", printable(request.username), printable(request.registry)),
                Typing::hidden, stop)
          : read_line_of_standard_input();
  if (request.username.empty() || request.password.empty())
    throw UsageError("no user name or password was given: nothing was stored");
  return request;
}

void log_in(const LoginOptions& options, std::stop_token stop) {
  const LoginRequest request = ask_who(options, stop);
  const LoginResult result = login(load_configuration(), request, std::move(stop));
  if (result.protection == LoginResult::Protection::none) {
    say(
        fmt::format("warning: the password is in {} for anyone who can read that file; a credential helper\n"
                    "       (\"credsStore\" in that file) would keep it safe",
                    printable(result.stored_in, 4096)));
  }
  const std::string registry = printable(request.registry), username = printable(request.username);
  switch (result.check) {
    case LoginResult::Check::accepted:
      return say(fmt::format("logged in to {} as {}", registry, username));
    case LoginResult::Check::not_asked:
      return say(
          fmt::format("stored the password of {} for {}, unchecked: the registry lets anyone in and asks for none",
                      username, registry));
  }
}

}  // namespace

void add_login(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<LoginOptions>();
  CLI::App* command = program.add_subcommand("login", "Check and store the password for a registry");
  command->group(k_registry_group);
  command->add_option("REGISTRY", options->registry, "The registry (default: docker.io)")->type_name("");
  command->add_option("--username,-u", options->username, "Who you are there (asked for if missing)")
      ->type_name("USER");
  command->add_flag_callback(
      "--password-stdin", [options] { options->password_from = PasswordFrom::standard_input; },
      "Read the password from standard input, not from the terminal");
  command->footer(
      "Stored where docker and podman look too: with the credential helper of ~/.docker/config.json, else in that "
      "file.\n");
  command->final_callback([options, &chosen] {
    chosen = [options] {
      run_stoppable([&](std::stop_token stop) { log_in(*options, std::move(stop)); }, "nothing was stored");
      return 0;
    };
  });
}

}  // namespace mlctr::cli
