// A blob on its way from the network to its conversion: a file that the transport appends to and the conversion reads
// behind it. The file is what lets a later pull go on where this one stopped, and what lets a download run ahead of a
// slower conversion in bounded memory.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <stop_token>

#include "base/fd.hpp"
#include "base/progress.hpp"
#include "registry/transport.hpp"

namespace mlctr {

/// One writer thread, one reader thread.
class BlobSpool final : public BodySink {
 public:
  /// Opens `path` with what an earlier pull left there (nothing of it, if that is more than `expected_bytes`).
  BlobSpool(std::filesystem::path path, std::uint64_t expected_bytes, ProgressItem& progress);

  // The writer's side.
  std::uint64_t size() const override;
  void append(std::span<const std::byte> bytes) override;
  /// The server sends from the first byte again; a reader that is further waits until the new bytes have come as far.
  void restart() override;
  void finish();                          ///< no more bytes will come
  void fail(std::exception_ptr failure);  ///< the reader gets this after the bytes that did come

  // The reader's side.
  /// Blocks for bytes at `offset`; 0 at the end. Throws what the writer failed with, and Cancelled.
  std::size_t read(std::span<std::byte> into, std::uint64_t offset, std::stop_token stop);

  std::uint64_t resumed_bytes() const noexcept { return resumed_bytes_; }
  std::uint64_t appended_bytes() const;
  bool has_failed() const;
  void remove();

 private:
  std::filesystem::path path_;
  Fd fd_;
  ProgressItem& progress_;
  std::uint64_t resumed_bytes_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t size_ = 0;
  std::uint64_t appended_bytes_ = 0;
  bool is_finished_ = false;
  std::exception_ptr failure_;
};

}  // namespace mlctr
