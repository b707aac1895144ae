#include "runtime/block_cache.hpp"

#include <exception>
#include <utility>

namespace mlctr::runtime {

struct BlockCache::Entry {
  BlockKey key;
  Block block;                 // null while it is being loaded
  std::exception_ptr failure;  // of the one attempt this entry stands for
};

BlockCache::Block BlockCache::get(const BlockKey& key, const Load& load) {
  std::unique_lock lock(mutex_);
  if (const auto place = places_.find(key); place != places_.end()) {
    entries_.splice(entries_.begin(), entries_, place->second);
    return wait_for(lock, std::shared_ptr(entries_.front()));
  }
  const auto entry = std::make_shared<Entry>(Entry{.key = key, .block = nullptr, .failure = nullptr});
  entries_.push_front(entry);
  const auto here = entries_.begin();
  try {
    places_.emplace(key, here);
  } catch (...) {
    entries_.erase(here);
    throw;
  }
  lock.unlock();
  Block block;
  std::exception_ptr failure;
  try {
    block = std::make_shared<const DataBlock>(load());
  } catch (...) {
    failure = std::current_exception();
  }
  lock.lock();
  if (failure) {
    entry->failure = failure;
    places_.erase(key);
    entries_.erase(here);
  } else {
    entry->block = block;
    held_bytes_ += key.capacity_bytes;
    evict();
  }
  loaded_.notify_all();
  if (failure) std::rethrow_exception(failure);
  return block;
}

BlockCache::Block BlockCache::wait_for(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Entry>& entry) {
  loaded_.wait(lock, [&] { return entry->block || entry->failure; });
  if (entry->failure) std::rethrow_exception(entry->failure);
  return entry->block;
}

bool BlockCache::has(const BlockKey& key) const {
  const std::lock_guard lock(mutex_);
  return places_.contains(key);
}

void BlockCache::evict() {
  for (auto oldest = entries_.end(); held_bytes_ > max_bytes_ && oldest != entries_.begin();) {
    --oldest;
    if (!(*oldest)->block) continue;  // whoever loads it will count it
    held_bytes_ -= (*oldest)->key.capacity_bytes;
    places_.erase((*oldest)->key);
    oldest = entries_.erase(oldest);
  }
}

}  // namespace mlctr::runtime
