#include "squashfs/extent_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/filesystem_type.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_copied_bytes = 64u << 20;
constexpr unsigned k_max_threads = 4;  // more only wait for the same servers

// Only one at a time writes to a file of these; the others would spin until it is done.
bool has_one_writer(int file) {
  const std::string type = filesystem_type(fmt::format("/proc/self/fd/{}", file));
  return std::ranges::any_of(std::array{"tmpfs", "ext4", "xfs", "btrfs"}, [&](const char* one) { return type == one; });
}

struct Piece {
  const ExtentSource* source;
  Extent extent;
};

std::vector<Piece> cut(const std::vector<ExtentSource>& sources) {
  std::vector<Piece> pieces;
  for (const ExtentSource& source : sources) {
    const std::uint64_t file_end = file_size(source.file, source.name.string());
    const std::uint64_t end = file_end - std::min(file_end, source.offset);
    for (const Extent& extent : source.extents) {
      // The last page of a file need not be whole.
      const std::uint64_t there = std::min(extent.size, end - std::min(end, extent.from));
      for (std::uint64_t done = 0; done < there; done += k_copied_bytes) {
        const std::uint64_t size = std::min(k_copied_bytes, there - done);
        pieces.push_back({&source, {extent.from + done, size, extent.to + done}});
      }
    }
  }
  return pieces;
}

class Copier {
 public:
  Copier(std::vector<Piece> pieces, int output, std::stop_token stop, ProgressItem* progress)
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

  void copy(const Piece& piece) {
    if (stop_.stop_requested()) throw Cancelled();
    copy_range(piece.source->file, piece.source->offset + piece.extent.from, output_, piece.extent.to,
               piece.extent.size, "the image from " + piece.source->name.string());
    if (progress_ != nullptr) progress_->converted_bytes += piece.extent.size;
  }

  std::vector<Piece> pieces_;
  int output_;
  std::stop_token stop_;
  ProgressItem* progress_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::exception_ptr failure_;
};

}  // namespace

void copy_extents(const std::vector<ExtentSource>& sources, int output, std::stop_token stop, ProgressItem* progress) {
  Copier(cut(sources), output, std::move(stop), progress).run();
}

}  // namespace mlctr::squashfs
