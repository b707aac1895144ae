#include "registry/sign_in.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "registry/base64.hpp"
#include "registry/server_message.hpp"

namespace mlctr {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

constexpr std::uint64_t k_max_token_answer_bytes = 1u << 20;
// Longer ones don't fit the header limits of common servers.
constexpr std::size_t k_max_token_bytes = 64 * 1024;
// token.md: where expires_in is absent.
constexpr std::int64_t k_default_lifetime_seconds = 60;
constexpr std::int64_t k_longest_lifetime_seconds = 86'400;
// A client names one scope, a challenge may name several; more is an attack on our memory.
constexpr std::size_t k_max_tokens = 32;

std::string basic_value(std::string_view username, std::string_view password) {
  return "Basic " + encode_base64(fmt::format("{}:{}", username, password));
}

std::string parameter(const Challenge& challenge, const std::string& name) {
  const auto found = challenge.parameters.find(name);
  return found == challenge.parameters.end() ? std::string() : found->second;
}

const Challenge* find_scheme(const std::vector<Challenge>& challenges, std::string_view scheme) {
  const auto found =
      std::find_if(challenges.begin(), challenges.end(), [&](const Challenge& c) { return c.scheme == scheme; });
  return found == challenges.end() ? nullptr : &*found;
}

// It goes into a header: only what can't end that.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= k_max_token_bytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

std::chrono::seconds lifetime(const json& answer) {
  const auto found = answer.find("expires_in");
  if (found == answer.end() || !found->is_number_integer()) return std::chrono::seconds(k_default_lifetime_seconds);
  const auto stated = found->get<std::int64_t>();
  if (stated <= 0) return std::chrono::seconds(k_default_lifetime_seconds);
  const std::int64_t seconds = std::min(stated, k_longest_lifetime_seconds);
  // A request takes its time to arrive: what is about to expire is not sent.
  return std::chrono::seconds(seconds - std::min<std::int64_t>(10, seconds / 10));
}

Url checked_realm(const std::string& text, const Url& place) {
  const Url realm = Url::parse(text);
  if (realm.scheme() == Scheme::http && place.scheme() == Scheme::https && !realm.is_loopback()) {
    throw RemoteError(fmt::format("refusing to sign in over plain HTTP at {}", realm.shown()),
                      "the registry itself uses TLS: have it name a token server that does so too");
  }
  return realm;
}

// Whether a credential for `place` may cross the network in the clear to `realm`: only where it is the same host, whose
// plain HTTP the user allowed. (Another port of it is how token servers stand beside a registry.) On loopback all names
// are one host; a remote registry that names ours could mean any user's port here.
bool is_same_host(const Url& realm, const Url& place) {
  return realm.host() == place.host() || (realm.is_loopback() && place.is_loopback());
}

}  // namespace

std::string SignIn::described() const {
  if (!settings_.credential) return "without credentials";
  return fmt::format("with the credential of {}", settings_.credential->source);
}

std::string SignIn::message_of(const HttpResponse& response) const {
  if (settings_.credential) {
    const Credential& own = *settings_.credential;
    for (const std::string& secret :
         {own.password, own.identity_token, encode_base64(own.username + ":" + own.password)}) {
      if (!secret.empty() && response.body.find(secret) != std::string::npos) return {};
    }
  }
  return server_message(response.body);
}

std::optional<std::string> SignIn::basic() const {
  const auto& credential = settings_.credential;
  if (!credential || credential->password.empty()) return std::nullopt;
  return basic_value(credential->username, credential->password);
}

std::string SignIn::scope_of(const Challenge& challenge) const {
  const std::string asked = parameter(challenge, "scope");
  return asked.empty() ? settings_.scope : asked;
}

const SignIn::Token* SignIn::good_token(const Challenge& challenge) const {
  const auto token = tokens_.find(scope_of(challenge));
  return token != tokens_.end() && Clock::now() < token->second.good_until ? &token->second : nullptr;
}

std::string SignIn::authorization(const Url& place, std::stop_token stop) {
  const StoppableLock lock(mutex_, stop);
  if (!challenge_) return {};
  if (challenge_->scheme == "basic") return basic().value_or("");
  if (const Token* token = good_token(*challenge_)) return "Bearer " + token->value;
  return fetch(*challenge_, place, stop);
}

std::optional<Authorization> SignIn::answer(const std::string& www_authenticate, const std::string& rejected,
                                            const Url& place, std::stop_token stop) {
  const std::vector<Challenge> challenges = parse_challenges(www_authenticate);
  const StoppableLock lock(mutex_, stop);
  if (const Challenge* bearer = find_scheme(challenges, "bearer"); bearer && !parameter(*bearer, "realm").empty()) {
    challenge_ = *bearer;
    // Another thread may have signed in since the rejected request was sent.
    if (const Token* token = good_token(*bearer); token && "Bearer " + token->value != rejected) {
      return Authorization{"Bearer " + token->value, false};
    }
    return Authorization{fetch(*bearer, place, stop), true};
  }
  if (const Challenge* asked = find_scheme(challenges, "basic")) {
    std::optional<std::string> value = basic();
    if (!value || *value == rejected) return std::nullopt;
    challenge_ = *asked;
    return Authorization{std::move(*value), true};
  }
  return std::nullopt;
}

std::string SignIn::fetch(const Challenge& challenge, const Url& place, std::stop_token stop) {
  Token token = request_token(challenge, place, stop);
  if (tokens_.size() >= k_max_tokens) tokens_.clear();
  return "Bearer " + tokens_.insert_or_assign(scope_of(challenge), std::move(token)).first->second.value;
}

SignIn::Token SignIn::request_token(const Challenge& challenge, const Url& place, std::stop_token stop) {
  const Url realm = checked_realm(parameter(challenge, "realm"), place);
  const Credential* who = credential_for(realm, place);
  const std::string scope = scope_of(challenge);

  const Clock::time_point asked_at = Clock::now();
  HttpResponse response;
  const bool has_refresh_token = who != nullptr && !who->identity_token.empty();
  if (has_refresh_token) response = post_refresh_token(realm, challenge, scope, stop);
  // Token servers from before oauth.md have no POST.
  if (!has_refresh_token || response.status == 404 || response.status == 405) {
    response = get_token(realm, challenge, scope, who, stop);
  }
  if (response.status != 200) throw refusal(realm, response, who);

  const json body = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  Token token;
  if (body.is_object()) {
    for (const char* key : {"token", "access_token"}) {
      const auto found = body.find(key);
      if (token.value.empty() && found != body.end() && found->is_string()) token.value = found->get<std::string>();
    }
  }
  if (!is_token(token.value))
    throw RemoteError(fmt::format("cannot sign in at {}: its answer holds no token", realm.shown()));
  token.good_until = asked_at + lifetime(body);
  return token;
}

const Credential* SignIn::credential_for(const Url& realm, const Url& place) const {
  if (!settings_.credential) return nullptr;
  if (realm.scheme() == Scheme::https) return &*settings_.credential;
  // A credential for a TLS registry never crosses the network in the clear: such a realm is asked anonymously.
  if (place.scheme() == Scheme::https) return nullptr;
  if (is_same_host(realm, place)) return &*settings_.credential;
  throw RemoteError(
      fmt::format("refusing to send the credential of {} to {}: {} names it for signing in, but it is another host and "
                  "speaks plain HTTP",
                  settings_.credential->source, realm.shown(), place.host_and_port()),
      fmt::format("have the registry name a token server with TLS; to pull without the credential: mlctr logout {}",
                  settings_.login_name));
}

HttpResponse SignIn::post_refresh_token(const Url& realm, const Challenge& challenge, const std::string& scope,
                                        std::stop_token stop) {
  HttpRequest request;
  request.method = "POST";
  request.url = realm.text();
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}, {"Accept", "application/json"}};
  request.max_body_bytes = k_max_token_answer_bytes;
  request.body = fmt::format("grant_type=refresh_token&client_id=mlctr&service={}&scope={}&refresh_token={}",
                             percent_encode(parameter(challenge, "service")), percent_encode(scope),
                             percent_encode(settings_.credential->identity_token));
  return transport_.perform(request, stop);
}

HttpResponse SignIn::get_token(const Url& realm, const Challenge& challenge, const std::string& scope,
                               const Credential* who, std::stop_token stop) {
  Url url = realm;
  if (const std::string service = parameter(challenge, "service"); !service.empty()) {
    url = url.with_query("service", service);
  }
  // token.md: one parameter for each of a space-separated list.
  for (std::size_t start = 0; start < scope.size();) {
    const std::size_t end = std::min(scope.find(' ', start), scope.size());
    if (end > start) url = url.with_query("scope", scope.substr(start, end - start));
    start = end + 1;
  }
  HttpRequest request;
  request.url = url.text();
  request.headers = {{"Accept", "application/json"}};
  request.max_body_bytes = k_max_token_answer_bytes;
  if (who != nullptr) {
    request.authorization = basic_value(who->username, who->password.empty() ? who->identity_token : who->password);
  }
  return transport_.perform(request, stop);
}

HttpError SignIn::refusal(const Url& realm, const HttpResponse& response, const Credential* who) const {
  std::string message = fmt::format("cannot sign in at {} {}: HTTP {}", realm.shown(),
                                    who != nullptr ? described() : "without credentials", response.status);
  const std::string said = message_of(response);
  if (!said.empty()) message += ": " + said;
  if (settings_.credential && who == nullptr) {
    message += fmt::format(" (the credential of {} is not sent over plain HTTP)", settings_.credential->source);
  }
  if (response.status == 429 || response.status >= 500) return {response.status, message, "try again later"};
  return {response.status, message, fmt::format("sign in anew: mlctr login {}", settings_.login_name)};
}

}  // namespace mlctr
