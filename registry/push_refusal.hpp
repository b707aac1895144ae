// What a registry's refusal of a push means, and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "image/digest.hpp"
#include "registry/place.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {

HttpError push_refusal(const Place& place, std::string_view method, const Url& url, const HttpResponse& response);

/// Throws RemoteError where the registry says that what it took has another digest. `what` is the request.
void check_stated_digest(const HttpResponse& response, const Digest& digest, const std::string& what);

}  // namespace mlctr
