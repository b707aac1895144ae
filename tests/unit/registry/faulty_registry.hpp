// tests/servers/faulty_registry.py as a child of the test: its docstring says what it can do wrong.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "image/manifest.hpp"
#include "registry/transport.hpp"
#include "tests/unit/temporary_directory.hpp"

namespace mlctr::test {

using nlohmann::json;

enum class Channel { plain, tls };

class FaultyRegistry {
 public:
  explicit FaultyRegistry(std::vector<std::string> options = {}, Channel channel = Channel::plain);
  ~FaultyRegistry();
  FaultyRegistry(const FaultyRegistry&) = delete;
  FaultyRegistry& operator=(const FaultyRegistry&) = delete;

  std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string origin() const { return scheme_ + "://" + host(); }
  std::string storage_origin() const { return scheme_ + "://127.0.0.1:" + std::to_string(storage_port_); }
  std::string blob_url(const Descriptor& blob) const { return origin() + "/v2/repo/blobs/" + blob.digest.to_string(); }

  Descriptor add_blob(const std::string& bytes);
  /// As many bytes, the same ones for the same seed.
  Descriptor add_random_blob(std::uint64_t bytes, int seed);
  Digest add_manifest(const std::string& repository, const std::string& tag, const std::string& body);
  void add_fault(const json& fault) { control("fault", fault.dump()); }
  void set(const json& settings) { control("settings", settings.dump()); }
  void expire_tokens() { control("expire-tokens", ""); }

  /// Its requests so far, those to its control left out.
  std::vector<json> log();
  std::size_t count(const std::string& key, const json& value);

  /// A transport that trusts this server's certificate and retries without pause.
  std::unique_ptr<Transport> make_transport(ProgressBoard* board = nullptr, TransportSettings settings = {}) const;
  const std::filesystem::path& certificate() const { return certificate_; }

 private:
  void spawn(std::vector<std::string> arguments);
  json control(const std::string& action, const std::string& body);

  TemporaryDirectory directory_;
  std::filesystem::path certificate_;
  std::string scheme_;
  pid_t pid_ = -1;
  Fd input_;  // its end ends the server
  int port_ = 0;
  int storage_port_ = 0;
  std::unique_ptr<Transport> transport_;
};

/// Keeps a blob in memory.
class MemorySink : public BodySink {
 public:
  explicit MemorySink(std::string held = {}) : text(std::move(held)) {}
  std::uint64_t size() const override { return text.size(); }
  void append(std::span<const std::byte> bytes) override {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void restart() override {
    ++restarts;
    text.clear();
  }

  std::string text;
  int restarts = 0;
};

/// A self-signed certificate for 127.0.0.1 and localhost, valid for `days` from now (negative: expired already).
struct Certificate {
  std::filesystem::path certificate, key;
};
Certificate make_certificate(const std::filesystem::path& directory, int days);

}  // namespace mlctr::test
