// enroot's credentials: a netrc file (curl's reading of it) whose passwords may be taken from the environment.
//   file     ::= (entry | "macdef" NAME lines… empty-line | "#" comment-line)*
//   entry    ::= ("machine" HOST | "default") ("login" USER | "password" SECRET | "account" WORD)*
//   SECRET   ::= WORD | '"' … '"' with \" \\ \n \r \t | "$" NAME … | "${" NAME "}" …
// enroot hands a password that begins with "$" to a shell. We never run one: only variables are put in, and an entry
// that needs more, "$(aws …)", is refused when it is the one that is wanted. Logins are taken as they stand
// ("$oauthtoken" is NVIDIA's).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "registry/credentials.hpp"

namespace mlctr {

class Netrc {
 public:
  /// Throws Error with the number of the line where a value is missing or a quote is not closed.
  static Netrc parse(std::string_view text);

  /// The first entry for the registry's host and port, then for its host, then "default"; of query.user where one is
  /// given. Throws Error where that entry's password needs a shell or a variable that is not set. `source` is left
  /// empty.
  std::optional<Credential> find(const CredentialQuery& query) const;

 private:
  struct Entry {
    std::string machine;  ///< empty: "default"
    std::string login;
    std::optional<std::string> password;
    bool is_expression = false;  ///< the password began with "$", unquoted
    std::size_t line = 0;
  };
  class Scanner;
  static Credential resolve(const Entry& entry);

  std::vector<Entry> entries_;
};

}  // namespace mlctr
