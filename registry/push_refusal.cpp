#include "registry/push_refusal.hpp"

#include <fmt/format.h>

#include "base/printable.hpp"

namespace mlctr {
namespace {

std::string hint_for(const Place& place, const HttpResponse& response) {
  switch (response.status) {
    case 400:
      return "does the registry take such names? Many want a namespace of yours: REGISTRY/USER/IMAGE:TAG";
    case 401:
    case 403:
      return place.has_credential()
                 ? fmt::format("may this account write there? Sign in anew with: mlctr login {}", place.login_name())
                 : fmt::format("sign in with an account that may write there: mlctr login {}", place.login_name());
    case 404:
      return "some registries want a repository to be made before anything is pushed to it";
    case 405:
      return "the registry takes no pushes (a read-only one, or a mirror): push to the one behind it";
    case 413:
      return "a quota, or a limit of a proxy in front of the registry: ask who runs it";
    case 429:
      return "the registry wants fewer requests: try again later, what is there already is not sent again";
    default:
      return response.status >= 500 ? "the registry is in trouble: try again later, what is there already is not sent again"
                                    : "";
  }
}

}  // namespace

HttpError push_refusal(const Place& place, std::string_view method, const Url& url, const HttpResponse& response) {
  const HttpError refusal = place.refusal(url, response, method);
  return {refusal.status(), refusal.message(), hint_for(place, response)};
}

void check_stated_digest(const HttpResponse& response, const Digest& digest, const std::string& what) {
  const auto stated = response.headers.find("docker-content-digest");
  if (stated == response.headers.end() || !stated->second.starts_with("sha256:")) return;
  if (stated->second == digest.to_string()) return;
  throw RemoteError(fmt::format("{}: the registry calls it {}, but it is {}", what, printable(stated->second, 80),
                                digest.to_string()));
}

}  // namespace mlctr
