#include "squashfs/sif.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.hpp"
#include "base/file.hpp"
#include "squashfs/format.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_sif_header_bytes = 128, k_descriptor_bytes = 585;
constexpr std::size_t k_magic_at = 32, k_total_at = 88, k_descriptors_at = 96;
constexpr std::size_t k_used_at = 4, k_offset_at = 17, k_size_at = 25, k_extra_at = 201;
constexpr std::string_view k_sif_magic{"SIF_MAGIC\0", 10};
constexpr std::uint32_t k_partition = 0x4004;
constexpr std::uint32_t k_squashfs = 1, k_encrypted_squashfs = 5;
constexpr std::uint32_t k_primary_system = 2;
constexpr std::uint64_t k_most_descriptors = 4096;  // Apptainer makes files of 48

using Header = std::array<std::byte, k_sif_header_bytes>;
using Descriptor = std::array<std::byte, k_descriptor_bytes>;

[[noreturn]] void refuse(const std::filesystem::path& name, std::string_view cause, std::string_view hint) {
  throw Error(fmt::format("{} is a SIF file that can't be used: {}", name.string(), cause), std::string(hint));
}

bool is_sif(const Header& header) {
  return std::ranges::equal(std::span(header).subspan(k_magic_at, k_sif_magic.size()),
                            std::as_bytes(std::span(k_sif_magic)));
}

bool is_primary_system(const Descriptor& descriptor) {
  return get<std::uint32_t>(descriptor) == k_partition && descriptor[k_used_at] != std::byte{0} &&
         get<std::uint32_t>(descriptor, k_extra_at + 4) == k_primary_system;
}

FilePart squashfs_of(const Descriptor& descriptor, std::uint64_t file_bytes, const std::filesystem::path& name) {
  const auto filesystem = get<std::uint32_t>(descriptor, k_extra_at);
  if (filesystem == k_encrypted_squashfs)
    refuse(name, "its system partition is encrypted", "build it without --encrypt");
  if (filesystem != k_squashfs) {
    refuse(name, "its system partition is no squashfs", "`apptainer build NEW.sif OLD.sif` makes one that has one");
  }
  const FilePart part{.offset = get<std::uint64_t>(descriptor, k_offset_at),
                      .size_bytes = get<std::uint64_t>(descriptor, k_size_at)};
  if (part.offset < k_sif_header_bytes || part.offset > file_bytes || part.size_bytes > file_bytes - part.offset) {
    refuse(name, "its system partition lies outside of it", "it may have been copied only in part: copy it again");
  }
  return part;
}

}  // namespace

std::optional<FilePart> find_sif_image(int file, const std::filesystem::path& name) {
  Header header{};
  if (read_at(file, header, 0, name.string()) != header.size() || !is_sif(header)) return std::nullopt;
  const std::uint64_t file_bytes = file_size(file, name.string());
  const auto count = get<std::uint64_t>(header, k_total_at);
  const auto begin = get<std::uint64_t>(header, k_descriptors_at);
  if (count > k_most_descriptors || begin < k_sif_header_bytes || begin > file_bytes ||
      count * k_descriptor_bytes > file_bytes - begin) {
    refuse(name, "its list of contents lies outside of it", "it may have been copied only in part: copy it again");
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    Descriptor descriptor{};
    read_at(file, descriptor, begin + i * k_descriptor_bytes, name.string());
    if (is_primary_system(descriptor)) return squashfs_of(descriptor, file_bytes, name);
  }
  refuse(name, "it has no system partition",
         "`apptainer sif list` shows what it has; one that holds an OCI image can be converted: apptainer build");
}

std::uint64_t find_image_offset(int file, const std::filesystem::path& name) {
  const auto part = find_sif_image(file, name);
  return part ? part->offset : 0;
}

}  // namespace mlctr::squashfs
