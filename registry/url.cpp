#include "registry/url.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/ascii.hpp"
#include "registry/late_libcurl.hpp"
#include "registry/transport.hpp"

namespace mlctr {
namespace {

// Longer ones are an attack on somebody's parser; the longest signed storage URLs have about 3 KiB.
constexpr std::size_t k_max_url_bytes = 32 * 1024;

struct CloseUrl {
  void operator()(CURLU* url) const noexcept { libcurl().url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const noexcept { libcurl().free(text); }
};
using UrlHandle = std::unique_ptr<CURLU, CloseUrl>;

std::string part_of(const UrlHandle& url, CURLUPart part, unsigned flags = 0) {
  char* raw = nullptr;
  if (libcurl().url_get(url.get(), part, &raw, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, FreeText> text(raw);
  return text.get();
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// The text of a URL that was refused may hold a password: it is never part of the message.
[[noreturn]] void refuse(std::string_view why) {
  throw RemoteError(fmt::format("refusing a URL: {}", why));
}

void set_url(const UrlHandle& url, std::string_view text, unsigned flags) {
  if (text.size() > k_max_url_bytes) refuse("it is too long");
  if (has_control_character(text)) refuse("it holds control characters");
  const CURLUcode code = libcurl().url_set(url.get(), CURLUPART_URL, std::string(text).c_str(), flags);
  if (code == CURLUE_UNSUPPORTED_SCHEME) refuse("only http and https are spoken here");
  if (code != CURLUE_OK) refuse("it is malformed");
}

UrlHandle new_handle() {
  UrlHandle url(libcurl().url());
  if (!url) throw std::bad_alloc();
  return url;
}

}  // namespace

Url Url::parse(std::string_view text) {
  const UrlHandle url = new_handle();
  set_url(url, text, 0);
  for (const CURLUPart secret : {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT}) {
    libcurl().url_set(url.get(), secret, nullptr, 0);
  }

  Url parsed;
  const std::string scheme = part_of(url, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") refuse("only http and https are spoken here");
  parsed.scheme_ = scheme == "http" ? Scheme::http : Scheme::https;
  parsed.host_ = lowered(part_of(url, CURLUPART_HOST));
  if (parsed.host_.empty()) refuse("it names no host");
  parsed.port_ = part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  parsed.explicit_port_ = !part_of(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT).empty();
  parsed.path_ = part_of(url, CURLUPART_PATH);
  parsed.text_ = part_of(url, CURLUPART_URL);
  return parsed;
}

Url Url::resolve(std::string_view location) const {
  const UrlHandle url = new_handle();
  set_url(url, text_, 0);
  // URLENCODE: servers send spaces and raw UTF-8 in Location, and every client takes them.
  set_url(url, location, CURLU_URLENCODE);
  return parse(part_of(url, CURLUPART_URL));
}

Url Url::with_query(std::string_view name, std::string_view value) const {
  const char separator = text_.find('?') == std::string::npos ? '?' : '&';
  return parse(fmt::format("{}{}{}={}", text_, separator, name, percent_encode(value)));
}

std::string Url::host_and_port() const {
  return explicit_port_ ? fmt::format("{}:{}", host_, port_) : host_;
}

std::string Url::shown() const {
  return fmt::format("{}://{}{}", scheme_ == Scheme::https ? "https" : "http", host_and_port(), path_);
}

bool Url::is_loopback() const {
  if (host_ == "localhost" || host_ == "[::1]") return true;
  in_addr address{};
  return inet_pton(AF_INET, host_.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

bool Url::has_same_origin(const Url& other) const {
  return scheme_ == other.scheme_ && host_ == other.host_ && port_ == other.port_;
}

std::string percent_encode(std::string_view value) {
  std::string encoded;
  for (const char c : value) {
    if (is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

}  // namespace mlctr
