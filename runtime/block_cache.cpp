#include "runtime/block_cache.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace mlctr::runtime {

namespace {

// The kernel has a limit of mappings (65530), which a cache full of small blocks would reach; malloc has their pages.
constexpr std::size_t k_mapped_from_bytes = 32768;

}  // namespace

PresentMemory::PresentMemory(std::size_t size_bytes) : size_bytes_(size_bytes) {
  void* const data = size_bytes < k_mapped_from_bytes ? std::malloc(std::max<std::size_t>(size_bytes, 1))
                                                      : ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (data == nullptr || data == MAP_FAILED) throw std::bad_alloc();
  data_ = static_cast<std::byte*>(data);
}

PresentMemory::~PresentMemory() {
  if (size_bytes_ < k_mapped_from_bytes) {
    std::free(data_);
  } else {
    ::munmap(data_, size_bytes_);
  }
}

PresentMemory SpareBuffers::take(std::size_t size_bytes) {
  {
    const std::lock_guard lock(mutex_);
    const auto fitting = std::ranges::find_if(spares_, [&](const PresentMemory& spare) {
      return spare.data() != nullptr && spare.size_bytes() == size_bytes;
    });
    if (fitting != spares_.end()) return std::move(*fitting);
  }
  return PresentMemory(size_bytes);
}

void SpareBuffers::give(PresentMemory buffer) noexcept {
  const std::lock_guard lock(mutex_);
  const auto room = std::ranges::find(spares_, nullptr, &PresentMemory::data);
  if (room != spares_.end()) *room = std::move(buffer);
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
