#include "app/registry_origin.hpp"

#include <fmt/format.h>

#include <functional>
#include <thread>

#include "app/blob_spool.hpp"
#include "base/error.hpp"
#include "base/thread.hpp"
#include "image/config.hpp"
#include "registry/client.hpp"

namespace mlctr {
namespace {

// A layer that downloads on a thread of its own into a spool, while whoever converts it reads behind.
class DownloadingLayer final : public LayerStream {
 public:
  DownloadingLayer(RegistryClient& client, const Descriptor& descriptor, const std::filesystem::path& partial,
                   ProgressItem& progress, std::stop_token stop)
      : client_(client),
        descriptor_(descriptor),
        stop_(std::move(stop)),
        spool_(partial, descriptor.size_bytes, progress),
        download_(start_thread("download a layer", [this](std::stop_token own_stop) { download(own_stop); })),
        on_stop_(stop_, [this] { download_.request_stop(); }) {}

  ~DownloadingLayer() override {
    // What did not verify must not be what the next pull goes on from. (Asked first: stopping fails the transfer too.)
    const bool ended_early = spool_.has_failed() || stop_.stop_requested();
    download_.request_stop();
    if (download_.joinable()) download_.join();
    if (!ended_early) spool_.remove();
  }

  std::size_t read(std::span<std::byte> into) override {
    const std::size_t got = spool_.read(into, offset_, stop_);
    offset_ += got;
    return got;
  }

  void done() override { spool_.remove(); }
  bool reject(const Error& cause) override {
    // Who sent what is known only once nothing more comes.
    download_.request_stop();
    download_.join();
    spool_.remove();
    // Of bytes from two pulls nobody can tell which were wrong: then no mirror is blamed yet.
    return spool_.resumed_bytes() > 0 || client_.reject(descriptor_.digest, cause.message());
  }
  std::uint64_t transferred_bytes() const override { return spool_.appended_bytes(); }

 private:
  void download(std::stop_token own_stop) noexcept {
    try {
      if (spool_.size() < descriptor_.size_bytes) client_.download(descriptor_, spool_, own_stop);
      spool_.finish();
    } catch (...) {
      spool_.fail(std::current_exception());
    }
  }

  RegistryClient& client_;
  const Descriptor descriptor_;
  std::stop_token stop_;
  BlobSpool spool_;
  std::uint64_t offset_ = 0;
  std::jthread download_;
  std::stop_callback<std::function<void()>> on_stop_;
};

class RegistryOrigin final : public ImageOrigin {
 public:
  RegistryOrigin(const ImageReference& reference, RegistrySettings settings, Transport& transport)
      : reference_(reference),
        client_(transport, std::move(settings), reference,
                find_credential({reference.registry, reference.repository, reference.user})) {}

  OriginManifest manifest(const std::optional<Digest>& digest, std::stop_token stop) override {
    FetchedManifest fetched = client_.manifest(digest ? digest->to_string() : reference_.selector(), stop);
    return {std::move(fetched.body), std::move(fetched.content_type)};
  }

  std::string config(const Descriptor& descriptor, std::stop_token stop) override {
    return client_.blob(descriptor, k_max_config_bytes, stop);
  }

  std::unique_ptr<LayerStream> layer(const Descriptor& descriptor, const std::filesystem::path& partial,
                                     ProgressItem& progress, std::stop_token stop) override {
    return std::make_unique<DownloadingLayer>(client_, descriptor, partial, progress, std::move(stop));
  }

 private:
  ImageReference reference_;
  RegistryClient client_;
};

// "https://mirror.local:5000/prefix" -> the endpoint; the scheme decides about TLS.
Endpoint parse_mirror(const std::string& url) {
  const bool is_plain = url.starts_with("http://");
  if (!is_plain && !url.starts_with("https://")) {
    throw UsageError(fmt::format("mirror {} is not a URL", url),
                     "write it as https://HOST[:PORT][/PREFIX] in mlctr.toml");
  }
  const std::string rest = url.substr(url.find("//") + 2);
  const std::size_t slash = rest.find('/');
  Endpoint endpoint{.host = rest.substr(0, slash), .path_prefix = {}, .plain_http = is_plain};
  if (slash != std::string::npos) endpoint.path_prefix = rest.substr(slash);
  while (endpoint.path_prefix.ends_with('/')) endpoint.path_prefix.pop_back();
  return endpoint;
}

}  // namespace

RegistrySettings registry_settings(const std::string& registry, const Configuration& configuration) {
  RegistrySettings settings;
  const auto configured = configuration.registries.find(registry);
  if (configured == configuration.registries.end()) return settings;
  settings.allow_plain_http = configured->second.plain_http;
  for (const std::string& mirror : configured->second.mirrors) settings.mirrors.push_back(parse_mirror(mirror));
  return settings;
}

TransportSettings transport_settings(const Configuration& configuration) {
  TransportSettings settings;
  settings.stall_timeout = configuration.stall_timeout;
  settings.host_settings = [registries = configuration.registries](const std::string& host) {
    // Docker Hub's settings stand under the name people know; its registry answers under another.
    const auto configured = registries.find(host == "registry-1.docker.io" ? "docker.io" : host);
    if (configured == registries.end()) return HostSettings{};
    const RegistryConfiguration& registry = configured->second;
    return HostSettings{.ca_file = registry.ca_file,
                        .client_certificate = registry.client_certificate,
                        .client_key = registry.client_key,
                        .verify_tls = !registry.insecure};
  };
  return settings;
}

std::unique_ptr<ImageOrigin> make_registry_origin(const ImageReference& reference, const Configuration& configuration,
                                                  Transport& transport) {
  return std::make_unique<RegistryOrigin>(reference, registry_settings(reference.registry, configuration), transport);
}

}  // namespace mlctr
