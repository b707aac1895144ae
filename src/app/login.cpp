#include "app/login.hpp"

#include <fmt/format.h>

#include "app/registry_origin.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "registry/credentials.hpp"
#include "registry/place.hpp"
#include "registry/registry_key.hpp"
#include "registry/transport.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_answer_bytes = 64 * 1024;
constexpr unsigned k_attempts = 2;  // someone is waiting at a prompt

Endpoint endpoint_of(const std::string& registry, const Configuration& configuration) {
  Endpoint endpoint{.host = api_host(registry), .path_prefix = {}};
  const auto configured = configuration.registries.find(registry);
  endpoint.plain_http = configured != configuration.registries.end() && configured->second.plain_http;
  return endpoint;
}

std::unique_ptr<Place> place_of(Transport& transport, const LoginRequest& request, const Configuration& configuration,
                                std::optional<Credential> credential) {
  return std::make_unique<Place>(transport, PlaceSettings{.endpoint = endpoint_of(request.registry, configuration),
                                                          .repository = {},
                                                          .login_name = request.registry,
                                                          .credential = std::move(credential),
                                                          .max_attempts = k_attempts});
}

bool is_refusal(const HttpError& error) {
  return error.status() == 400 || error.status() == 401 || error.status() == 403;
}

// GET /v2/ asks a registry nothing but who we are (distribution spec, "Determining support").
HttpResponse get_base(Place& place, std::stop_token stop) {
  const Url base = place.url("", stop).resolve("/v2/");
  HttpResponse response = place.get(base, "application/json", k_max_answer_bytes, std::move(stop));
  if (response.status == 404) {
    throw Error(fmt::format("GET {}: HTTP 404: this is no registry", base.shown()));
  }
  if (response.status >= 300) throw place.refusal(base, response);
  return response;
}

// Whether the registry answers those who give no name: then it looks at no password either.
bool lets_anyone_in(const LoginRequest& request, const Configuration& configuration, Transport& transport,
                    const std::stop_token& stop) {
  // One request, without signing in: an anonymous token would be no answer.
  const std::unique_ptr<Place> place = place_of(transport, request, configuration, std::nullopt);
  HttpRequest probe;
  probe.url = place->url("", stop).resolve("/v2/").text();
  probe.max_body_bytes = k_max_answer_bytes;
  probe.max_attempts = k_attempts;
  return transport.perform(probe, stop).status < 300;
}

LoginResult::Check check(const LoginRequest& request, const Configuration& configuration, const Credential& credential,
                         const std::stop_token& stop) {
  const std::unique_ptr<Transport> transport = make_curl_transport(transport_settings(configuration), nullptr);
  if (lets_anyone_in(request, configuration, *transport, stop)) return LoginResult::Check::not_asked;
  get_base(*place_of(*transport, request, configuration, credential), stop);
  return LoginResult::Check::accepted;
}

}  // namespace

std::string login_name(std::string_view text) {
  std::string_view host = text;
  if (const std::size_t scheme = host.find("://"); scheme != std::string_view::npos) host.remove_prefix(scheme + 3);
  host = host.substr(0, host.find('/'));
  const bool is_host = !host.empty() && host.find_first_of(" \t@?#\\\"'") == std::string_view::npos;
  if (!is_host) {
    throw UsageError(fmt::format("not a registry: \"{}\"", printable(text)), "name its host: ghcr.io, localhost:5000");
  }
  return normalize_registry(host);
}

LoginResult login(const Configuration& configuration, const LoginRequest& request, std::stop_token stop) {
  const Credential credential{
      .username = request.username, .password = request.password, .identity_token = {}, .source = "this login"};
  LoginResult result;
  try {
    result.check = check(request, configuration, credential, stop);
  } catch (HttpError& error) {
    error.add_context(fmt::format("cannot log in to {} as {}", request.registry, printable(request.username)));
    if (!is_refusal(error)) throw;
    throw Error(error.message(),
                "wrong user name or password? Many registries want an access token instead of the password");
  } catch (const Cancelled&) {
    throw;
  } catch (Error& error) {
    error.add_context(fmt::format("cannot log in to {}", request.registry));
    throw;
  }
  result.stored_in = store_credential(request.registry, credential);
  const bool has_helper = result.stored_in.starts_with("docker-credential-");
  result.protection = has_helper ? LoginResult::Protection::helper : LoginResult::Protection::none;
  return result;
}

bool logout(const std::string& registry) {
  return erase_credential(registry);
}

}  // namespace mlctr
