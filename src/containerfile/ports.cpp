#include "containerfile/ports.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::containerfile {
namespace {

[[noreturn]] void fail(std::string_view text, std::string_view why) {
  throw Error(fmt::format("\"{}\" is no port: {}", printable(text), why), "for example EXPOSE 8080 9000-9010/udp");
}

std::uint32_t parse_number(std::string_view text, std::string_view whole) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = !text.empty() && error == std::errc() && end == text.data() + text.size();
  if (!is_number || number > 65535) fail(whole, "it has to be a number from 0 to 65535");
  return number;
}

struct Range {
  std::uint32_t first, last;
};

Range parse_range(std::string_view text, std::string_view whole) {
  const std::size_t dash = text.find('-');
  const std::uint32_t first = parse_number(text.substr(0, dash), whole);
  const std::uint32_t last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), whole);
  if (last < first) fail(whole, "the range ends before it begins");
  return {first, last};
}

}  // namespace

ExposedPorts parse_ports(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const bool has_host = colon != std::string_view::npos;
  const std::string_view own = has_host ? text.substr(colon + 1) : text;
  const std::size_t slash = own.find('/');
  std::string protocol = slash == std::string_view::npos ? "" : lowered(own.substr(slash + 1));
  if (protocol.empty()) protocol = "tcp";
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") fail(text, "known protocols are tcp, udp and sctp");
  const Range range = parse_range(own.substr(0, slash), text);
  ExposedPorts exposed{{}, has_host};
  for (std::uint32_t port = range.first; port <= range.last; ++port) {
    exposed.ports.push_back(fmt::format("{}/{}", port, protocol));
  }
  return exposed;
}

}  // namespace mlctr::containerfile
