#include "registry/curl_failure.hpp"

#include <algorithm>
#include <array>
#include <system_error>

#include "base/printable.hpp"
#include "registry/late_libcurl.hpp"

namespace mlctr {
namespace {

// From OpenSSL's x509_vfy.h, which curl passes through as it is.
constexpr long k_not_yet_valid = 9;
constexpr long k_has_expired = 10;
constexpr std::array<long, 5> k_unknown_ca = {18, 19, 20, 21, 27};  // self-signed, no issuer found, untrusted

NetworkFailure kind_of(CURL* easy, CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return NetworkFailure::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return NetworkFailure::connect;
    case CURLE_SSL_CONNECT_ERROR:
      return NetworkFailure::tls;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return NetworkFailure::certificate;
    case CURLE_OPERATION_TIMEDOUT: {
      // libcurl's own timer runs only until the connection stands: what takes long behind that is the handshake.
      double connected_after = 0;
      libcurl().easy_getinfo(easy, CURLINFO_CONNECT_TIME, &connected_after);
      return connected_after > 0 ? NetworkFailure::tls : NetworkFailure::connect;
    }
    default:
      return NetworkFailure::broken;
  }
}

std::string text_of(CURL* easy, CURLcode code, std::string_view detail) {
  long os_error = 0;
  libcurl().easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
  // "Connection refused" says more than curl's "Failed to connect … after 0 ms: Couldn't connect to server".
  if (code == CURLE_COULDNT_CONNECT && os_error != 0) {
    return std::generic_category().message(static_cast<int>(os_error));
  }
  return printable_lines(detail.empty() ? libcurl().easy_strerror(code) : detail);
}

}  // namespace

ExchangeFailure describe_failure(CURL* easy, CURLcode code, std::string_view detail) {
  ExchangeFailure failure{kind_of(easy, code), text_of(easy, code, detail), false, false};
  if (failure.kind == NetworkFailure::certificate) {
    long verification = 0;
    libcurl().easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verification);
    failure.is_date_problem = verification == k_not_yet_valid || verification == k_has_expired;
    failure.is_unknown_ca = std::find(k_unknown_ca.begin(), k_unknown_ca.end(), verification) != k_unknown_ca.end();
  }
  return failure;
}

}  // namespace mlctr
