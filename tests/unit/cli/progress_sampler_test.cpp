#include "cli/progress_sampler.hpp"

#include <doctest/doctest.h>

#include "cli/progress_line.hpp"

using namespace mlctr;
using namespace mlctr::cli;
using namespace std::chrono_literals;

namespace {

constexpr RateMeter::Clock::time_point k_start{};

}  // namespace

TEST_CASE("the rate is of the last seconds, not of the whole time") {
  RateMeter meter;
  CHECK(!meter.bytes_per_second());
  for (int second = 0; second <= 10; ++second) meter.update(k_start + second * 1s, second * 100u);
  CHECK(*meter.bytes_per_second() == doctest::Approx(100));
  for (int second = 11; second <= 20; ++second) meter.update(k_start + second * 1s, 1000);
  CHECK(*meter.bytes_per_second() == doctest::Approx(0));
}

TEST_CASE("a counter that starts anew gives no negative rate") {
  RateMeter meter;
  meter.update(k_start, 1000);
  meter.update(k_start + 1s, 0);
  CHECK(!meter.bytes_per_second());
  meter.update(k_start + 2s, 500);
  CHECK(*meter.bytes_per_second() == doctest::Approx(500));
}

TEST_CASE("what an earlier pull left counts as there, but not as speed") {
  ProgressBoard board;
  const auto item = board.add("0123456789ab", 10'000'000);
  item->phase = Phase::downloading;
  ProgressSampler sampler;
  sampler.sample(board, k_start);
  item->resumed_bytes = 6'000'000;
  item->downloaded_bytes = 6'000'000;
  sampler.sample(board, k_start + 1s);
  item->downloaded_bytes = 8'000'000;
  const ProgressSnapshot snapshot = sampler.sample(board, k_start + 2s);
  CHECK(snapshot.total.downloaded_bytes == 8'000'000);
  CHECK(*snapshot.total.rate == doctest::Approx(1e6));
  CHECK(snapshot.total.time_left->count() == doctest::Approx(2));
}

TEST_CASE("the slower of download and conversion decides what is left") {
  ProgressBoard board;
  const auto item = board.add("layer", 10'000'000);
  item->phase = Phase::downloading;
  ProgressSampler sampler;
  sampler.sample(board, k_start);
  item->downloaded_bytes = 8'000'000;
  item->converted_bytes = 2'000'000;
  const ProgressSnapshot snapshot = sampler.sample(board, k_start + 1s);
  CHECK(snapshot.items[0].time_left->count() == doctest::Approx(4));
}

TEST_CASE("counters that run ahead of their total never show more than all") {
  ProgressBoard board;
  const auto item = board.add("layer", 100);
  item->phase = Phase::downloading;
  item->downloaded_bytes = 150;
  ProgressSampler sampler;
  const ProgressSnapshot snapshot = sampler.sample(board, k_start);
  CHECK(snapshot.items[0].downloaded_bytes == 100);
  CHECK(snapshot.items[0].activity == Activity::converting);
}

TEST_CASE("reused layers count as done, others' layers and the image not as ours to fetch") {
  ProgressBoard board;
  board.add("a", 100)->phase = Phase::cached;
  board.add("b", 200)->phase = Phase::waiting_for_other;
  board.add("c", 400)->phase = Phase::done;
  board.add("image", 5'000, ProgressKind::image)->phase = Phase::merging;
  ProgressSampler sampler;
  const ProgressSnapshot snapshot = sampler.sample(board, k_start);
  CHECK(snapshot.layers == 3);
  CHECK(snapshot.layers_done == 2);
  CHECK(snapshot.layers_reused == 1);
  CHECK(snapshot.total.total_bytes == 400);
  CHECK(snapshot.items[3].activity == Activity::writing);
}

TEST_CASE("what comes from a file on this machine is downloaded as fast as it is converted") {
  ProgressBoard board;
  const auto item = board.add("layer", 100);
  item->phase = Phase::converting;
  item->converted_bytes = 60;
  ProgressSampler sampler;
  CHECK(sampler.sample(board, k_start).items[0].downloaded_bytes == 60);
}

TEST_CASE("labels can't control the terminal") {
  ProgressBoard board;
  board.add("\x1b[2Jevil", 1);
  ProgressSampler sampler;
  CHECK(sampler.sample(board, k_start).items[0].label.find('\x1b') == std::string::npos);
}

TEST_CASE("plain lines say what a log needs") {
  ProgressBoard board;
  ProgressSampler sampler;
  CHECK(progress_line(sampler.sample(board, k_start)) == "looking up the image");
  board.add("a", 31'000'000)->phase = Phase::cached;
  const auto item = board.add("b", 200'000'000);
  item->phase = Phase::downloading;
  CHECK(start_line(sampler.sample(board, k_start)) == "2 layers, 200 MB to fetch, 1 already here");
  item->downloaded_bytes = 98'000'000;
  CHECK(progress_line(sampler.sample(board, k_start + 1s)) == "1/2 layers, 98/200 MB, 98 MB/s, 2 s left");
  item->downloaded_bytes = 200'000'000;
  item->converted_bytes = 150'000'000;
  CHECK(progress_line(sampler.sample(board, k_start + 2s)).starts_with("1/2 layers, converting 150/200 MB"));
}
