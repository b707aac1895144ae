// One place that serves a repository (the registry itself or a mirror), with its own scheme and its own sign-in.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "registry/sign_in.hpp"
#include "registry/stoppable_mutex.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {

/// A place that serves a registry's repositories: the registry itself or a mirror.
struct Endpoint {
  std::string host;         ///< "registry-1.docker.io", "mirror.local:5000"
  std::string path_prefix;  ///< of a mirror that lives below a path; usually empty
  bool plain_http = false;  ///< http only; a loopback host is asked by https first, then by http, without it
};

/// Where a registry's API is: Docker Hub's is not at its name.
std::string api_host(const std::string& registry);

struct PlaceSettings {
  Endpoint endpoint;
  std::string repository;  ///< "library/python"; empty: none, only to sign in
  std::string login_name;  ///< what `mlctr login` takes for it
  std::optional<Credential> credential;
  std::optional<unsigned> max_attempts;  ///< of a mirror: fewer, there is another place to go
  std::string actions = "pull";          ///< what to sign in for: "pull,push"
};

/// Thread-safe. Signs in as the place asks for it, again whenever it asks anew; two refusals of a fresh token in a row
/// are its answer. Only the place itself is answered with a credential, never a host it redirects to.
class Place {
 public:
  Place(Transport& transport, PlaceSettings settings);

  const std::string& host() const noexcept { return settings_.endpoint.host; }

  /// `path` below the repository: "manifests/3.8", "tags/list?n=10". May probe the place (loopback only).
  Url url(std::string_view path, std::stop_token stop);

  HttpResponse get(const Url& url, const std::string& accept, std::uint64_t max_body_bytes, std::stop_token stop);
  HttpResponse download(const Url& url, BodySink& sink, std::uint64_t expected_bytes, std::stop_token stop);

  /// Any request, signed in; its own URL and authorization don't count.
  HttpResponse send(HttpRequest request, const Url& url, std::stop_token stop);

  /// The error for an answer that is not what `url` should give; with a hint where the status has a known cause.
  HttpError refusal(const Url& url, const HttpResponse& response, std::string_view method = "GET") const;

  const std::string& login_name() const noexcept { return settings_.login_name; }
  bool has_credential() const noexcept { return sign_in_.has_credential(); }

 private:
  template <class Send, class Position>
  HttpResponse signed_in(const Send& send, const Position& position, const Url& url, std::stop_token stop);
  Url origin(std::stop_token stop);
  Url find_origin(std::stop_token stop);
  HttpRequest request_for(const Url& url, const std::string& authorization) const;
  std::string hint_for(long status) const;

  Transport& transport_;
  const PlaceSettings settings_;
  SignIn sign_in_;
  StoppableMutex mutex_;
  std::optional<Url> origin_;  // under mutex_
};

}  // namespace mlctr
