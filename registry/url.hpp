// An http or https URL, taken apart by libcurl's own parser: what we check is then what gets connected to.
#pragma once

#include <string>
#include <string_view>

namespace mlctr {

enum class Scheme { http, https };

class Url {
 public:
  /// Throws RemoteError (servers name most URLs) where it is no absolute http(s) URL. User and password in it are
  /// dropped, and so is the fragment.
  static Url parse(std::string_view text);

  /// Where a Location header leads from here; relative ones too (RFC 9110, 10.2.2).
  Url resolve(std::string_view location) const;

  /// Adds "name=value" to the query, percent-encoded.
  Url with_query(std::string_view name, std::string_view value) const;

  const std::string& text() const noexcept { return text_; }
  Scheme scheme() const noexcept { return scheme_; }
  const std::string& host() const noexcept { return host_; }  ///< lower case; an IPv6 address in its brackets
  const std::string& port() const noexcept { return port_; }  ///< the scheme's own where the URL has none
  bool has_explicit_port() const noexcept { return explicit_port_; }

  /// "host" or "host:port", as settings and messages name it: without the scheme's own port.
  std::string host_and_port() const;

  /// For messages: no query, which may hold a signature.
  std::string shown() const;

  /// localhost, 127.0.0.0/8 or ::1.
  bool is_loopback() const;

  /// Scheme, host and port are equal: the only place a secret meant for one may go.
  bool has_same_origin(const Url& other) const;

 private:
  Url() = default;

  std::string text_;
  Scheme scheme_ = Scheme::https;
  std::string host_;
  std::string port_;
  std::string path_;
  bool explicit_port_ = false;
};

/// One value of an application/x-www-form-urlencoded body or query.
std::string percent_encode(std::string_view value);

}  // namespace mlctr
