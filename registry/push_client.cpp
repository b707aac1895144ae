#include "registry/push_client.hpp"

#include <fmt/format.h>

#include "base/printable.hpp"
#include "registry/blob_upload.hpp"
#include "registry/place.hpp"
#include "registry/push_refusal.hpp"

namespace mlctr {
namespace {

PlaceSettings place_settings(const RegistrySettings& registry, const ImageReference& destination,
                             std::optional<Credential> credential) {
  return {
      .endpoint = {.host = api_host(destination.registry), .path_prefix = {}, .plain_http = registry.allow_plain_http},
      .repository = destination.repository,
      .login_name = destination.registry,
      .credential = std::move(credential),
      .max_attempts = std::nullopt,
      .actions = "pull,push"};
}

}  // namespace

struct PushClient::Impl {
  Impl(Transport& wire, PlaceSettings where, ImageReference what, PushSettings how)
      : transport(wire), place(wire, std::move(where)), destination(std::move(what)), settings(how) {}

  Transport& transport;
  Place place;
  ImageReference destination;
  PushSettings settings;
};

PushClient::PushClient(Transport& transport, const RegistrySettings& registry, ImageReference destination,
                       std::optional<Credential> credential, PushSettings settings)
    : impl_(new Impl(transport, place_settings(registry, destination, std::move(credential)), destination, settings)) {}

PushClient::~PushClient() = default;

bool PushClient::has_blob(const Digest& blob, std::stop_token stop) {
  HttpRequest request;
  request.method = "HEAD";
  const Url url = impl_->place.url("blobs/" + blob.to_string(), stop);
  return impl_->place.send(std::move(request), url, std::move(stop)).status == 200;
}

bool PushClient::mount(const Digest& blob, const std::string& from_repository, std::stop_token stop) {
  HttpRequest request;
  request.method = "POST";
  const Url url = impl_->place.url("blobs/uploads/", stop)
                      .with_query("mount", blob.to_string())
                      .with_query("from", from_repository);
  try {
    // 202 is an upload begun instead, which nobody goes on with; anything else means that we may not read there.
    return impl_->place.send(std::move(request), url, std::move(stop)).status == 201;
  } catch (const HttpError&) {
    return false;  // the token server gives nothing for the other repository
  }
}

std::unique_ptr<BlobUpload> PushClient::begin_upload(std::function<void(std::uint64_t)> on_sent, std::stop_token stop) {
  return begin_blob_upload(impl_->transport, impl_->place, impl_->settings, std::move(on_sent), std::move(stop));
}

void PushClient::put_manifest(std::string_view body, const std::string& media_type, const std::string& tag,
                              std::stop_token stop) {
  const Digest digest = Digest::of(body);
  HttpRequest request;
  request.method = "PUT";
  request.headers = {{"Content-Type", media_type}};
  request.body = body;
  request.stall_timeout = impl_->settings.commit_timeout;
  const Url url = impl_->place.url("manifests/" + (tag.empty() ? digest.to_string() : tag), stop);
  const HttpResponse response = impl_->place.send(std::move(request), url, std::move(stop));
  if (response.status < 200 || response.status >= 300) throw push_refusal(impl_->place, "PUT", url, response);
  check_stated_digest(response, digest, "PUT " + url.shown());
}

}  // namespace mlctr
