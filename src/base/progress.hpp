// What a long action tells whoever watches it. Workers write plain atomics from any thread; a display samples them at
// its own pace, so watching costs the work nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace mlctr {

enum class Phase { waiting, waiting_for_other, downloading, converting, merging, done, cached };

/// What a line of progress is about: one of the parts that are fetched, or the whole that is made of them.
enum class ProgressKind { layer, image };

/// One line of progress: a layer, the merge of an image, the hash of a file.
class ProgressItem {
 public:
  ProgressItem(std::string label, std::uint64_t total_bytes, ProgressKind kind = ProgressKind::layer)
      : kind_(kind), label_(std::move(label)), total_bytes_(total_bytes) {}

  ProgressKind kind() const noexcept { return kind_; }
  const std::string& label() const noexcept { return label_; }
  std::uint64_t total_bytes() const noexcept { return total_bytes_; }  ///< of the compressed blob; 0 when unknown

  std::atomic<std::uint64_t> downloaded_bytes{0};  ///< of the compressed blob, resumed bytes included
  std::atomic<std::uint64_t> resumed_bytes{0};     ///< of those, what an earlier run left (not part of the rate)
  std::atomic<std::uint64_t> converted_bytes{0};   ///< of the compressed blob, as the conversion has consumed them
  std::atomic<Phase> phase{Phase::waiting};

 private:
  ProgressKind kind_;
  std::string label_;
  std::uint64_t total_bytes_;
};

class ProgressBoard {
 public:
  std::shared_ptr<ProgressItem> add(std::string label, std::uint64_t total_bytes,
                                    ProgressKind kind = ProgressKind::layer);

  /// A line worth reading once ("retrying in 4 s: HTTP 429"); never a credential.
  void note(std::string text);

  std::vector<std::shared_ptr<ProgressItem>> items() const;
  /// The notes since the last call.
  std::vector<std::string> take_notes();

 private:
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<ProgressItem>> items_;
  std::vector<std::string> notes_;
};

}  // namespace mlctr
