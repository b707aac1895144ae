#include "squashfs/tar_header.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/error.hpp"
#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

// The ustar block's fields: where they begin, and how long they are.
struct Field {
  std::size_t offset, bytes;
};
constexpr Field k_name{0, 100}, k_mode{100, 8}, k_uid{108, 8}, k_gid{116, 8}, k_size{124, 12}, k_mtime{136, 12},
    k_checksum{148, 8}, k_type{156, 1}, k_link_name{157, 100}, k_tar_magic{257, 8}, k_major{329, 8}, k_minor{337, 8};

constexpr std::uint64_t largest(const Field& field) {
  return (std::uint64_t{1} << (3 * (field.bytes - 1))) - 1;
}

class Block {
 public:
  void put_text(const Field& field, std::string_view text) {
    const std::size_t size = std::min(text.size(), field.bytes);
    std::copy_n(text.begin(), size, bytes_.begin() + static_cast<std::ptrdiff_t>(field.offset));
  }

  // What is too large has a pax record, and 0 here.
  void put_number(const Field& field, std::uint64_t number) {
    put_text(field, fmt::format("{:0{}o}", number > largest(field) ? 0 : number, field.bytes - 1));
  }

  // GNU's: big-endian, marked by the top bit.
  void put_binary(const Field& field, std::uint64_t number) {
    for (std::size_t i = field.bytes; i-- > 1; number >>= 8) {
      bytes_[field.offset + i] = static_cast<char>(number & 0xff);
    }
    bytes_[field.offset] = static_cast<char>(0x80);
  }

  std::string finish() {
    put_text(k_tar_magic, std::string_view("ustar\0"
                                           "00",
                                           8));
    put_text(k_checksum, "        ");
    unsigned sum = 0;
    for (const char c : bytes_) sum += static_cast<unsigned char>(c);
    put_text(k_checksum, std::string_view(fmt::format("{:06o}", sum)));
    bytes_[k_checksum.offset + 6] = '\0';
    return std::move(bytes_);
  }

 private:
  std::string bytes_ = std::string(k_tar_block_bytes, '\0');
};

// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (rest + fmt::formatted_size("{}", length) != length) length = rest + fmt::formatted_size("{}", length);
  return fmt::format("{} {}={}\n", length, key, value);
}

std::string pax_records(const TarHeader& member) {
  std::string records;
  if (member.path.size() > k_name.bytes) records += pax_record("path", member.path);
  if (member.link_target.size() > k_link_name.bytes) records += pax_record("linkpath", member.link_target);
  if (member.size_bytes > largest(k_size)) records += pax_record("size", fmt::format("{}", member.size_bytes));
  if (member.uid > largest(k_uid)) records += pax_record("uid", fmt::format("{}", member.uid));
  if (member.gid > largest(k_gid)) records += pax_record("gid", fmt::format("{}", member.gid));
  for (const auto& [name, value] : member.xattrs) {
    if (name.find('=') != name.npos) {
      throw Error(fmt::format("{}: no tar can hold the extended attribute {}: its name has a '='",
                              quote_name(member.path), quote_name(name)),
                  "remove it (setfattr -x)");
    }
    records += pax_record("SCHILY.xattr." + name, value);
  }
  return records;
}

// An extended header is a member of its own, whose name nobody looks at.
std::string extended_header(std::string records) {
  Block block;
  block.put_text(k_name, "PaxHeaders/0");
  block.put_number(k_mode, 0644);
  block.put_number(k_uid, 0);
  block.put_number(k_gid, 0);
  block.put_number(k_size, records.size());
  block.put_number(k_mtime, 0);
  block.put_text(k_type, "x");
  const std::size_t padding = tar_padding(records.size());
  return block.finish() + std::move(records) + std::string(padding, '\0');
}

}  // namespace

std::string write_tar_header(const TarHeader& member) {
  Block block;
  block.put_text(k_name, member.path);
  block.put_number(k_mode, member.permissions);
  block.put_number(k_uid, member.uid);
  block.put_number(k_gid, member.gid);
  block.put_number(k_size, member.size_bytes);
  block.put_number(k_mtime, member.mtime);
  const char type = static_cast<char>(member.type);
  block.put_text(k_type, {&type, 1});
  block.put_text(k_link_name, member.link_target);
  block.put_number(k_major, member.device_major);
  block.put_number(k_minor, member.device_minor);
  std::string records = pax_records(member);
  const std::string extended = records.empty() ? std::string() : extended_header(std::move(records));
  return extended + block.finish();
}

std::string write_tar_block(const TarHeader& header) {
  Block block;
  block.put_text(k_name, header.path);
  block.put_number(k_mode, header.permissions);
  block.put_number(k_uid, 0);
  block.put_number(k_gid, 0);
  block.put_number(k_size, header.size_bytes);
  if (header.size_bytes > largest(k_size)) block.put_binary(k_size, header.size_bytes);
  block.put_number(k_mtime, 0);
  block.put_text(k_type, "0");
  return block.finish();
}

}  // namespace mlctr::squashfs
