// Uncompressed data and fragment blocks, shared by all who read. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

namespace mlctr::runtime {

/// Immutable once it is in the cache.
class DataBlock {
 public:
  /// `size_bytes` that are not set to anything yet.
  explicit DataBlock(std::size_t size_bytes)
      : bytes_(std::make_unique_for_overwrite<std::byte[]>(size_bytes)), size_bytes_(size_bytes) {}

  std::span<std::byte> bytes() noexcept { return {bytes_.get(), size_bytes_}; }
  std::span<const std::byte> bytes() const noexcept { return {bytes_.get(), size_bytes_}; }
  /// A fragment block's content is known to be shorter only once it is there.
  void shrink(std::size_t size_bytes) noexcept { size_bytes_ = size_bytes; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_bytes_;
};

/// What is stored where: an image may claim the same bytes as two different blocks.
struct BlockKey {
  std::uint64_t start = 0;
  std::uint32_t word = 0;
  std::uint32_t capacity_bytes = 0;

  bool operator==(const BlockKey&) const = default;
};

struct BlockKeyHash {
  std::size_t operator()(const BlockKey& key) const noexcept { return std::hash<std::uint64_t>()(key.start); }
};

/// Keeps the blocks used last, up to a number of bytes; who holds a block keeps it alive beyond that.
class BlockCache {
 public:
  using Block = std::shared_ptr<const DataBlock>;
  using Load = std::function<DataBlock()>;

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
  void evict();

  mutable std::mutex mutex_;
  std::condition_variable loaded_;
  std::size_t max_bytes_;
  std::size_t held_bytes_ = 0;
  Entries entries_;
  std::unordered_map<BlockKey, Entries::iterator, BlockKeyHash> places_;
};

}  // namespace mlctr::runtime
