#include "runtime/block_cache.hpp"

#include <algorithm>

namespace mlctr::runtime {

SpareBuffers::Buffer SpareBuffers::take(std::size_t size_bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto fitting = std::ranges::find_if(
        spares_, [&](const auto& spare) { return spare.first != nullptr && spare.second == size_bytes; });
    if (fitting != spares_.end()) return std::move(fitting->first);
  }
  return std::make_unique_for_overwrite<std::byte[]>(size_bytes);
}

void SpareBuffers::give(Buffer buffer, std::size_t size_bytes) noexcept {
  const std::lock_guard lock(mutex_);
  const auto room = std::ranges::find_if(spares_, [](const auto& spare) { return spare.first == nullptr; });
  if (room != spares_.end()) *room = {std::move(buffer), size_bytes};
}

struct BlockCache::Entry {
  BlockKey key;
  Block block = nullptr;                 // while it is being loaded
  std::exception_ptr failure = nullptr;  // of the one attempt this entry stands for
  unsigned waiting = 0;
};

BlockCache::Block BlockCache::get(const BlockKey& key, const Load& load) {
  std::unique_lock lock(mutex_);
  if (const auto place = places_.find(key); place != places_.end()) {
    entries_.splice(entries_.begin(), entries_, place->second);
    return wait_for(lock, std::shared_ptr(entries_.front()));
  }
  const auto entry = std::make_shared<Entry>(Entry{.key = key});
  entries_.push_front(entry);
  try {
    places_.emplace(key, entries_.begin());
  } catch (...) {
    entries_.pop_front();
    throw;
  }
  lock.unlock();
  try {
    const Block block = fill(key, load);
    lock.lock();
    keep(*entry, block);
    return block;
  } catch (...) {
    lock.lock();
    forget(*entry, std::current_exception());
    throw;
  }
}

BlockCache::Block BlockCache::wait_for(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Entry>& entry) {
  ++entry->waiting;
  loaded_.wait(lock, [&] { return entry->block || entry->failure; });
  --entry->waiting;
  if (entry->failure) std::rethrow_exception(entry->failure);
  return entry->block;
}

BlockCache::Block BlockCache::fill(const BlockKey& key, const Load& load) const {
  const auto block = std::make_shared<DataBlock>(spares_, key.capacity_bytes);
  block->set_size(load(block->room()));
  return block;
}

void BlockCache::keep(Entry& entry, const Block& block) {
  entry.block = block;
  held_bytes_ += entry.key.capacity_bytes;
  if (entry.waiting > 0) loaded_.notify_all();
  evict();
}

void BlockCache::forget(Entry& entry, std::exception_ptr failure) {
  entry.failure = std::move(failure);
  if (entry.waiting > 0) loaded_.notify_all();
  const auto place = places_.find(entry.key);
  entries_.erase(place->second);
  places_.erase(place);
}

bool BlockCache::has(const BlockKey& key) const {
  const std::lock_guard lock(mutex_);
  return places_.contains(key);
}

void BlockCache::evict() {
  for (auto oldest = entries_.end(); held_bytes_ > max_bytes_ && oldest != entries_.begin();) {
    --oldest;
    Entry& entry = **oldest;
    if (!entry.block) continue;  // whoever loads it will count it
    held_bytes_ -= entry.key.capacity_bytes;
    places_.erase(entry.key);
    oldest = entries_.erase(oldest);
  }
}

}  // namespace mlctr::runtime
