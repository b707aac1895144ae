#include "registry/credential_helper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/process.hpp"
#include "image/json_value.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_not_found = "credentials not found in native keychain";
constexpr std::string_view k_token_user = "<token>";
constexpr JsonLimits k_answer_limits{.max_bytes = 1u << 20, .max_depth = 4, .max_values = 10'000};

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

}  // namespace

struct CredentialHelper::Answer {
  int exit_code = 0;
  std::string output;  ///< may hold a secret: shown only where the helper failed, when it is the reason
  std::string complaint;

  bool is_not_found() const { return exit_code != 0 && (output == k_not_found || complaint == k_not_found); }
};

CredentialHelper::CredentialHelper(const std::string& name) : program_("docker-credential-" + name) {
  // A slash would make it a path instead of a program found in PATH.
  const bool is_plain = !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
  if (!is_plain) throw Error(fmt::format("'{}' can't be the name of a credential helper", printable(name)));
}

CredentialHelper::Answer CredentialHelper::ask(const std::string& action, const std::string& input) const {
  try {
    ProcessResult result = run_process({.arguments = {program_, action}, .standard_input = input});
    return {result.exit_code, trimmed(result.standard_output), trimmed(result.standard_error)};
  } catch (SysError& error) {
    // A config.json copied from a laptop names a helper ("desktop", "osxkeychain") that no cluster has.
    if (error.errno_value() == ENOENT) {
      error.add_hint(fmt::format(
          "install {}, or take it out of \"credsStore\" and \"credHelpers\" in Docker's config.json", program_));
    }
    throw;
  }
}

void CredentialHelper::fail(const std::string& action, const Answer& answer) const {
  // By the protocol it is on stdout; scripts of users and crashes put it on stderr.
  const std::string& why = answer.output.empty() ? answer.complaint : answer.output;
  throw Error(fmt::format("{} {} failed: {}", program_, action,
                          why.empty() ? fmt::format("exit code {}", answer.exit_code) : printable_lines(why)));
}

std::optional<Credential> CredentialHelper::get(const std::string& server_url) const {
  const Answer answer = ask("get", server_url);
  if (answer.is_not_found()) return std::nullopt;
  if (answer.exit_code != 0) fail("get", answer);
  try {
    const nlohmann::json document = parse_json(answer.output, k_answer_limits);
    const JsonValue root(document);
    Credential credential{
        .username = root.text_of("Username"), .password = {}, .identity_token = {}, .source = program_};
    std::string secret = root.text_of("Secret");
    // Some answer an empty pair for a registry that they don't know.
    if (secret.empty()) return std::nullopt;
    if (credential.username == k_token_user) {
      credential.username.clear();
      credential.identity_token = std::move(secret);
    } else {
      credential.password = std::move(secret);
    }
    return credential;
  } catch (Error& error) {
    error.add_context(fmt::format("cannot read the answer of {} get", program_));
    throw;
  }
}

void CredentialHelper::store(const std::string& server_url, const Credential& credential) const {
  const bool is_token = !credential.identity_token.empty();
  const nlohmann::json request{{"ServerURL", server_url},
                               {"Username", is_token ? std::string(k_token_user) : credential.username},
                               {"Secret", is_token ? credential.identity_token : credential.password}};
  // A secret that is no UTF-8 can't be JSON: dump() would throw with its bytes in the message.
  std::string input;
  try {
    input = request.dump();
  } catch (const nlohmann::json::type_error&) {
    throw Error(fmt::format("cannot store the credential with {}: user name or password is not UTF-8", program_));
  }
  if (const Answer answer = ask("store", input + "\n"); answer.exit_code != 0) fail("store", answer);
}

void CredentialHelper::erase(const std::string& server_url) const {
  const Answer answer = ask("erase", server_url);
  if (answer.exit_code != 0 && !answer.is_not_found()) fail("erase", answer);
}

std::vector<std::string> CredentialHelper::list() const {
  // The protocol's own client sends this word too: some helpers wait for an input.
  const Answer answer = ask("list", "unused");
  if (answer.exit_code != 0) fail("list", answer);
  try {
    const nlohmann::json document = parse_json(answer.output, k_answer_limits);
    std::vector<std::string> urls;
    if (document.is_null()) return urls;  // Go's empty map
    for (const auto& [url, user] : JsonValue(document).members()) urls.push_back(url);
    return urls;
  } catch (Error& error) {
    error.add_context(fmt::format("cannot read the answer of {} list", program_));
    throw;
  }
}

}  // namespace mlctr
