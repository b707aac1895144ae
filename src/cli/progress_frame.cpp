#include "cli/progress_frame.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cli/figures.hpp"
#include "cli/text_width.hpp"

namespace mlctr::cli {
namespace {

// Columns of the parts of a line; a part includes the space before it.
constexpr std::size_t k_label = 12;
constexpr std::size_t k_state = 13;
constexpr std::size_t k_percent = 5;
constexpr std::size_t k_amounts = 16;  // " 12.34/256.00 GB"
constexpr std::size_t k_rate = 10;     // " 98.1 MB/s"
constexpr std::size_t k_time = 7;      // " 12h05m"
constexpr std::size_t k_bar_least = 9;
constexpr std::size_t k_bar_most = 41;

// Frames of many layers stay this small: a screen full of lines shows less than a few that matter.
constexpr std::size_t k_most_items = 12;

/// Which parts a line of this terminal has room for; all lines of a frame share them, so that they form columns.
struct Parts {
  std::size_t bar = 0;  // columns, 0: none
  bool has_percent = false, has_amounts = false, has_rate = false, has_time = false;
};

Parts choose_parts(std::size_t columns) {
  Parts parts;
  std::size_t left = columns > k_label + k_state ? columns - k_label - k_state : 0;
  const auto take = [&](std::size_t needed, std::size_t kept) {
    if (left < needed + kept) return false;
    left -= needed;
    return true;
  };
  // Amounts say all that a percentage does, so that is only for where they don't fit.
  parts.has_amounts = take(k_amounts, k_bar_least);
  if (!parts.has_amounts) parts.has_percent = take(k_percent, 0);
  parts.has_rate = take(k_rate, k_bar_least);
  parts.has_time = take(k_time, k_bar_least);
  if (left >= k_bar_least) parts.bar = std::min(left, k_bar_most);
  return parts;
}

struct BarGlyphs {
  std::string_view converted, downloaded, missing;
};

BarGlyphs bar_glyphs(Glyphs glyphs) {
  if (glyphs == Glyphs::unicode) return {"━", "─", "·"};
  return {"=", "-", "."};
}

std::string repeated(std::string_view glyph, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += glyph;
  return text;
}

std::size_t share(std::uint64_t part, std::uint64_t whole, std::size_t of) {
  return static_cast<std::size_t>(static_cast<double>(part) / static_cast<double>(whole) * static_cast<double>(of));
}

void add_bar(StyledLine& line, const ItemSnapshot& item, std::size_t columns, Glyphs glyphs) {
  const std::size_t length = columns - 1;
  const std::size_t converted = share(item.converted_bytes, item.total_bytes, length);
  const std::size_t downloaded = std::max(converted, share(item.downloaded_bytes, item.total_bytes, length));
  const BarGlyphs glyph = bar_glyphs(glyphs);
  line.add(" ")
      .add(repeated(glyph.converted, converted), Style::good)
      .add(repeated(glyph.downloaded, downloaded - converted), Style::active)
      .add(repeated(glyph.missing, length - downloaded), Style::dim);
}

// What the figures of a line count: bytes still to come, or, once all are there, bytes still to convert.
std::uint64_t counted_bytes(const ItemSnapshot& item) {
  return item.activity == Activity::downloading ? item.downloaded_bytes : item.converted_bytes;
}

void add_figures(StyledLine& line, const ItemSnapshot& item, const Parts& parts) {
  if (parts.has_percent) {
    line.add(
        fit_to_width(fmt::format("{}%", share(counted_bytes(item), item.total_bytes, 100)), k_percent, Align::right));
  }
  if (parts.has_amounts) {
    line.add(fit_to_width(format_bytes_of(counted_bytes(item), item.total_bytes), k_amounts, Align::right));
  }
  if (parts.has_rate) {
    line.add(fit_to_width(item.rate ? format_rate(*item.rate) : "", k_rate, Align::right), Style::bold);
  }
  if (parts.has_time) {
    line.add(fit_to_width(item.time_left ? format_rough_duration(*item.time_left) : "", k_time, Align::right));
  }
}

// Everything right of the state, for an item that is on its way.
void add_course(StyledLine& line, const ItemSnapshot& item, const Parts& parts, Glyphs glyphs) {
  if (item.total_bytes == 0) {  // a server that did not say: only what has come can be told
    line.add(" ").add(format_bytes(counted_bytes(item)));
    return;
  }
  if (parts.bar > 0) add_bar(line, item, parts.bar, glyphs);
  add_figures(line, item, parts);
}

struct State {
  std::string_view words;
  Style style;
};

State state_of(Activity activity, Direction direction) {
  const bool is_push = direction == Direction::push;
  switch (activity) {
    case Activity::waiting:
      return {"waiting", Style::dim};
    case Activity::waiting_for_other:
      return {"another mlctr fetches it", Style::dim};
    case Activity::downloading:
      return {is_push ? "sending" : "downloading", Style::active};
    case Activity::converting:
      return {"converting", Style::good};
    case Activity::writing:
      return {"writing", Style::good};
    case Activity::done:
      return {"done", Style::good};
    case Activity::reused:
      return {is_push ? "already there" : "already here", Style::good};
  }
  return {"", Style::plain};
}

bool is_at_work(Activity activity) {
  return activity == Activity::downloading || activity == Activity::converting || activity == Activity::writing;
}

StyledLine item_line(const ItemSnapshot& item, Direction direction, const Parts& parts, const FrameStyle& style) {
  const std::size_t columns = style.size.columns - 1;
  const State state = state_of(item.activity, direction);
  StyledLine line(style.colour);
  line.add(fit_to_width(item.label, std::min(k_label, columns)));
  if (is_at_work(item.activity)) {
    line.add(fit_to_width(fmt::format(" {}", state.words), std::min(k_state, columns - line.columns())), state.style);
    add_course(line, item, parts, style.glyphs);
    return line;
  }
  std::string rest = fmt::format(" {}", state.words);
  if (parts.has_amounts && item.total_bytes > 0) {  // where those at work have their figures
    rest =
        fit_to_width(rest, k_state + parts.bar) + fit_to_width(format_bytes(item.total_bytes), k_amounts, Align::right);
  }
  line.add(cut_to_width(rest, columns - line.columns()), state.style);
  return line;
}

StyledLine total_line(const ProgressSnapshot& snapshot, const Parts& parts, const FrameStyle& style) {
  const std::size_t columns = style.size.columns - 1;
  StyledLine line(style.colour);
  const std::string state = fmt::format("{}/{} done", snapshot.layers_done, snapshot.layers);
  line.add(cut_to_width(fit_to_width("total", k_label) + " " + fit_to_width(state, k_state - 1), columns), Style::bold);
  if (snapshot.total.total_bytes > 0 && columns >= k_label + k_state)
    add_course(line, snapshot.total, parts, style.glyphs);
  return line;
}

// Those that are not shown, counted: "+ 3 at work, 23 done, 28 waiting".
StyledLine rest_line(const ProgressSnapshot& snapshot, const std::vector<std::size_t>& shown, const FrameStyle& style) {
  std::size_t done = 0, waiting = 0, at_work = 0;
  for (std::size_t i = 0; i < snapshot.items.size(); ++i) {
    if (std::binary_search(shown.begin(), shown.end(), i)) continue;
    const Activity activity = snapshot.items[i].activity;
    if (is_at_work(activity))
      ++at_work;
    else if (activity == Activity::done || activity == Activity::reused)
      ++done;
    else
      ++waiting;
  }
  std::string text;
  const auto count = [&](std::size_t number, std::string_view what) {
    if (number > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, what);
  };
  count(at_work, "more at work");
  count(done, "more done");
  count(waiting, "more waiting");
  StyledLine line(style.colour);
  line.add(cut_to_width(std::string(k_label + 1, ' ') + text, style.size.columns - 1), Style::dim);
  return line;
}

int interest(Activity activity) {
  switch (activity) {
    case Activity::writing:
      return 0;
    case Activity::downloading:
    case Activity::converting:
      return 1;
    case Activity::waiting_for_other:
      return 2;
    case Activity::done:
      return 3;
    case Activity::waiting:
      return 4;
    case Activity::reused:
      return 5;
  }
  return 6;
}

// Which items to show where `room` lines are all there is: those at work first, in the board's order, so that a line
// stays where it is while others come and go. As many as fit, so that the frame keeps its height.
std::vector<std::size_t> choose_items(const ProgressSnapshot& snapshot, std::size_t room) {
  std::vector<std::size_t> chosen(snapshot.items.size());
  std::iota(chosen.begin(), chosen.end(), 0);
  std::stable_sort(chosen.begin(), chosen.end(), [&](std::size_t a, std::size_t b) {
    const Activity first = snapshot.items[a].activity, second = snapshot.items[b].activity;
    if (interest(first) != interest(second)) return interest(first) < interest(second);
    return first == Activity::done && a > b;  // of the finished, the latest
  });
  chosen.resize(std::min(room, chosen.size()));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

std::vector<StyledLine> render_frame(const ProgressSnapshot& snapshot, const FrameStyle& style) {
  FrameStyle safe = style;
  safe.size.columns = std::max(style.size.columns, 2u);
  const Parts parts = choose_parts(safe.size.columns - 1);
  const std::size_t rows = std::max(style.size.rows, 2u) - 1;

  // The total always; a line for the rest only where there is one.
  std::size_t room = rows - 1;
  const bool is_folded = snapshot.items.size() > std::min(room, k_most_items);
  if (is_folded) room = std::min(room > 0 ? room - 1 : 0, k_most_items);
  const std::vector<std::size_t> shown = choose_items(snapshot, room);

  std::vector<StyledLine> lines;
  for (const std::size_t i : shown) lines.push_back(item_line(snapshot.items[i], snapshot.direction, parts, safe));
  if (is_folded && rows > 1) lines.push_back(rest_line(snapshot, shown, safe));
  lines.push_back(total_line(snapshot, parts, safe));
  return lines;
}

}  // namespace mlctr::cli
