// What a 401 asks for: the WWW-Authenticate header (RFC 9110, 11.6.1).
//   header    ::= challenge ("," challenge)*
//   challenge ::= SCHEME [SP (token68 | param ("," param)*)]      param ::= NAME "=" (TOKEN | QUOTED)
// Hostile input: what can't be understood is skipped, never guessed at.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

struct Challenge {
  std::string scheme;                             ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  ///< names in lower case; of two equal ones the first
  bool operator==(const Challenge&) const = default;
};

std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace mlctr
