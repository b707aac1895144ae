// Token authentication (distribution's docs/spec/auth: token.md, oauth.md) and Basic, for one repository at one place.
// The realm that a registry names is hostile input: it learns a credential only over a channel as safe as the
// registry's own, and in the clear only on the registry's own host.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "registry/challenge.hpp"
#include "registry/credentials.hpp"
#include "registry/stoppable_mutex.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {

struct SignInSettings {
  std::string login_name;  ///< what `mlctr login` takes: "docker.io"
  std::string scope;       ///< where the challenge names none: "repository:library/python:pull"
  std::optional<Credential> credential;
};

struct Authorization {
  std::string value;    ///< of the Authorization header
  bool is_new = false;  ///< fetched just now: where it is refused too, there is no access
};

/// Thread-safe: one thread fetches a token, the others wait for it.
class SignIn {
 public:
  SignIn(Transport& transport, SignInSettings settings) : transport_(transport), settings_(std::move(settings)) {}

  /// For a request to `place`: what the last challenge asked for, renewed where it has expired; empty before the first
  /// one.
  std::string authorization(const Url& place, std::stop_token stop);

  /// Answers the WWW-Authenticate of a 401 that `rejected` led to. Absent where we have nothing (else) to offer. Throws
  /// RemoteError where the token server refuses.
  std::optional<Authorization> answer(const std::string& www_authenticate, const std::string& rejected,
                                      const Url& place, std::stop_token stop);

  /// For messages: "without credentials", "with the credential of ~/.docker/config.json".
  std::string described() const;
  /// What the server says about its refusal; empty where that repeats the credential.
  std::string message_of(const HttpResponse& response) const;
  bool has_credential() const noexcept { return settings_.credential.has_value(); }

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point good_until;
  };

  const Token* good_token(const Challenge& challenge) const;
  std::string fetch(const Challenge& challenge, const Url& place, std::stop_token stop);
  Token request_token(const Challenge& challenge, const Url& place, std::stop_token stop);
  const Credential* credential_for(const Url& realm, const Url& place) const;
  HttpResponse post_refresh_token(const Url& realm, const Challenge& challenge, const std::string& scope,
                                  std::stop_token stop);
  HttpResponse get_token(const Url& realm, const Challenge& challenge, const std::string& scope, const Credential* who,
                         std::stop_token stop);
  HttpError refusal(const Url& realm, const HttpResponse& response, const Credential* who) const;
  std::string scope_of(const Challenge& challenge) const;
  std::optional<std::string> basic() const;

  Transport& transport_;
  const SignInSettings settings_;
  StoppableMutex mutex_;                 // held while at the token server: what follows is read and written under it
  std::optional<Challenge> challenge_;   // the last one we could answer
  std::map<std::string, Token> tokens_;  // by scope
};

}  // namespace mlctr
