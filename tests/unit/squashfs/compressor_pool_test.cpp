#include "squashfs/compressor_pool.hpp"

#include <doctest/doctest.h>

#include <latch>

#include "tests/unit/no_more_threads.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

TEST_CASE("a pool without a single thread is an error that names the limits") {
  const NoMoreThreads limit;
  const Thrown thrown = thrown_by([] { squashfs::CompressorPool(4, 1); });
  CHECK(contains(thrown.message, "cannot start a thread to compress with"));
  CHECK(contains(thrown.hint, "ulimit"));
}

TEST_CASE("all threads of a pool take tasks at once") {
  squashfs::CompressorPool pool(3, 1);
  CHECK(pool.threads() == 3);
  std::latch all_at_work(4);
  for (int i = 0; i < 3; ++i) pool.submit([&](squashfs::BlockCompressor&) { all_at_work.arrive_and_wait(); });
  all_at_work.arrive_and_wait();
}
