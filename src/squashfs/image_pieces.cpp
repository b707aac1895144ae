#include "squashfs/image_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/error.hpp"
#include "base/file.hpp"
#include "image/piece_name.hpp"
#include "squashfs/format.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::string_view k_pieces_magic = "mlcp", k_footer_magic = "mlctrpcs";
constexpr std::uint64_t k_segment_bytes = 32, k_footer_bytes = 32;
constexpr std::uint64_t k_max_table_bytes = 64u << 20;
constexpr std::size_t k_digits = 64;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_piece_name(std::string_view name) {
  return name.size() == k_digits + k_piece_suffix.size() && name.ends_with(k_piece_suffix) &&
         name.find_first_not_of("0123456789abcdef") == k_digits;
}

[[noreturn]] void refuse(std::string_view file_name, std::string_view cause) {
  throw Error(fmt::format("{} is not a whole squashfs image: {}", file_name, cause),
              "it is in pieces, as mlctr's store has it: `mlctr export` writes such an image as one file");
}

Bytes read_end(int file, std::uint64_t end, std::uint64_t size, std::string_view file_name) {
  if (size > end || size > k_max_table_bytes) refuse(file_name, "the list of its pieces is cut off");
  Bytes bytes(size);
  if (read_at(file, bytes, end - size, file_name) != size) refuse(file_name, "the list of its pieces is cut off");
  return bytes;
}

std::vector<std::string> split_names(std::string_view text, std::string_view file_name) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find('\0'));
    if (!is_piece_name(name) || name.size() == text.size()) refuse(file_name, "a piece of it has no such name");
    names.emplace_back(name);
    text.remove_prefix(name.size() + 1);
  }
  return names;
}

void check(const ImagePieces& pieces, std::string_view file_name) {
  std::uint64_t end = 0;
  for (const PieceSegment& segment : pieces.segments) {
    const bool is_inside = segment.at >= end && segment.at <= pieces.image_bytes && segment.size > 0 &&
                           segment.size <= pieces.image_bytes - segment.at;
    if (!is_inside || segment.piece >= pieces.names.size() || segment.from > UINT64_MAX - segment.size) {
      refuse(file_name, "the list of its pieces is wrong");
    }
    end = segment.at + segment.size;
  }
}

}  // namespace

std::string piece_name(const std::filesystem::path& file) {
  const std::string name = file.stem().string() + std::string(k_piece_suffix);
  const bool is_layer = file.extension() == ".sqsh" || file.extension() == k_piece_suffix;
  return is_layer && is_piece_name(name) ? name : "";
}

bool has_pieces(int file, std::string_view file_name) {
  std::array<std::byte, k_pieces_magic.size()> magic;
  return read_at(file, magic, 0, file_name) == magic.size() && text_of(magic) == k_pieces_magic;
}

ImagePieces read_pieces(int file, std::string_view file_name) {
  std::uint64_t end = file_size(file, file_name);
  const Bytes footer = read_end(file, end, k_footer_bytes, file_name);
  if (text_of(footer).substr(24) != k_footer_magic) refuse(file_name, "the list of its pieces is missing");
  const auto segment_count = get<std::uint64_t>(footer, 8), name_bytes = get<std::uint64_t>(footer, 16);
  if (segment_count > k_max_table_bytes / k_segment_bytes) refuse(file_name, "the list of its pieces is wrong");

  ImagePieces pieces{.names = {}, .segments = {}, .image_bytes = get<std::uint64_t>(footer, 0)};
  end -= k_footer_bytes;
  pieces.names = split_names(text_of(read_end(file, end, name_bytes, file_name)), file_name);
  end -= name_bytes;
  const Bytes segments = read_end(file, end, segment_count * k_segment_bytes, file_name);
  for (std::size_t at = 0; at < segments.size(); at += k_segment_bytes) {
    pieces.segments.push_back({.at = get<std::uint64_t>(segments, at),
                               .size = get<std::uint64_t>(segments, at + 8),
                               .from = get<std::uint64_t>(segments, at + 16),
                               .piece = get<std::uint64_t>(segments, at + 24)});
  }
  if (pieces.image_bytes > end - segments.size()) refuse(file_name, "the list of its pieces is wrong");
  check(pieces, file_name);
  return pieces;
}

void write_pieces(int file, const ImagePieces& pieces, std::string_view file_name) {
  Bytes list;
  for (const PieceSegment& segment : pieces.segments) {
    for (const std::uint64_t value : {segment.at, segment.size, segment.from, segment.piece}) put(list, value);
  }
  std::string names;
  for (const std::string& name : pieces.names) names.append(name).push_back('\0');
  put(list, std::as_bytes(std::span(names)));
  put(list, pieces.image_bytes);
  put(list, std::uint64_t{pieces.segments.size()});
  put(list, std::uint64_t{names.size()});
  put(list, std::as_bytes(std::span(k_footer_magic)));
  write_all_at(file, list, pieces.image_bytes, file_name);
  write_all_at(file, std::as_bytes(std::span(k_pieces_magic)), 0, file_name);
}

}  // namespace mlctr::squashfs
