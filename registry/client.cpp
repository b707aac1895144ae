#include "registry/client.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "base/printable.hpp"
#include "registry/place.hpp"
#include "registry/place_list.hpp"
#include "registry/tag_list.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_tag_list_bytes = 4u << 20;
constexpr std::size_t k_tags_a_page = 1000;
constexpr int k_max_tag_pages = 10;
constexpr std::size_t k_max_suggested_tags = 10;
constexpr unsigned k_mirror_attempts = 2;

// Where Docker Hub's API answers; docker.io itself is a web site.
// "application/json; charset=utf-8" without its parameters.
std::string media_type(const std::string& content_type) {
  const std::string type = content_type.substr(0, content_type.find(';'));
  return type.substr(0, type.find_last_not_of(" \t") + 1);
}

bool is_digest(std::string_view selector) {
  return selector.find(':') != std::string_view::npos;
}

Digest digest_of(std::string_view body, HashAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(body);
  return Digest::from_hex(algorithm, hasher.finish_hex());
}

void check(const Digest& wanted, std::string_view body, const std::string& what) {
  const Digest got = digest_of(body, wanted.algorithm());
  if (got == wanted) return;
  throw RemoteError(fmt::format("{}: its digest is {}, not {}", what, got.to_string(), wanted.to_string()));
}

FetchedManifest checked_manifest(const Url& url, const std::string& selector, HttpResponse response) {
  const std::string what = "GET " + url.shown();
  std::string type = media_type(response.header("content-type"));
  if (is_digest(selector)) {
    const Digest wanted = Digest::parse(selector);
    check(wanted, response.body, what);
    return {std::move(response.body), std::move(type), wanted};
  }
  // The header may name the digest of another algorithm: then there is nothing to compare.
  const std::string stated = response.header("docker-content-digest");
  const Digest own = Digest::of(response.body);
  if (stated.substr(0, 7) == "sha256:" && stated != own.to_string()) {
    throw RemoteError(
        fmt::format("{}: its digest is {}, not {} as the registry says", what, own.to_string(), printable(stated, 80)));
  }
  return {std::move(response.body), std::move(type), own};
}

// A portal's page with status 200 is no manifest either: then the next place is asked.
void check_is_manifest(const Url& url, const FetchedManifest& fetched) try {
  parse_manifest(fetched.body, fetched.content_type);
} catch (const Error& error) {
  throw RemoteError(fmt::format("GET {}: {}", url.shown(), error.message()), error.hint());
}

class StringSink final : public BodySink {
 public:
  std::uint64_t size() const override { return text_.size(); }
  void append(std::span<const std::byte> bytes) override {
    text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void restart() override { text_.clear(); }
  std::string& text() noexcept { return text_; }

 private:
  std::string text_;
};

bool is_complete(const HttpResponse& response) {
  return response.status == 200 || response.status == 206;
}

}  // namespace

struct RegistryClient::Impl {
  void download_foreign(const std::string& url, const Descriptor& descriptor, BodySink& sink, std::stop_token stop);
  HttpError no_such_image(Place& place, const std::string& selector, std::stop_token stop);
  std::vector<std::string> tags_of(Place& place, std::size_t at_most, std::stop_token stop);

  Transport& transport;
  ImageReference reference;
  PlaceList places;
};

RegistryClient::RegistryClient(Transport& transport, RegistrySettings settings, ImageReference reference,
                               std::optional<Credential> credential)
    : impl_(new Impl{transport, reference, PlaceList(transport, reference.familiar())}) {
  const std::string registry = impl_->reference.registry;
  const std::string host = api_host(registry);
  const std::string& repository = impl_->reference.repository;
  for (Endpoint& mirror : settings.mirrors) {
    const bool is_registry = mirror.host == host || mirror.host == registry;
    PlaceSettings place{std::move(mirror), repository, "", std::nullopt, k_mirror_attempts};
    place.login_name = is_registry ? registry : place.endpoint.host;
    if (is_registry) place.credential = credential;
    impl_->places.add(std::move(place));
  }
  PlaceSettings own{{host, "", settings.allow_plain_http}, repository, registry, std::move(credential), std::nullopt};
  impl_->places.add(std::move(own));
}

RegistryClient::~RegistryClient() = default;

FetchedManifest RegistryClient::manifest(const std::string& selector, std::stop_token stop) {
  const std::string accept = fmt::format("{}", fmt::join(accepted_manifest_types(), ", "));
  return impl_->places.at_first([&](Place& place) {
    const Url url = place.url("manifests/" + selector, stop);
    HttpResponse response = place.get(url, accept, k_max_manifest_bytes, stop);
    // Asked for tags only now: a list of thousands is worth its time only as part of an error.
    if (response.status == 404) throw impl_->no_such_image(place, selector, stop);
    if (response.status != 200) throw place.refusal(url, response);
    FetchedManifest fetched = checked_manifest(url, selector, std::move(response));
    check_is_manifest(url, fetched);
    return fetched;
  });
}

HttpError RegistryClient::Impl::no_such_image(Place& place, const std::string& selector, std::stop_token stop) {
  const std::string message = fmt::format("{} has no image {}{}{}", place.host(), reference.repository,
                                          is_digest(selector) ? "@" : ":", selector);
  std::vector<std::string> tags;
  try {
    tags = tags_of(place, k_tags_a_page * k_max_tag_pages, stop);
  } catch (const HttpError& error) {
    if (error.status() == 404)
      return {404, message, fmt::format("there is no repository {} either", reference.repository)};
    return {404, message};
  } catch (const RemoteError&) {
    // Many registries don't list tags: the 404 is what matters.
    return {404, message};
  }
  if (tags.empty()) return {404, message, "its repository has no tags"};
  const std::size_t count = tags.size();
  const std::vector<std::string> nearest = nearest_tags(selector, std::move(tags), k_max_suggested_tags);
  return {404, message, fmt::format("tags that exist ({} of {}): {}", nearest.size(), count, fmt::join(nearest, ", "))};
}

std::vector<std::string> RegistryClient::Impl::tags_of(Place& place, std::size_t at_most, std::stop_token stop) {
  std::vector<std::string> tags;
  Url url = place.url(fmt::format("tags/list?n={}", std::min(at_most, k_tags_a_page)), stop);
  for (int page = 0; page < k_max_tag_pages && tags.size() < at_most; ++page) {
    const HttpResponse response = place.get(url, "application/json", k_max_tag_list_bytes, stop);
    if (response.status != 200) throw place.refusal(url, response);
    for (std::string& tag : parse_tag_list(response.body)) tags.push_back(std::move(tag));
    const std::string next = next_page(response.header("link"));
    if (next.empty()) break;
    const Url next_url = url.resolve(next);
    // A list does not go on somewhere else: that would be signed in to.
    if (!next_url.has_same_origin(url)) break;
    url = next_url;
  }
  if (tags.size() > at_most) tags.resize(at_most);
  return tags;
}

std::vector<std::string> RegistryClient::tags(std::size_t at_most, std::stop_token stop) {
  return impl_->places.at_first([&](Place& place) { return impl_->tags_of(place, at_most, stop); });
}

std::string RegistryClient::blob(const Descriptor& descriptor, std::uint64_t max_bytes, std::stop_token stop) {
  const std::string name = descriptor.digest.to_string();
  if (descriptor.size_bytes > max_bytes) {
    throw RemoteError(
        fmt::format("blob {} has {} bytes, at most {} are taken", name, descriptor.size_bytes, max_bytes));
  }
  return impl_->places.at_first([&](Place& place) {
    StringSink sink;
    impl_->places.download(place, descriptor.digest, descriptor.size_bytes, sink, stop);
    check(descriptor.digest, sink.text(), fmt::format("blob {} of {}", descriptor.digest.short_hex(), place.host()));
    return std::move(sink.text());
  });
}

void RegistryClient::Impl::download_foreign(const std::string& url, const Descriptor& descriptor, BodySink& sink,
                                            std::stop_token stop) {
  // Whoever wrote the manifest chose this address: no Authorization, ever.
  HttpRequest request;
  request.url = url;
  const HttpResponse response = transport.download(request, sink, descriptor.size_bytes, stop);
  if (!is_complete(response)) {
    throw HttpError(response.status, fmt::format("GET {}: HTTP {}", Url::parse(url).shown(), response.status));
  }
}

void RegistryClient::download(const Descriptor& descriptor, BodySink& sink, std::stop_token stop) {
  try {
    return impl_->places.at_first(
        [&](Place& place) { impl_->places.download(place, descriptor.digest, descriptor.size_bytes, sink, stop); });
  } catch (const RemoteError& error) {
    if (descriptor.urls.empty()) throw;
    impl_->transport.note(fmt::format("{}; going to the foreign layer's own address", error.message()));
  }
  for (std::size_t i = 0; i < descriptor.urls.size(); ++i) {
    try {
      return impl_->download_foreign(descriptor.urls[i], descriptor, sink, stop);
    } catch (const RemoteError& error) {
      if (i + 1 == descriptor.urls.size()) throw;
      impl_->transport.note(error.message());
    }
  }
}

bool RegistryClient::reject(const Digest& blob, const std::string& cause) {
  return impl_->places.reject(blob, cause);
}

}  // namespace mlctr
