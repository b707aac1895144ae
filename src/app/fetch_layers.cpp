#include "app/fetch_layers.hpp"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "squashfs/layer_error.hpp"
#include "store/layer_companions.hpp"

namespace mlctr {
namespace {

// Of one layer: each takes a source of wrong bytes out of play, and nobody lists that many mirrors.
constexpr int k_max_tries = 8;

// One distinct layer that the store has not; images do repeat layers.
struct Job {
  Descriptor descriptor;
  Digest diff_id;
  std::shared_ptr<ProgressItem> progress;
  bool was_put_off = false;  // another process makes it: do the others first
};

class LayerFetch {
 public:
  LayerFetch(ImageOrigin& origin, Store& store, const FetchOptions& options, std::deque<Job> jobs, std::stop_token stop)
      : origin_(origin),
        store_(store),
        options_(options),
        jobs_(std::move(jobs)),
        pool_(options.threads, options.compression_level),
        on_outer_stop_(std::move(stop), [this] { stop_.request_stop(); }) {}

  void run() {
    {
      std::vector<std::jthread> workers;
      const std::size_t count = std::min<std::size_t>(options_.parallel_layers, jobs_.size());
      for (std::size_t i = 0; i < count; ++i) {
        try {
          workers.push_back(start_thread("fetch a layer", [this] { work(); }));
        } catch (const Error&) {
          if (workers.empty()) throw;
          break;  // those that run do the rest's work too
        }
      }
    }
    if (failure_) std::rethrow_exception(failure_);
  }

  std::uint64_t transferred_bytes() const noexcept { return transferred_bytes_; }

 private:
  void work() noexcept {
    try {
      while (std::optional<Job> job = next()) do_job(std::move(*job));
    } catch (...) {
      const std::lock_guard lock(mutex_);
      // Those stopped because of the first failure fail too: the first is the one to tell.
      if (!failure_) failure_ = std::current_exception();
      stop_.request_stop();
    }
  }

  std::optional<Job> next() {
    const std::lock_guard lock(mutex_);
    if (stop_.stop_requested()) throw Cancelled();
    if (jobs_.empty()) return std::nullopt;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }

  void do_job(Job job) {
    std::optional<Lock> lock = store_.try_lock_layer(job.diff_id);
    if (!lock && !job.was_put_off) {
      job.was_put_off = true;
      job.progress->phase = Phase::waiting_for_other;
      const std::lock_guard guard(mutex_);
      return jobs_.push_back(std::move(job));
    }
    if (!lock) lock = store_.lock_layer(job.diff_id, stop_.get_token(), {});
    if (store_.touch_layer(job.diff_id)) {
      job.progress->phase = Phase::cached;
      return;
    }
    make_layer(job);
    job.progress->phase = Phase::done;
  }

  void make_layer(const Job& job) {
    try {
      for (int tries = 1; convert(job, tries) == Outcome::wrong_bytes; ++tries) {
      }
    } catch (Error& error) {
      if (dynamic_cast<const Cancelled*>(&error) == nullptr) {
        error.add_context("layer " + job.descriptor.digest.short_hex());
      }
      throw;
    }
  }

  enum class Outcome { made, wrong_bytes };

  // The last of the tries tells its failure: what an earlier pull left, then a mirror after the other may be wrong.
  Outcome convert(const Job& job, int tries) {
    job.progress->converted_bytes = 0;
    job.progress->phase = Phase::downloading;
    TemporaryFile file = store_.new_layer_file(job.diff_id);
    TemporaryFile record = new_tar_record(store_, job.diff_id);
    auto outcome = squashfs::RecordOutcome::none;
    const std::unique_ptr<LayerStream> stream = origin_.layer(
        job.descriptor, store_.partial_blob_path(job.descriptor.digest, job.diff_id), *job.progress, stop_.get_token());
    try {
      outcome = squashfs::convert_layer({.blob = *stream,
                                         .blob_digest = job.descriptor.digest,
                                         .blob_bytes = job.descriptor.size_bytes,
                                         .diff_id = job.diff_id,
                                         .record = record.fd()},
                                        file.fd(), pool_, options_.limits, stop_.get_token(), job.progress.get());
    } catch (const squashfs::BlobError& error) {
      if (is_worth_another(*stream, error, tries)) return Outcome::wrong_bytes;
      throw;
    } catch (const squashfs::LayerLimitError& error) {
      // Found before the blob's end, which would tell whether it is the right one at all.
      if (is_worth_another(*stream, error, tries)) return Outcome::wrong_bytes;
      throw;
    }
    transferred_bytes_ += stream->transferred_bytes();
    // Before the layer: who sees that has its record.
    remove_layer_companions(store_.layer_path(job.diff_id));
    if (outcome == squashfs::RecordOutcome::written) record.commit(tar_record_path(store_.layer_path(job.diff_id)));
    file.commit(store_.layer_path(job.diff_id));
    stream->done();
    return Outcome::made;
  }

  bool is_worth_another(LayerStream& stream, const Error& cause, int tries) {
    transferred_bytes_ += stream.transferred_bytes();
    return tries < k_max_tries && stream.reject(cause);
  }

  ImageOrigin& origin_;
  Store& store_;
  const FetchOptions& options_;
  std::mutex mutex_;
  std::deque<Job> jobs_;
  std::exception_ptr failure_;
  std::atomic<std::uint64_t> transferred_bytes_{0};
  std::stop_source stop_;
  squashfs::CompressorPool pool_;
  std::stop_callback<std::function<void()>> on_outer_stop_;
};

std::optional<std::filesystem::path> find_layer(const Digest& diff_id, Store& store, const std::vector<Store>& others) {
  if (store.touch_layer(diff_id)) return store.layer_path(diff_id);
  for (const Store& other : others) {
    if (other.has_layer(diff_id)) return other.layer_path(diff_id);
  }
  return std::nullopt;
}

}  // namespace

FetchedLayers fetch_layers(const ResolvedImage& image, ImageOrigin& origin, Store& store,
                           const std::vector<Store>& others, const FetchOptions& options, ProgressBoard& board,
                           std::stop_token stop) {
  FetchedLayers fetched;
  std::deque<Job> jobs;
  std::map<Digest, std::filesystem::path> files;
  for (std::size_t i = 0; i < image.manifest.layers.size(); ++i) {
    const Descriptor& descriptor = image.manifest.layers[i];
    const Digest& diff_id = image.config.diff_ids[i];
    if (files.contains(diff_id)) continue;
    auto progress = board.add(descriptor.digest.short_hex(), descriptor.size_bytes);
    const std::optional<std::filesystem::path> present = find_layer(diff_id, store, others);
    files.emplace(diff_id, present.value_or(store.layer_path(diff_id)));
    if (present) {
      progress->phase = Phase::cached;
      ++fetched.reused;
    } else {
      jobs.push_back({descriptor, diff_id, std::move(progress)});
    }
  }
  // The largest first: nothing is left to do beside the last one if the last one is small.
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job& a, const Job& b) { return a.descriptor.size_bytes > b.descriptor.size_bytes; });

  LayerFetch fetch(origin, store, options, std::move(jobs), std::move(stop));
  fetch.run();
  fetched.transferred_bytes = fetch.transferred_bytes();
  for (const Digest& diff_id : image.config.diff_ids) fetched.files.push_back(files.at(diff_id));
  return fetched;
}

}  // namespace mlctr
