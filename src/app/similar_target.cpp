#include "app/similar_target.hpp"

#include <algorithm>

#include "app/find_image.hpp"
#include "app/open_stores.hpp"
#include "base/ascii.hpp"

namespace mlctr {
namespace {

// What is left of the two without what they begin and end with alike.
void drop_common_ends(std::string_view& a, std::string_view& b) {
  while (!a.empty() && !b.empty() && a.front() == b.front()) {
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  while (!a.empty() && !b.empty() && a.back() == b.back()) {
    a.remove_suffix(1);
    b.remove_suffix(1);
  }
}

}  // namespace

bool is_one_slip(std::string_view a, std::string_view b, Digits digits) {
  drop_common_ends(a, b);
  if (a.size() == 2 && b.size() == 2) return a[0] == b[1] && a[1] == b[0];
  const bool is_one = std::max(a.size(), b.size()) == 1;
  const bool is_version = std::ranges::all_of(a, is_digit) && std::ranges::all_of(b, is_digit);
  return is_one && !(is_version && digits == Digits::versions);
}

std::string similar_image(const Configuration& configuration, std::string_view text) {
  if (parse_image_id(text)) return {};
  const std::string key = reference_key(text);
  for (const Store& store : open_stores(configuration)) {
    for (const ReferenceRecord& record : store.references()) {
      if (is_one_slip(key, record.reference, Digits::versions)) return familiar_name(record.reference);
    }
  }
  return {};
}

std::string similar_container(const Configuration& configuration, std::string_view text) {
  if (!is_container_name(text)) return {};
  for (const StoredContainer& container : open_containers(configuration).list().containers) {
    if (is_one_slip(text, container.record.name, Digits::counted)) return container.record.name;
  }
  return {};
}

}  // namespace mlctr
