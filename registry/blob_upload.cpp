#include "registry/blob_upload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/number.hpp"
#include "registry/push_refusal.hpp"
#include "registry/retry.hpp"

namespace mlctr {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t k_largest_chunk_bytes = 128u << 20;  // whatever a registry asks for: it is held in memory

// Range: 0-LAST (RFC 9110 would have "bytes=" in front). Nothing at all is "0-0" for many.
std::optional<std::uint64_t> held_bytes(const HttpResponse& response) {
  std::string range = response.header("range");
  if (range.starts_with("bytes=")) range.erase(0, 6);
  if (!range.starts_with("0-")) return std::nullopt;
  const auto last = parse_number<std::uint64_t>(std::string_view(range).substr(2));
  if (!last) return std::nullopt;
  return *last == 0 ? 0 : *last + 1;
}

class ChunkedUpload final : public BlobUpload {
 public:
  ChunkedUpload(Transport& transport, Place& place, const PushSettings& settings,
                std::function<void(std::uint64_t)> on_sent, std::stop_token stop)
      : transport_(transport),
        place_(place),
        settings_(settings),
        on_sent_(std::move(on_sent)),
        stop_(std::move(stop)),
        first_(place.url("blobs/uploads/", stop_)),
        location_(first_) {
    HttpRequest request;
    request.method = "POST";
    const HttpResponse response = place_.send(std::move(request), first_, stop_);
    if (response.status != 202) throw push_refusal(place_, "POST", first_, response);
    if (response.header("location").empty()) {
      throw RemoteError(fmt::format("POST {}: the registry does not say where to send the blob", first_.shown()));
    }
    move_to(response);
    const auto least = parse_number<std::uint64_t>(response.header("oci-chunk-min-length"));
    chunk_bytes_ =
        std::clamp(least.value_or(0), settings_.chunk_bytes, std::max(settings_.chunk_bytes, k_largest_chunk_bytes));
  }

  void append(std::span<const std::byte> bytes) override {
    while (!bytes.empty()) {
      const std::size_t size = std::min<std::uint64_t>(bytes.size(), chunk_bytes_ - chunk_.size());
      chunk_.append(reinterpret_cast<const char*>(bytes.data()), size);
      bytes = bytes.subspan(size);
      if (chunk_.size() == chunk_bytes_) send_chunk();
    }
  }

  void finish(const Digest& digest) override {
    send_chunk();
    failures_ = 0;
    while (!commit(digest)) {
    }
  }

 private:
  HttpResponse send(HttpRequest request, const Url& url) {
    request.max_attempts = 1;  // what the registry holds by then must be asked first
    if (url.has_same_origin(first_)) return place_.send(std::move(request), url, stop_);
    // Another host takes the bytes, but is not told who we are.
    request.url = url.text();
    return transport_.perform(request, stop_);
  }

  // Where the next request goes: relative or absolute (spec: "Location").
  void move_to(const HttpResponse& response) {
    const std::string location = response.header("location");
    if (location.empty()) return;
    const Url next = Url::parse(response.url).resolve(location);
    if (!next.has_same_origin(first_)) {
      const bool is_downgrade = first_.scheme() == Scheme::https && next.scheme() != Scheme::https;
      if (is_downgrade || (next.is_loopback() && !first_.is_loopback())) {
        throw RemoteError(
            fmt::format("refusing to send the blob to {}, where {} wants it", next.shown(), first_.host_and_port()));
      }
    }
    location_ = next;
  }

  // Sends what chunk_ holds, wherever the registry stands in it.
  void send_chunk() {
    failures_ = 0;
    std::uint64_t done = 0;  // of the chunk
    while (done < chunk_.size()) done = send_from(done);
    offset_ += chunk_.size();
    chunk_.clear();
  }

  // One try. Returns how much of the chunk the registry holds then.
  std::uint64_t send_from(std::uint64_t done) {
    const std::uint64_t begin = offset_ + done;
    const std::uint64_t end = offset_ + chunk_.size();
    HttpRequest request;
    request.method = "PATCH";
    request.headers = {{"Content-Type", "application/octet-stream"},
                       {"Content-Range", fmt::format("{}-{}", begin, end - 1)}};
    request.body = chunk_.substr(done);
    request.on_sent = [this, begin](std::uint64_t sent) { on_sent_(begin + sent); };
    std::string why;
    std::optional<milliseconds> asked;
    try {
      const HttpResponse response = send(std::move(request), location_);
      if (response.status >= 200 && response.status < 300) {
        move_to(response);
        return position(held_bytes(response).value_or(end));
      }
      why = fmt::format("PATCH {}: HTTP {}", location_.shown(), response.status);
      if (response.status == 404) throw UploadLost(why + ": the registry has forgotten the upload");
      if (response.status != 416 && !is_retryable_status(response.status)) {
        throw push_refusal(place_, "PATCH", location_, response);
      }
      asked = parse_retry_after(response.header("retry-after"), std::time(nullptr));
      if (failures_ + 1 >= settings_.max_attempts && response.status != 416) {
        throw push_refusal(place_, "PATCH", location_, response);
      }
    } catch (const NetworkError& error) {
      if (failures_ + 1 >= settings_.max_attempts) throw;
      why = error.message();
    }
    wait(why, asked);
    return ask_position(why);
  }

  std::uint64_t position(std::uint64_t held) const {
    if (held < offset_ || held > offset_ + chunk_.size()) {
      throw UploadLost(fmt::format("{}: the registry holds {} bytes of the upload, where {} were sent",
                                   location_.shown(), held, offset_ + chunk_.size()));
    }
    return held - offset_;
  }

  // GET of the upload tells how far it came.
  std::uint64_t ask_position(const std::string& why) {
    HttpRequest request;
    const HttpResponse response = send(std::move(request), location_);
    const auto held = held_bytes(response);
    if (response.status != 204 && response.status != 200 && response.status != 202) {
      throw UploadLost(fmt::format("{}; then GET: HTTP {}", why, response.status));
    }
    if (!held) throw UploadLost(why + "; the registry does not say how much it holds");
    move_to(response);
    return position(*held);
  }

  void wait(const std::string& why, std::optional<milliseconds> asked) {
    ++failures_;
    if (failures_ >= settings_.max_attempts || (asked && *asked > k_longest_retry_after)) throw UploadLost(why);
    const milliseconds pause = asked.value_or(backoff(failures_, settings_.first_backoff, random_fraction()));
    transport_.note(fmt::format("going on in {:.1f} s: {}", static_cast<double>(pause.count()) / 1000, why));
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop_, pause, [] { return false; });
    if (stop_.stop_requested()) throw Cancelled();
  }

  // False where it is to be tried again.
  bool commit(const Digest& digest) {
    HttpRequest request;
    request.method = "PUT";
    request.headers = {{"Content-Type", "application/octet-stream"}};
    request.stall_timeout = settings_.commit_timeout;
    const Url url = location_.with_query("digest", digest.to_string());
    std::string why;
    std::optional<milliseconds> asked;
    try {
      const HttpResponse response = send(std::move(request), url);
      if (response.status >= 200 && response.status < 300) {
        check_stated_digest(response, digest, "PUT " + url.shown());
        return true;
      }
      why = fmt::format("PUT {}: HTTP {}", url.shown(), response.status);
      if (response.status != 404 && !is_retryable_status(response.status)) {
        throw push_refusal(place_, "PUT", url, response);
      }
      if (failures_ + 1 >= settings_.max_attempts && response.status != 404) {
        throw push_refusal(place_, "PUT", url, response);
      }
      asked = parse_retry_after(response.header("retry-after"), std::time(nullptr));
      // A try before this one may have done it, though its answer was lost.
      if (response.status == 404 && !is_there(digest))
        throw UploadLost(why + ": the registry has forgotten the upload");
    } catch (const NetworkError& error) {
      if (failures_ + 1 >= settings_.max_attempts) throw;
      why = error.message();
    }
    if (is_there(digest)) return true;
    wait(why, asked);
    return false;
  }

  bool is_there(const Digest& digest) {
    HttpRequest request;
    request.method = "HEAD";
    return place_.send(std::move(request), place_.url("blobs/" + digest.to_string(), stop_), stop_).status == 200;
  }

  Transport& transport_;
  Place& place_;
  const PushSettings settings_;
  const std::function<void(std::uint64_t)> on_sent_;
  const std::stop_token stop_;
  const Url first_;
  Url location_;
  std::uint64_t chunk_bytes_ = 0;
  std::string chunk_;
  std::uint64_t offset_ = 0;  // where the chunk lies in the blob
  unsigned failures_ = 0;     // of the chunk, in a row
};

}  // namespace

std::unique_ptr<BlobUpload> begin_blob_upload(Transport& transport, Place& place, const PushSettings& settings,
                                              std::function<void(std::uint64_t)> on_sent, std::stop_token stop) {
  return std::make_unique<ChunkedUpload>(transport, place, settings, std::move(on_sent), std::move(stop));
}

}  // namespace mlctr
