#include "cli/progress_line.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/figures.hpp"
#include "cli/text_width.hpp"

namespace mlctr::cli {
namespace {

std::size_t count(const ProgressSnapshot& snapshot, Activity activity) {
  return static_cast<std::size_t>(std::count_if(snapshot.items.begin(), snapshot.items.end(),
                                                [=](const ItemSnapshot& item) { return item.activity == activity; }));
}

std::string layers(std::size_t number) {
  return fmt::format("{} layer{}", number, number == 1 ? "" : "s");
}

// The bytes that are there, and how fast the rest comes.
std::string course(const ItemSnapshot& item, std::uint64_t bytes) {
  std::string text = format_bytes_of(bytes, item.total_bytes);
  if (item.rate) text += ", " + format_rate(*item.rate);
  if (item.time_left) text += fmt::format(", {} left", format_rough_duration(*item.time_left));
  return text;
}

std::string writing(const ProgressSnapshot& snapshot) {
  const auto image = std::find_if(snapshot.items.begin(), snapshot.items.end(),
                                  [](const ItemSnapshot& item) { return item.activity == Activity::writing; });
  return image->total_bytes == 0 ? "writing the image" : "writing the image, " + course(*image, image->converted_bytes);
}

}  // namespace

std::string start_line(const ProgressSnapshot& snapshot) {
  const bool is_push = snapshot.direction == Direction::push;
  std::string text = (is_push ? "pushing " : "") + layers(snapshot.layers);
  const std::uint64_t bytes = snapshot.total.total_bytes;
  // How large a layer gets is known when it has been compressed.
  if (bytes > 0 && is_push) text += fmt::format(", about {} to send", format_bytes(bytes));
  if (bytes > 0 && !is_push) text += fmt::format(", {} to fetch", format_bytes(bytes));
  if (snapshot.layers_reused > 0) {
    text += fmt::format(", {} already {}", snapshot.layers_reused, is_push ? "there" : "here");
  }
  return text;
}

std::string progress_line(const ProgressSnapshot& snapshot) {
  if (snapshot.items.empty()) return "looking up the image";
  if (count(snapshot, Activity::writing) > 0) return writing(snapshot);
  std::string text = fmt::format("{}/{}", snapshot.layers_done, layers(snapshot.layers));
  const ItemSnapshot& total = snapshot.total;
  const bool is_loading = total.activity == Activity::downloading;
  if (total.total_bytes > 0) {
    text += is_loading ? ", " : ", converting ";
    text += course(total, is_loading ? total.downloaded_bytes : total.converted_bytes);
  }
  const std::size_t elsewhere = count(snapshot, Activity::waiting_for_other);
  if (elsewhere > 0) text += fmt::format(", {} fetched by another mlctr", layers(elsewhere));
  return text;
}

StyledLine render_opening(const std::string& doing, std::chrono::steady_clock::duration waited,
                          const FrameStyle& style) {
  std::string text = doing;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited);
  if (seconds.count() >= 2) text += fmt::format(" ({})", format_rough_duration(seconds));
  StyledLine line(style.colour);
  line.add(cut_to_width(text, std::max(style.size.columns, 2u) - 1), Style::dim);
  return line;
}

}  // namespace mlctr::cli
