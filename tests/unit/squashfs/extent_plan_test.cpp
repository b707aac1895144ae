#include "squashfs/extent_plan.hpp"

#include <doctest/doctest.h>

#include "../thrown.hpp"

using namespace mlctr;
using namespace mlctr::squashfs;
using namespace mlctr::test;

TEST_CASE("near ranges become one extent of whole pages, far ones stay apart") {
  ExtentPlan plan;
  plan.need(50'000'000, 10);
  plan.need(5000, 100);
  plan.need(8000, 1000);
  plan.need(900'000, 1);
  plan.need(70, 0);
  const std::uint64_t end = plan.place(4096);
  REQUIRE(plan.extents().size() == 2);
  CHECK(plan.extents()[0].from == 4096);
  CHECK(plan.extents()[0].size == 901'120 - 4096);
  CHECK(plan.extents()[0].to == 4096);
  CHECK(plan.extents()[1].from == 49'999'872);
  CHECK(plan.extents()[1].size == 4096);
  CHECK(plan.extents()[1].to == 901'120);
  CHECK(end == 905'216);
  CHECK(plan.moved(5000) == 5000);
  CHECK(plan.moved(50'000'000) == 901'120 + 128);
}

TEST_CASE("what was not needed has no place") {
  ExtentPlan nothing;
  CHECK(nothing.place(4096) == 4096);
  CHECK(contains(thrown_by([&] { nothing.moved(5000); }).message, "no place"));
  ExtentPlan plan;
  plan.need(8192, 1);
  plan.place(4096);
  for (const std::uint64_t start : {8191u, 12'288u}) CHECK_THROWS_AS(plan.moved(start), Error);
}
