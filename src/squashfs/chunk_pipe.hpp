// A bounded pipe of big chunks between two threads of one layer: what inflates and what reads the tar.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <vector>

namespace mlctr::squashfs {

class ChunkPipe {
 public:
  ChunkPipe(std::size_t chunks, std::size_t chunk_bytes, std::stop_token stop);

  /// What the reader, leaving, thinks of the rest of the stream.
  enum class Rest {
    read_on,  ///< acquire() gives an empty span: read the source to its end all the same
    give_up,  ///< acquire() throws Cancelled
  };

  std::size_t chunk_bytes() const noexcept { return chunk_bytes_; }

  /// Writer: the next chunk to fill, whole; waits for one. Empty once the reader has left. Throws Cancelled.
  std::span<std::byte> acquire();
  /// Writer: hands over the first `bytes` of the chunk acquired last.
  void push(std::size_t bytes);
  /// Writer: nothing more comes.
  void close();
  /// Writer: nothing more comes and the stream is not whole; the reader's next() throws Cancelled.
  void abort();

  /// Reader: the next bytes, valid until the call after; empty at the end. Throws Cancelled.
  std::span<const std::byte> next();
  /// Reader: wants no more.
  void leave(Rest rest);

 private:
  enum class State { open, closed, aborted, left, given_up };
  struct Chunk {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t filled = 0;
  };
  void set_state(State state);

  const std::size_t chunk_bytes_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  State state_ = State::open;
  std::vector<Chunk> chunks_;  // a ring: the reader holds the one before read_
  std::size_t written_ = 0;    // chunks pushed so far
  std::size_t read_ = 0;       // chunks handed to the reader so far
  std::size_t released_ = 0;   // chunks the reader is done with
};

}  // namespace mlctr::squashfs
