#include "squashfs/metadata_writer.hpp"

#include <algorithm>

#include "squashfs/codec.hpp"

namespace mlctr::squashfs {

MetadataPosition MetadataWriter::position() const {
  return {blocks_.size(), static_cast<std::uint16_t>(payload_.size())};
}

void MetadataWriter::append(std::span<const std::byte> record) {
  while (!record.empty()) {
    const auto part = record.first(std::min(record.size(), k_metadata_bytes - payload_.size()));
    put(payload_, part);
    record = record.subspan(part.size());
    if (payload_.size() == k_metadata_bytes) close_block();
  }
}

void MetadataWriter::close_block() {
  Bytes compressed;
  if (compression_ == MetadataCompression::zstd) compressed = compress_zstd(payload_);
  const bool is_raw = compressed.empty() || compressed.size() >= payload_.size();
  const Bytes& stored = is_raw ? payload_ : compressed;
  put(blocks_, static_cast<std::uint16_t>(stored.size() | (is_raw ? k_raw_metadata : 0)));
  put(blocks_, stored);
  payload_.clear();
}

Bytes MetadataWriter::finish() {
  if (!payload_.empty()) close_block();
  return std::move(blocks_);
}

LookupTable make_lookup_table(std::span<const std::byte> records, std::uint64_t start, MetadataCompression compression,
                              std::span<const std::byte> before_positions) {
  MetadataWriter writer(compression);
  Bytes positions;
  while (!records.empty()) {
    // Every record size divides a block's, so no record crosses into the next.
    const auto part = records.first(std::min(records.size(), k_metadata_bytes));
    put(positions, start + writer.position().block);
    writer.append(part);
    records = records.subspan(part.size());
  }
  LookupTable table{.bytes = writer.finish()};
  table.positions = start + table.bytes.size();
  put(table.bytes, before_positions);
  put(table.bytes, positions);
  return table;
}

}  // namespace mlctr::squashfs
