#include "registry/place.hpp"

#include <fmt/format.h>

#include "registry/server_message.hpp"

namespace mlctr {
namespace {

Url root_of(std::string_view scheme, const std::string& host) {
  return Url::parse(fmt::format("{}://{}/", scheme, host));
}

// "/prefix", or empty.
Endpoint normalized(Endpoint endpoint) {
  std::string& prefix = endpoint.path_prefix;
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  if (!prefix.empty() && prefix.front() != '/') prefix.insert(0, 1, '/');
  return endpoint;
}

PlaceSettings normalized(PlaceSettings settings) {
  settings.endpoint = normalized(std::move(settings.endpoint));
  return settings;
}

// `mlctr login` asks for no repository, and so for no scope: the token server then only says who we are.
std::string scope_of(const PlaceSettings& settings) {
  if (settings.repository.empty()) return {};
  return fmt::format("repository:{}:{}", settings.repository, settings.actions);
}

}  // namespace

std::string api_host(const std::string& registry) {
  return registry == "docker.io" ? "registry-1.docker.io" : registry;
}

Place::Place(Transport& transport, PlaceSettings settings)
    : transport_(transport),
      settings_(normalized(std::move(settings))),
      sign_in_(transport, {settings_.login_name, scope_of(settings_), settings_.credential}) {}

Url Place::url(std::string_view path, std::stop_token stop) {
  return origin(stop).resolve(fmt::format("{}/v2/{}/{}", settings_.endpoint.path_prefix, settings_.repository, path));
}

Url Place::origin(std::stop_token stop) {
  const StoppableLock lock(mutex_, stop);
  if (!origin_) origin_ = find_origin(stop);
  return *origin_;
}

Url Place::find_origin(std::stop_token stop) {
  if (settings_.endpoint.plain_http) return root_of("http", host());
  const Url secure = root_of("https", host());
  if (!secure.is_loopback()) return secure;
  HttpRequest probe;
  probe.url = secure.resolve(settings_.endpoint.path_prefix + "/v2/").text();
  probe.max_body_bytes = k_max_error_body_bytes;
  probe.max_attempts = 1;
  try {
    transport_.perform(probe, stop);
    return secure;
  } catch (const NetworkError& error) {
    // Nobody at 443 may still mean somebody at 80.
    const bool has_other_port = error.failure() == NetworkFailure::connect && !secure.has_explicit_port();
    if (error.failure() != NetworkFailure::tls && !has_other_port) throw;
    return root_of("http", host());
  }
}

HttpRequest Place::request_for(const Url& url, const std::string& authorization) const {
  HttpRequest request;
  request.url = url.text();
  request.authorization = authorization;
  request.max_attempts = settings_.max_attempts;
  return request;
}

// `send(authorization)` makes the request, `position()` tells how far it has come in all.
template <class Send, class Position>
HttpResponse Place::signed_in(const Send& send, const Position& position, const Url& url, std::stop_token stop) {
  std::string authorization = sign_in_.authorization(url, stop);
  bool is_new = false;
  for (;;) {
    const std::uint64_t before = position();
    HttpResponse response = send(authorization);
    // A host behind a redirect must not talk us into signing in for it.
    if (response.status != 401 || !Url::parse(response.url).has_same_origin(url)) return response;
    // A token that brought us further was good: it has expired since.
    if (is_new && position() <= before) return response;
    const auto challenge = response.headers.find("www-authenticate");
    if (challenge == response.headers.end()) return response;
    std::optional<Authorization> next = sign_in_.answer(challenge->second, authorization, url, stop);
    if (!next) return response;
    authorization = std::move(next->value);
    is_new = next->is_new;
  }
}

HttpResponse Place::get(const Url& url, const std::string& accept, std::uint64_t max_body_bytes, std::stop_token stop) {
  const auto send = [&](const std::string& authorization) {
    HttpRequest request = request_for(url, authorization);
    request.headers = {{"Accept", accept}};
    request.max_body_bytes = max_body_bytes;
    return transport_.perform(request, stop);
  };
  return signed_in(
      send, [] { return std::uint64_t{0}; }, url, stop);
}

HttpResponse Place::download(const Url& url, BodySink& sink, std::uint64_t expected_bytes, std::stop_token stop) {
  const auto send = [&](const std::string& authorization) {
    HttpRequest request = request_for(url, authorization);
    request.max_body_bytes = k_max_error_body_bytes;
    return transport_.download(request, sink, expected_bytes, stop);
  };
  return signed_in(
      send, [&] { return sink.size(); }, url, stop);
}

HttpResponse Place::send(HttpRequest request, const Url& url, std::stop_token stop) {
  request.url = url.text();
  if (!request.max_attempts) request.max_attempts = settings_.max_attempts;
  request.max_body_bytes = k_max_error_body_bytes;
  const auto attempt = [&](const std::string& authorization) {
    request.authorization = authorization;
    return transport_.perform(request, stop);
  };
  return signed_in(
      attempt, [] { return std::uint64_t{0}; }, url, stop);
}

std::string Place::hint_for(long status) const {
  const std::string& name = settings_.login_name;
  if (status == 401 || status == 403) {
    return sign_in_.has_credential() ? fmt::format("has this account access? Sign in anew with: mlctr login {}", name)
                                     : fmt::format("if the image is private, sign in with: mlctr login {}", name);
  }
  if (status == 429) {
    return sign_in_.has_credential()
               ? fmt::format("try later, or name a mirror in mlctr.toml: [registries.\"{}\"] mirrors = [...]", name)
               : fmt::format("anonymous pulls are limited more than others: mlctr login {}", name);
  }
  if (status >= 500) return "the registry is in trouble: try again later, what has arrived is kept";
  return {};
}

HttpError Place::refusal(const Url& url, const HttpResponse& response, std::string_view method) const {
  const Url answered = Url::parse(response.url);
  std::string message = fmt::format("{} {}: HTTP {}", method, url.shown(), response.status);
  if (!answered.has_same_origin(url)) message += fmt::format(" from {}", answered.host_and_port());
  const std::string said = sign_in_.message_of(response);
  if (!said.empty()) message += ": " + said;
  if (response.status == 401 || response.status == 403) message += fmt::format(" ({})", sign_in_.described());
  return {response.status, message, hint_for(response.status)};
}

}  // namespace mlctr
