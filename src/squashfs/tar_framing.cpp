#include "squashfs/tar_framing.hpp"

#include <algorithm>

#include "base/number.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_max_records_bytes = 4u << 20;  // as TarReader bounds one entry's headers
constexpr std::uint64_t k_max_size_bytes = std::uint64_t{1} << 62;
constexpr std::size_t k_sparse_more_offset = 482;      // of GNU's old sparse header: maps follow
constexpr std::size_t k_sparse_map_more_offset = 504;  // of such a map: another one follows

std::optional<std::uint64_t> parse_size(std::string_view text, int base) {
  const auto size = parse_number<std::uint64_t>(text, base);
  return size && *size <= k_max_size_bytes ? size : std::nullopt;
}

// Octal digits between blanks and NULs, or GNU's big-endian binary.
std::optional<std::uint64_t> read_number(std::string_view field) {
  const auto first = static_cast<unsigned char>(field[0]);
  if ((first & 0x80) != 0) {
    std::uint64_t number = first & 0x7f;
    for (const char c : field.substr(1)) {
      if (number > k_max_size_bytes >> 8) return std::nullopt;
      number = number << 8 | static_cast<unsigned char>(c);
    }
    return number;
  }
  const std::size_t begin = field.find_first_not_of(' ');
  if (begin == field.npos) return 0;
  field = field.substr(begin);
  field = field.substr(0, field.find_first_of(std::string_view(" \0", 2)));
  return field.empty() ? std::optional<std::uint64_t>(0) : parse_size(field, 8);
}

bool has_right_checksum(std::string_view header) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < header.size(); ++i) {
    sum += i >= 148 && i < 156 ? unsigned{' '} : static_cast<unsigned char>(header[i]);
  }
  return read_number(header.substr(148, 8)) == sum;
}

bool is_zero(std::string_view block) {
  return block.find_first_not_of('\0') == block.npos;
}

}  // namespace

void TarFraming::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !is_lost_) bytes = bytes.subspan(take(bytes));
}

std::optional<FramedMember> TarFraming::next_member() {
  if (members_.empty()) return std::nullopt;
  const FramedMember member = members_.front();
  members_.pop_front();
  return member;
}

// How many of the bytes were the part's that is at hand.
std::size_t TarFraming::take(std::span<const std::byte> bytes) {
  if (part_ == Part::trailer) {
    listener_.framing(bytes);
    return bytes.size();
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), left_));
  const auto part = bytes.first(size);
  if (part_ != Part::content) listener_.framing(part);
  if (part_ == Part::header || part_ == Part::records || part_ == Part::sparse_map) gather(part);
  left_ -= size;
  if (left_ == 0) end_part();
  return size;
}

void TarFraming::gather(std::span<const std::byte> bytes) {
  gathered_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void TarFraming::begin(Part part, std::uint64_t bytes) {
  part_ = part;
  left_ = bytes;
  gathered_.clear();
}

// Bytes that say nothing, up to the next header.
void TarFraming::begin_body(std::uint64_t size_bytes) {
  const std::uint64_t blocks = size_bytes + tar_padding(size_bytes);
  begin(blocks == 0 ? Part::header : Part::skipped, blocks == 0 ? k_tar_block_bytes : blocks);
}

void TarFraming::end_part() {
  switch (part_) {
    case Part::header:
      return read_header();
    case Part::records:
      read_records();
      [[fallthrough]];
    case Part::content:
      return padding_ == 0 ? begin(Part::header, k_tar_block_bytes) : begin(Part::skipped, padding_);
    case Part::sparse_map:
      if (gathered_[k_sparse_map_more_offset] != '\0') return begin(Part::sparse_map, k_tar_block_bytes);
      return begin_body(sparse_body_);
    case Part::skipped:
    case Part::trailer:
      return begin(Part::header, k_tar_block_bytes);
  }
}

void TarFraming::read_header() {
  if (is_zero(gathered_)) return begin(Part::trailer, 0);
  const std::optional<std::uint64_t> stated = read_number(std::string_view(gathered_).substr(124, 12));
  if (!has_right_checksum(gathered_) || !stated) return lose();
  const char type = gathered_[156];
  switch (type) {
    case 'x':
    case 'g':
      if (*stated > k_max_records_bytes) return lose();
      records_type_ = type;
      padding_ = tar_padding(*stated);
      if (*stated == 0) return begin(Part::header, k_tar_block_bytes);
      return begin(Part::records, *stated);
    case 'L':
    case 'K':
      return begin_body(*stated);
    default:
      return begin_member(type, pax_size_.value_or(*stated));
  }
}

void TarFraming::begin_member(char type, std::uint64_t size_bytes) {
  const bool is_sparse = is_pax_sparse_ || type == 'S';
  pax_size_.reset();
  is_pax_sparse_ = false;
  switch (type) {
    case '0':
    case '\0':
    case '7':
      members_.push_back({.has_content = !is_sparse && size_bytes > 0, .size_bytes = size_bytes});
      if (!members_.back().has_content) return begin_body(size_bytes);
      listener_.content(size_bytes);
      padding_ = tar_padding(size_bytes);
      return begin(Part::content, size_bytes);
    case 'S': {
      members_.push_back({});
      sparse_body_ = size_bytes;
      const bool has_maps = gathered_[k_sparse_more_offset] != '\0';
      return has_maps ? begin(Part::sparse_map, k_tar_block_bytes) : begin_body(size_bytes);
    }
    case '1':
      // Whether a content follows is anybody's guess: pax has one, others mean the target's size.
      if (size_bytes > 0) return lose();
      [[fallthrough]];
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
      members_.push_back({});
      return begin_body(0);
    default:
      return lose();
  }
}

// { LENGTH " " KEY "=" VALUE "\n" }
void TarFraming::read_records() {
  for (std::string_view rest = gathered_; !rest.empty() && rest[0] != '\0';) {
    const std::size_t blank = std::min(rest.find(' '), rest.size());
    const auto length = parse_size(rest.substr(0, blank), 10);
    if (!length || *length > rest.size() || *length < blank + 2) return lose();
    const std::string_view record = rest.substr(blank + 1, *length - blank - 2);
    rest.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == record.npos) return lose();
    const std::string_view key = record.substr(0, equals);
    const bool is_sparse = key.starts_with("GNU.sparse.") || key == "SCHILY.realsize";
    if (key != "size" && !is_sparse) continue;
    if (records_type_ == 'g') return lose();  // for all that follow: nobody does that
    if (is_sparse) {
      is_pax_sparse_ = true;
      continue;
    }
    pax_size_ = parse_size(record.substr(equals + 1), 10);
    if (!pax_size_) return lose();
  }
}

}  // namespace mlctr::squashfs
