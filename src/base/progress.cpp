#include "base/progress.hpp"

#include <utility>

namespace mlctr {

std::shared_ptr<ProgressItem> ProgressBoard::add(std::string label, std::uint64_t total_bytes, ProgressKind kind) {
  auto item = std::make_shared<ProgressItem>(std::move(label), total_bytes, kind);
  const std::lock_guard lock(mutex_);
  items_.push_back(item);
  return item;
}

void ProgressBoard::note(std::string text) {
  const std::lock_guard lock(mutex_);
  notes_.push_back(std::move(text));
}

std::vector<std::shared_ptr<ProgressItem>> ProgressBoard::items() const {
  const std::lock_guard lock(mutex_);
  return items_;
}

std::vector<std::string> ProgressBoard::take_notes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(notes_, {});
}

}  // namespace mlctr
