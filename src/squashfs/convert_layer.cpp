#include "squashfs/convert_layer.hpp"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "squashfs/blob_feed.hpp"
#include "squashfs/chunk_pipe.hpp"
#include "squashfs/layer_error.hpp"
#include "squashfs/pack_layer.hpp"

namespace mlctr::squashfs {
namespace {

// Of the tar stream between the two threads. Chunks are large because ISA-L saves its 32 KiB window at the end of each,
// and not larger because they should stay in a processor's cache.
constexpr std::size_t k_chunk_bytes = 512u << 10;
constexpr std::size_t k_chunks = 4;

bool is_layer_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const LayerError&) {
    return true;
  } catch (...) {
    return false;
  }
}

bool is_cancelled(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Cancelled&) {
    return true;
  } catch (...) {
    return false;
  }
}

// The second half of a conversion, on a thread of its own: hashes the tar stream and packs what it holds.
class TarPacking {
 public:
  TarPacking(const LayerInput& input, ChunkPipe& pipe, const LayerLimits& limits)
      : input_(input), pipe_(pipe), limits_(limits), hasher_(input.diff_id.algorithm()) {
    if (input.record) recorder_.emplace(*input.record);
  }

  void run(int output, CompressorPool& pool, const std::stop_token& stop) noexcept {
    try {
      layer_ = pack_layer([this] { return next(); }, output, pool, limits_, stop, recorder());
      // Whatever follows the end of the archive belongs to the diff_id too.
      while (!next().empty()) {
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    // A bad content may come of a bad blob, which only its end tells; nothing else makes the rest worth reading.
    const bool is_rest_of_use = failure_ == nullptr || is_layer_error(failure_);
    pipe_.leave(is_rest_of_use ? ChunkPipe::Rest::read_on : ChunkPipe::Rest::give_up);
  }

  std::exception_ptr failure() const { return failure_; }

  void check_diff_id() {
    const auto actual = Digest::from_hex(input_.diff_id.algorithm(), hasher_.finish_hex());
    if (actual == input_.diff_id) return;
    throw Error(fmt::format("blob {} is not the layer that the image's configuration names: it unpacks to {}, not {}",
                            input_.blob_digest.to_string(), actual.to_string(), input_.diff_id.to_string()));
  }

  const PackedLayer& layer() const { return *layer_; }

  RecordOutcome finish_record() {
    return recorder_ && recorder_->finish(layer_->tree) ? RecordOutcome::written : RecordOutcome::none;
  }

 private:
  std::span<const std::byte> next() {
    const std::span<const std::byte> chunk = pipe_.next();
    bytes_read_ += chunk.size();
    if (bytes_read_ > limits_.max_uncompressed_bytes) throw over_byte_limit(limits_);
    hasher_.update(chunk);
    if (recorder_) recorder_->feed(chunk);
    return chunk;
  }

  TarRecorder* recorder() { return recorder_ ? &*recorder_ : nullptr; }

  const LayerInput& input_;
  ChunkPipe& pipe_;
  const LayerLimits limits_;
  Hasher hasher_;
  std::optional<TarRecorder> recorder_;
  std::uint64_t bytes_read_ = 0;
  std::optional<PackedLayer> layer_;
  std::exception_ptr failure_;
};

// Rethrows what went wrong, the cause rather than its consequences: this machine's own trouble, then the transfer's,
// then a wrong blob, and only then what is wrong with its content.
void check_outcome(BlobFeed& feed, const std::exception_ptr& feed_failure, TarPacking& packing) {
  const std::exception_ptr packing_failure = packing.failure();
  const bool has_packing_failed = packing_failure != nullptr && !is_cancelled(packing_failure);
  if (has_packing_failed && !is_layer_error(packing_failure)) std::rethrow_exception(packing_failure);
  if (feed_failure != nullptr) std::rethrow_exception(feed_failure);
  feed.check_blob();
  if (feed.inflate_failure() != nullptr) std::rethrow_exception(feed.inflate_failure());
  if (has_packing_failed) std::rethrow_exception(packing_failure);
  packing.check_diff_id();
}

// Of a blob that is what the image says: its data blocks, then its tables.
RecordOutcome run_stages(const LayerInput& input, int output, CompressorPool& pool, const LayerLimits& limits,
                         const std::stop_token& stop, ProgressItem* progress) {
  ChunkPipe pipe(k_chunks, k_chunk_bytes, stop);
  BlobFeed feed(input, pipe, stop, progress);
  TarPacking packing(input, pipe, limits);
  std::exception_ptr feed_failure;
  {
    const std::jthread packer = start_thread("pack a layer", [&] { packing.run(output, pool, stop); });
    try {
      feed.run();
    } catch (...) {
      feed_failure = std::current_exception();
      pipe.abort();
    }
  }
  if (stop.stop_requested()) throw Cancelled();
  check_outcome(feed, feed_failure, packing);
  write_layer_tables(packing.layer(), output);
  return packing.finish_record();
}

}  // namespace

RecordOutcome convert_layer(const LayerInput& input, int output, CompressorPool& pool, const LayerLimits& limits,
                            std::stop_token stop, ProgressItem* progress) try {
  return run_stages(input, output, pool, limits, stop, progress);
} catch (LayerLimitError& error) {
  error.add_context("cannot unpack blob " + input.blob_digest.to_string());
  throw;
} catch (LayerError& error) {
  error.add_context("cannot unpack blob " + input.blob_digest.to_string());
  throw;
}

}  // namespace mlctr::squashfs
