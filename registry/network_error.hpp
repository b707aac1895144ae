// What users read when no answer came: the cause in one line, and the knob that is most often behind it.
#pragma once

#include <string>

#include "registry/exchange.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {

/// `action`: method and URL as messages show it, "GET https://host/path".
NetworkError make_network_error(const std::string& action, const Url& url, const ExchangeFailure& failure);

/// How often a failure of this kind is worth trying at all, where the transport allows `max_attempts`.
unsigned useful_attempts(NetworkFailure failure, unsigned max_attempts);

}  // namespace mlctr
