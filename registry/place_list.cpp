#include "registry/place_list.hpp"

#include <fmt/format.h>

#include <functional>

namespace mlctr {
namespace {

// Tells when a place has sent something: only then may it be to blame for what is wrong with a blob.
class WatchedSink final : public BodySink {
 public:
  WatchedSink(BodySink& sink, std::function<void()> on_first_bytes, std::function<void()> on_restart)
      : sink_(sink), on_first_bytes_(std::move(on_first_bytes)), on_restart_(std::move(on_restart)) {}

  std::uint64_t size() const override { return sink_.size(); }
  void append(std::span<const std::byte> bytes) override {
    if (!has_bytes_) on_first_bytes_();
    has_bytes_ = true;
    sink_.append(bytes);
  }
  void restart() override {
    on_restart_();
    has_bytes_ = false;
    sink_.restart();
  }

 private:
  BodySink& sink_;
  std::function<void()> on_first_bytes_, on_restart_;
  bool has_bytes_ = false;
};

}  // namespace

void PlaceList::add(PlaceSettings settings) {
  places_.push_back(std::make_unique<Place>(transport_, std::move(settings)));
}

bool PlaceList::is_aside(const Place& place) {
  const std::lock_guard lock(mutex_);
  return aside_.contains(&place);
}

// False where another thread was faster.
bool PlaceList::set_aside(const Place& mirror) {
  const std::lock_guard lock(mutex_);
  return aside_.insert(&mirror).second;
}

// An image has many layers: one line about a mirror is worth reading, sixty are not.
void PlaceList::pass_over(const Place& mirror, const RemoteError& error) {
  // One that can't be reached would cost every layer its timeouts; one that sends what it must not may do worse.
  if (dynamic_cast<const HttpError*>(&error) == nullptr) {
    if (set_aside(mirror)) {
      transport_.note(fmt::format("mirror {} is not asked again: {}", mirror.host(), error.message()));
    }
    return;
  }
  // One that answers may yet have the next blob.
  const std::lock_guard lock(mutex_);
  if (noted_.insert(&mirror).second) {
    transport_.note(fmt::format("mirror {} has not all of {}: {}; asking elsewhere for what it lacks", mirror.host(),
                                image_, error.message()));
  }
}

void PlaceList::download(Place& place, const Digest& blob, std::uint64_t size_bytes, BodySink& sink,
                         std::stop_token stop) {
  const auto remember = [&] {
    const std::lock_guard lock(mutex_);
    senders_of_[blob].insert(&place);
  };
  const auto forget = [&] {
    const std::lock_guard lock(mutex_);
    senders_of_.erase(blob);
  };
  WatchedSink watched(sink, remember, forget);
  const Url url = place.url("blobs/" + blob.to_string(), stop);
  const HttpResponse response = place.download(url, watched, size_bytes, stop);
  if (response.status != 200 && response.status != 206) throw place.refusal(url, response);
}

bool PlaceList::reject(const Digest& blob, const std::string& cause) {
  std::set<const Place*> senders;
  {
    const std::lock_guard lock(mutex_);
    if (const auto node = senders_of_.extract(blob)) senders = std::move(node.mapped());
  }
  senders.erase(places_.back().get());  // there is nowhere to go from the registry itself
  for (const Place* mirror : senders) {
    if (set_aside(*mirror)) {
      transport_.note(fmt::format("mirror {} is not asked again: {}", mirror->host(), cause));
    }
  }
  return !senders.empty();
}

}  // namespace mlctr
