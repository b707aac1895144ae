// Uncompressed data and fragment blocks, shared by all who read. Thread-safe.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>

namespace mlctr::runtime {

/// Memory that is all there from the start: page by page, on its first use, it costs a good part of what uncompressing
/// into it does, and in a virtual machine without nested paging several times that.
class PresentMemory {
 public:
  PresentMemory() = default;
  /// Its bytes are not set to anything.
  explicit PresentMemory(std::size_t size_bytes);
  PresentMemory(PresentMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  PresentMemory& operator=(PresentMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }
  ~PresentMemory();

  std::byte* data() const noexcept { return data_; }
  std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

/// The last few buffers that were given back. Without it a file that is read in order has each block's memory made by
/// the kernel, and zeroed: a tenth of the time.
class SpareBuffers {
 public:
  /// Its bytes are not set to anything.
  PresentMemory take(std::size_t size_bytes);
  void give(PresentMemory buffer) noexcept;

 private:
  static constexpr std::size_t k_spares = 4;

  std::mutex mutex_;
  std::array<PresentMemory, k_spares> spares_;
};

/// The content of a block, as long as anybody needs it.
class DataBlock {
 public:
  DataBlock(std::shared_ptr<SpareBuffers> spares, std::size_t capacity_bytes)
      : spares_(std::move(spares)), buffer_(spares_->take(capacity_bytes)) {}
  DataBlock(const DataBlock&) = delete;
  DataBlock& operator=(const DataBlock&) = delete;
  ~DataBlock() { spares_->give(std::move(buffer_)); }

  std::span<std::byte> room() noexcept { return {buffer_.data(), buffer_.size_bytes()}; }
  void set_size(std::size_t size_bytes) noexcept { size_bytes_ = size_bytes; }
  std::span<const std::byte> bytes() const noexcept { return {buffer_.data(), size_bytes_}; }

 private:
  std::shared_ptr<SpareBuffers> spares_;
  PresentMemory buffer_;
  std::size_t size_bytes_ = 0;
};

/// What is stored where: an image may claim the same bytes as two different blocks.
struct BlockKey {
  std::uint64_t start = 0;
  std::uint32_t word = 0;
  std::uint32_t capacity_bytes = 0;  ///< how much it can be at most, uncompressed

  bool operator==(const BlockKey&) const = default;
};

struct BlockKeyHash {
  std::size_t operator()(const BlockKey& key) const noexcept { return std::hash<std::uint64_t>()(key.start); }
};

/// Keeps the blocks used last, up to a number of bytes; who holds a block keeps it alive beyond that.
class BlockCache {
 public:
  using Block = std::shared_ptr<const DataBlock>;
  /// Fills the block, of capacity_bytes, and says how many bytes it has.
  using Load = std::function<std::size_t(std::span<std::byte> into)>;

  explicit BlockCache(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Calls `load` (outside of any lock) where the block is not there. Who asks for it meanwhile waits, and gets the
  /// same block or the same exception; the next one to ask after a failure tries again.
  Block get(const BlockKey& key, const Load& load);

  /// Whether get() would not load: it is there, or somebody is at it.
  bool has(const BlockKey& key) const;

 private:
  struct Entry;
  using Entries = std::list<std::shared_ptr<Entry>>;  // front: used last

  Block wait_for(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Entry>& entry);
  Block fill(const BlockKey& key, const Load& load) const;
  void keep(Entry& entry, const Block& block);
  void forget(Entry& entry, std::exception_ptr failure);
  void evict();

  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::size_t max_bytes_;
  std::size_t held_bytes_ = 0;
  Entries entries_;
  std::unordered_map<BlockKey, Entries::iterator, BlockKeyHash> places_;
  std::shared_ptr<SpareBuffers> spares_ = std::make_shared<SpareBuffers>();
};

}  // namespace mlctr::runtime
