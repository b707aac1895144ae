#include "squashfs/extent_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <span>
#include <thread>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/filesystem_type.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_copied_bytes = 64u << 20;
constexpr std::size_t k_first_bytes = 4;
constexpr std::uint64_t k_streamed_bytes = 1u << 20;
constexpr unsigned k_max_threads = 4;  // more only wait for the same servers

// Only one at a time writes to a file of these; the others would spin until it is done.
bool has_one_writer(int file) {
  const std::string type = filesystem_type(fmt::format("/proc/self/fd/{}", file));
  return std::ranges::any_of(std::array{"tmpfs", "ext4", "xfs", "btrfs"}, [&](const char* one) { return type == one; });
}

std::vector<PlacedPart> cut(const std::vector<PlacedPart>& parts) {
  std::vector<PlacedPart> pieces;
  for (const PlacedPart& whole : parts) {
    for (std::uint64_t done = 0; done < whole.part.size; done += k_copied_bytes) {
      PlacedPart& piece = pieces.emplace_back(whole);
      piece.part.at += done;
      piece.part.size = std::min(k_copied_bytes, whole.part.size - done);
      piece.to += done;
    }
  }
  return pieces;
}

class Copier {
 public:
  Copier(std::vector<PlacedPart> pieces, int output, std::stop_token stop, ProgressItem* progress)
      : pieces_(std::move(pieces)), output_(output), stop_(std::move(stop)), progress_(progress) {}

  void run() {
    const unsigned threads =
        has_one_writer(output_) ? 1 : std::clamp(std::thread::hardware_concurrency(), 1u, k_max_threads);
    {
      std::vector<std::jthread> others;
      for (std::size_t i = 1; i < std::min<std::size_t>(threads, pieces_.size()); ++i) {
        others.emplace_back([this] { work(); });
      }
      work();
    }
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void work() noexcept {
    try {
      for (std::size_t i = next_++; i < pieces_.size(); i = next_++) copy(pieces_[i]);
    } catch (...) {
      next_ = pieces_.size();
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }

  void copy(const PlacedPart& piece) {
    if (stop_.stop_requested()) throw Cancelled();
    copy_range(piece.part.file, piece.part.at, output_, piece.to, piece.part.size,
               "the image from " + piece.layer.string());
    if (progress_ != nullptr) progress_->converted_bytes += piece.part.size;
  }

  std::vector<PlacedPart> pieces_;
  int output_;
  std::stop_token stop_;
  ProgressItem* progress_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void copy_parts(const std::vector<PlacedPart>& parts, int output, std::stop_token stop, ProgressItem* progress) {
  Copier(cut(parts), output, std::move(stop), progress).run();
}

void copy_image(const ImageFile& image, int output, std::stop_token stop, ProgressItem* progress) {
  std::vector<PlacedPart> parts;
  std::uint64_t to = 0;
  for (const ImagePart& part : image.parts(0, image.size())) {
    parts.push_back({part, to, image.name()});
    to += part.size;
  }
  copy_parts(parts, output, std::move(stop), progress);
  // The file of one in pieces begins with other bytes.
  std::array<std::byte, k_first_bytes> bytes;
  const auto first = std::span(bytes).first(std::min<std::uint64_t>(bytes.size(), image.size()));
  image.read(0, first);
  write_all_at(output, first, 0, image.name());
}

void stream_image(const ImageFile& image, const ByteSink& sink, const std::stop_token& stop) {
  std::vector<std::byte> part;
  for (std::uint64_t done = 0; done < image.size(); done += part.size()) {
    if (stop.stop_requested()) throw Cancelled();
    part.resize(std::min(k_streamed_bytes, image.size() - done));
    image.read(done, part);
    sink(part);
  }
}

}  // namespace mlctr::squashfs
