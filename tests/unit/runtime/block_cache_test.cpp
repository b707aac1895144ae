#include "runtime/block_cache.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace mlctr::runtime {
namespace {

constexpr std::uint32_t k_size = 1000;

BlockKey key(std::uint64_t start) {
  return {.start = start, .word = 7, .capacity_bytes = k_size};
}

// Loads blocks whose first byte says which load they came from.
class CountedLoads {
 public:
  BlockCache::Load load() {
    return [this](std::span<std::byte> into) {
      into[0] = static_cast<std::byte>(++count_);
      return into.size();
    };
  }
  int count() const { return count_; }

 private:
  std::atomic<int> count_ = 0;
};

// A load that waits to be let go, so that others can meet it under way.
class HeldLoad {
 public:
  BlockCache::Load load() {
    return [this](std::span<std::byte> into) {
      ++count_;
      begun_.set_value();
      let_go_.get_future().wait();
      if (fails_) throw std::runtime_error("broken");
      return into.size();
    };
  }
  void wait_until_begun() { begun_.get_future().wait(); }
  void finish() { let_go_.set_value(); }
  void fail() {
    fails_ = true;
    let_go_.set_value();
  }
  int count() const { return count_; }

 private:
  std::promise<void> begun_;
  std::promise<void> let_go_;
  std::atomic<bool> fails_ = false;
  std::atomic<int> count_ = 0;
};

BlockCache::Load never() {
  return [](std::span<std::byte>) -> std::size_t { throw std::logic_error("loaded twice"); };
}

}  // namespace

TEST_CASE("a block is loaded once, and again only after others took its place") {
  BlockCache cache(3 * k_size);
  CountedLoads loads;
  const BlockCache::Block first = cache.get(key(1), loads.load());
  CHECK(cache.get(key(1), never()) == first);
  cache.get(key(2), loads.load());
  cache.get(key(3), loads.load());
  cache.get(key(1), never());  // so that 2 is the oldest
  cache.get(key(4), loads.load());
  CHECK(cache.has(key(1)));
  CHECK_FALSE(cache.has(key(2)));
  CHECK(cache.has(key(3)));
  CHECK(cache.has(key(4)));
  cache.get(key(2), loads.load());
  CHECK(loads.count() == 5);
}

TEST_CASE("blocks that are claimed to differ do, even where they lie in one place") {
  BlockCache cache(10 * k_size);
  CountedLoads loads;
  const BlockKey claims[] = {{1, 7, k_size}, {1, 8, k_size}, {1, 7, k_size / 2}};
  for (const BlockKey& claim : claims) cache.get(claim, loads.load());
  CHECK(loads.count() == 3);
}

TEST_CASE("a block may turn out shorter than it could be") {
  BlockCache cache(10 * k_size);
  CHECK(cache.get(key(1), [](std::span<std::byte>) { return std::size_t{3}; })->bytes().size() == 3);
}

TEST_CASE("whoever holds a block keeps it, in the cache or not") {
  BlockCache cache(0);
  CountedLoads loads;
  const BlockCache::Block held = cache.get(key(1), loads.load());
  cache.get(key(2), loads.load());
  CHECK_FALSE(cache.has(key(1)));
  CHECK(held->bytes()[0] == std::byte{1});
}

TEST_CASE("a failure reaches who asked, and the next one tries again") {
  BlockCache cache(10 * k_size);
  CHECK_THROWS_AS(cache.get(key(1), never()), std::logic_error);
  CHECK_FALSE(cache.has(key(1)));
  CountedLoads loads;
  cache.get(key(1), loads.load());
  CHECK(loads.count() == 1);
}

TEST_CASE("who asks for a block under way waits for it, while others load other blocks") {
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    BlockCache cache(10 * k_size);
    HeldLoad held;
    auto ask = [&](const BlockCache::Load& load) {
      return std::async(std::launch::async, [&cache, load] { return cache.get(key(1), load); });
    };
    auto first = ask(held.load());
    held.wait_until_begun();
    CHECK(cache.has(key(1)));
    // Were the second to load, the promise in HeldLoad would throw future_error.
    auto second = ask(held.load());
    CountedLoads loads;
    cache.get(key(2), loads.load());
    CHECK(loads.count() == 1);
    if (fails) {
      held.fail();
      CHECK_THROWS_AS(first.get(), std::runtime_error);
      // It waited for the first one's failure, or came after it and met its own: never a block.
      CHECK_THROWS(second.get());
    } else {
      held.finish();
      const BlockCache::Block block = first.get();
      CHECK(second.get() == block);
      CHECK(held.count() == 1);
    }
  }
}

TEST_CASE("many threads that read more than fits always get the block they asked for") {
  BlockCache cache(8 * k_size);
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (unsigned seed = 1; seed <= 8; ++seed) {
    threads.emplace_back([&, seed] {
      unsigned random = seed;
      for (int i = 0; i < 5000; ++i) {
        random = random * 1664525u + 1013904223u;
        const std::uint64_t wanted = (random >> 16) % 32;
        const BlockCache::Block block = cache.get(key(wanted), [&](std::span<std::byte> into) {
          into.back() = static_cast<std::byte>(wanted);
          return into.size();
        });
        if (block->bytes().back() != static_cast<std::byte>(wanted)) ++wrong;
      }
    });
  }
  threads.clear();
  CHECK(wrong == 0);
}

}  // namespace mlctr::runtime
