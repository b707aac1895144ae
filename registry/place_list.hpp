// The places that serve one repository, in the order they are asked: its mirrors, then the registry itself. Knows which
// mirrors failed and which sent what, so that a bad one costs one line and no pull.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "image/digest.hpp"
#include "registry/place.hpp"
#include "registry/transport.hpp"

namespace mlctr {

/// Thread-safe, once all places are added.
class PlaceList {
 public:
  /// `image` names it in notes. Borrows `transport`.
  PlaceList(Transport& transport, std::string image) : transport_(transport), image_(std::move(image)) {}

  /// The last one added is the registry itself.
  void add(PlaceSettings settings);

  /// What `action(place)` returns for the first place that can. A RemoteError leads from a mirror to the next place;
  /// whatever else is thrown (by a sink, a stop) is no fault of a place, and ends it all.
  template <class Action>
  auto at_first(const Action& action);

  /// A blob's bytes from `place` into `sink`, remembering who sent them. Throws HttpError where it has no such blob.
  void download(Place& place, const Digest& blob, std::uint64_t size_bytes, BodySink& sink, std::stop_token stop);

  /// The mirrors that sent bytes of `blob` sent wrong ones, as `cause` says, and are not asked again. False where no
  /// mirror did.
  bool reject(const Digest& blob, const std::string& cause);

 private:
  bool is_aside(const Place& place);
  bool set_aside(const Place& mirror);
  void pass_over(const Place& mirror, const RemoteError& error);

  Transport& transport_;
  const std::string image_;
  std::vector<std::unique_ptr<Place>> places_;

  std::mutex mutex_;
  std::set<const Place*> noted_;                         // mirrors that lack something; under mutex_
  std::set<const Place*> aside_;                         // mirrors not to ask again; under mutex_
  std::map<Digest, std::set<const Place*>> senders_of_;  // of the bytes that a blob's sink holds; under mutex_
};

template <class Action>
auto PlaceList::at_first(const Action& action) {
  for (std::size_t i = 0; i + 1 < places_.size(); ++i) {
    if (is_aside(*places_[i])) continue;
    try {
      return action(*places_[i]);
    } catch (const RemoteError& error) {
      pass_over(*places_[i], error);
    }
  }
  return action(*places_.back());
}

}  // namespace mlctr
