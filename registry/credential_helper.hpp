// A program that keeps secrets for Docker and its kin: docker-credential-NAME, spoken to over stdin and stdout
// (docker-credential-helpers, credentials.go): `get` and `erase` read a server URL, `store` reads and `get` answers
//   {"ServerURL": …, "Username": …, "Secret": …}     (Username "<token>": the secret is an identity token)
// and `list` answers {URL: username}. A failed command says why on stdout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "registry/credentials.hpp"

namespace mlctr {

class CredentialHelper {
 public:
  /// `name` is what comes after "docker-credential-". Throws Error where it could be anything but the name of a
  /// program.
  explicit CredentialHelper(const std::string& name);

  const std::string& program() const noexcept { return program_; }

  // All throw Error with the program's own words where it fails, and a hint where it isn't installed.

  /// Absent where the helper has none for this URL.
  std::optional<Credential> get(const std::string& server_url) const;
  void store(const std::string& server_url, const Credential& credential) const;
  /// Nothing to erase is no failure.
  void erase(const std::string& server_url) const;
  std::vector<std::string> list() const;

 private:
  struct Answer;
  Answer ask(const std::string& action, const std::string& input) const;
  [[noreturn]] void fail(const std::string& action, const Answer& answer) const;

  std::string program_;
};

}  // namespace mlctr
