#include "app/fetch_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "app/registry_origin.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "image/digest.hpp"
#include "registry/transport.hpp"
#include "registry/url.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_bytes = 1u << 30;  // it is held in memory

std::string name_of(const std::string& url) {
  std::string name = url.substr(0, url.find_first_of("?#"));
  name = name.substr(name.find_last_of('/') + 1);
  if (!name.empty() && name != "." && name != "..") return name;
  throw Error(fmt::format("ADD {}: there is no file name in it", printable(url)));
}

void check(const std::string& body, const std::string& checksum, const std::string& shown) {
  if (checksum.empty()) return;
  const Digest wanted = Digest::parse(checksum);
  Hasher hasher(wanted.algorithm());
  hasher.update(body);
  const Digest found = Digest::from_hex(wanted.algorithm(), hasher.finish_hex());
  if (found == wanted) return;
  throw Error(fmt::format("{} is not what --checksum says: it has {}", shown, found.to_string()),
              "it has changed, or somebody has: look at it before you take its checksum");
}

}  // namespace

void fetch_files(const std::vector<std::string>& urls, const std::string& checksum,
                 const std::filesystem::path& directory, const Configuration& configuration,
                 const std::stop_token& stop) {
  if (::mkdir(directory.c_str(), 0700) != 0) throw SysError("cannot make " + directory.string());
  const auto transport = make_curl_transport(transport_settings(configuration), nullptr);
  for (const std::string& text : urls) {
    const Url url = Url::parse(text);
    HttpRequest request;
    request.url = url.text();
    request.max_body_bytes = k_max_bytes;
    const HttpResponse answer = transport->perform(request, stop);
    if (answer.status != 200) throw Error(fmt::format("GET {}: HTTP {}", url.shown(), answer.status));
    check(answer.body, checksum, url.shown());
    const Fd file = open_file(directory / name_of(text), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    write_all(file.get(), std::as_bytes(std::span(answer.body)), "a downloaded file");
  }
}

}  // namespace mlctr
