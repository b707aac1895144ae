#include "cli/progress_sampler.hpp"

#include <algorithm>

#include "base/printable.hpp"

namespace mlctr::cli {
namespace {

using Seconds = std::chrono::duration<double>;

Activity activity_of(const ProgressItem& item, Phase phase) {
  switch (phase) {
    case Phase::waiting:
      return Activity::waiting;
    case Phase::waiting_for_other:
      return Activity::waiting_for_other;
    case Phase::downloading:
    case Phase::converting:
      return item.total_bytes() > 0 && item.downloaded_bytes >= item.total_bytes() ? Activity::converting
                                                                                   : Activity::downloading;
    case Phase::merging:
      return Activity::writing;
    case Phase::done:
      return Activity::done;
    case Phase::cached:
      return Activity::reused;
  }
  return Activity::waiting;
}

bool is_finished(Activity activity) {
  return activity == Activity::done || activity == Activity::reused;
}

std::optional<Seconds> time_for(std::uint64_t total, std::uint64_t done, const RateMeter& meter) {
  const std::optional<double> rate = meter.bytes_per_second();
  if (total <= done || !rate || *rate < 1) return std::nullopt;
  return Seconds(static_cast<double>(total - done) / *rate);
}

// The slower of both decides: they run side by side.
std::optional<Seconds> later(std::optional<Seconds> a, std::optional<Seconds> b) {
  return a && b ? std::max(*a, *b) : (a ? a : b);
}

}  // namespace

ItemSnapshot ProgressSampler::sample_item(const ProgressItem& item, Meters& meters, RateMeter::Clock::time_point now) {
  const Phase phase = item.phase;
  ItemSnapshot view;
  view.label = printable(item.label());
  view.activity = activity_of(item, phase);
  view.total_bytes = item.total_bytes();
  view.downloaded_bytes = item.downloaded_bytes;
  view.converted_bytes = item.converted_bytes;
  // What was converted has come from somewhere: an archive on disk downloads nothing.
  view.downloaded_bytes = std::max(view.downloaded_bytes, view.converted_bytes);
  if (view.total_bytes > 0) {
    // Counters of several threads are read one after the other: a bar must not show more than all.
    view.downloaded_bytes = std::min(view.downloaded_bytes, view.total_bytes);
    view.converted_bytes = std::min(view.converted_bytes, view.total_bytes);
  }
  if (view.activity == Activity::done) view.downloaded_bytes = view.converted_bytes = view.total_bytes;

  const std::uint64_t resumed = item.resumed_bytes;
  if (view.activity != Activity::waiting && view.activity != Activity::waiting_for_other) {
    meters.download.update(now, view.downloaded_bytes - std::min(resumed, view.downloaded_bytes));
    meters.conversion.update(now, view.converted_bytes);
  }
  const bool is_loading = view.activity == Activity::downloading;
  view.rate = is_loading ? meters.download.bytes_per_second() : meters.conversion.bytes_per_second();
  view.time_left = later(time_for(view.total_bytes, view.downloaded_bytes, meters.download),
                         time_for(view.total_bytes, view.converted_bytes, meters.conversion));
  return view;
}

void ProgressSampler::add_to_total(ProgressSnapshot& snapshot, const ProgressItem& item, const ItemSnapshot& view) {
  ++snapshot.layers;
  if (is_finished(view.activity)) ++snapshot.layers_done;
  if (view.activity == Activity::reused) {
    ++snapshot.layers_reused;
    return;
  }
  if (view.activity == Activity::waiting_for_other) return;
  snapshot.total.total_bytes += view.total_bytes;
  snapshot.total.downloaded_bytes += view.downloaded_bytes;
  snapshot.total.converted_bytes += view.converted_bytes;
  fresh_bytes_ += view.downloaded_bytes - std::min<std::uint64_t>(item.resumed_bytes, view.downloaded_bytes);
}

void ProgressSampler::finish_total(ProgressSnapshot& snapshot, RateMeter::Clock::time_point now) {
  ItemSnapshot& total = snapshot.total;
  total_meters_.download.update(now, fresh_bytes_);
  total_meters_.conversion.update(now, total.converted_bytes);
  const bool is_loading = total.downloaded_bytes < total.total_bytes || total.total_bytes == 0;
  const bool is_done = snapshot.layers_done == snapshot.layers;
  total.activity = is_done ? Activity::done : (is_loading ? Activity::downloading : Activity::converting);
  if (is_loading) total.rate = total_meters_.download.bytes_per_second();
  total.time_left = later(time_for(total.total_bytes, total.downloaded_bytes, total_meters_.download),
                          time_for(total.total_bytes, total.converted_bytes, total_meters_.conversion));
}

ProgressSnapshot ProgressSampler::sample(const ProgressBoard& board, RateMeter::Clock::time_point now) {
  ProgressSnapshot snapshot;
  fresh_bytes_ = 0;
  for (const std::shared_ptr<ProgressItem>& item : board.items()) {
    Meters& meters = meters_[item];
    snapshot.items.push_back(sample_item(*item, meters, now));
    if (item->kind() == ProgressKind::layer) add_to_total(snapshot, *item, snapshot.items.back());
  }
  finish_total(snapshot, now);
  return snapshot;
}

}  // namespace mlctr::cli
