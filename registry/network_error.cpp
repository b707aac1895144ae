#include "registry/network_error.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

namespace mlctr {
namespace {

std::string certificate_hint(const Url& url, const ExchangeFailure& failure) {
  if (failure.is_date_problem) {
    return fmt::format(
        "this machine's date is {:%Y-%m-%d %H:%M} UTC: if that is wrong, set its clock; else the certificate of {} "
        "has to be renewed",
        fmt::gmtime(std::time(nullptr)), url.host_and_port());
  }
  if (failure.is_unknown_ca) {
    return fmt::format(
        "if {0} has a CA of its own, name its PEM file in mlctr.toml: [registries.\"{0}\"] ca_file = \"/path/ca.pem\"",
        url.host_and_port());
  }
  return {};
}

std::string hint_for(const Url& url, const ExchangeFailure& failure) {
  const std::string host = url.host_and_port();
  switch (failure.kind) {
    case NetworkFailure::resolve:
      return fmt::format("is {} spelled right? A node without a way out needs https_proxy, or pull on a login node",
                         host);
    case NetworkFailure::connect:
      return fmt::format(
          "is {} running, and is its port right? A node without a way out needs https_proxy, or pull on a login node",
          host);
    case NetworkFailure::tls:
      return fmt::format("if {0} speaks plain HTTP, allow it in mlctr.toml: [registries.\"{0}\"] plain_http = true",
                         host);
    case NetworkFailure::certificate:
      return certificate_hint(url, failure);
    case NetworkFailure::stalled:
      return "try again: what has arrived is kept; pull.stall_timeout sets how long to wait";
    case NetworkFailure::broken:
      return {};
  }
  return {};
}

std::string_view action_of(NetworkFailure failure) {
  switch (failure) {
    case NetworkFailure::resolve:
      return "cannot look up the host";
    case NetworkFailure::connect:
      return "cannot connect";
    case NetworkFailure::tls:
      return "no TLS connection";
    case NetworkFailure::certificate:
      return "the server's certificate is not valid here";
    case NetworkFailure::broken:
      return "the connection broke";
    case NetworkFailure::stalled:
      return "the transfer stalled";
  }
  return {};
}

}  // namespace

NetworkError make_network_error(const std::string& action, const Url& url, const ExchangeFailure& failure) {
  return {failure.kind, fmt::format("{}: {}: {}", action, action_of(failure.kind), failure.text),
          hint_for(url, failure)};
}

unsigned useful_attempts(NetworkFailure failure, unsigned max_attempts) {
  switch (failure) {
    case NetworkFailure::resolve:
    case NetworkFailure::connect:
      // Mostly a wrong name or a registry that is down, rarely a hiccup: nobody should wait long to read which.
      return std::min(max_attempts, 3u);
    case NetworkFailure::tls:
      return std::min(max_attempts, 2u);
    case NetworkFailure::certificate:
      return 1;
    case NetworkFailure::broken:
    case NetworkFailure::stalled:
      return max_attempts;
  }
  return max_attempts;
}

}  // namespace mlctr
