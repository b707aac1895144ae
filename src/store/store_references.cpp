#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "store/reference_path.hpp"
#include "store/sharing.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_reference_bytes = 64u << 10;

std::string write_record(const ReferenceRecord& record) {
  const nlohmann::ordered_json json = {{"reference", record.reference},
                                       {"manifest_digest", record.manifest_digest.to_string()},
                                       {"pulled_at", record.pulled_at}};
  // A path need not be UTF-8; the file's name, not its content, is what must be exact.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Throws Error that says what is wrong, without the path.
ReferenceRecord parse_record(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) throw Error("it is not a JSON object");
  const auto reference = json.find("reference"), digest = json.find("manifest_digest"), time = json.find("pulled_at");
  if (reference == json.end() || !reference->is_string()) throw Error("\"reference\" is not a string");
  if (digest == json.end() || !digest->is_string()) throw Error("\"manifest_digest\" is not a string");
  if (time == json.end() || !time->is_number_integer()) throw Error("\"pulled_at\" is not an integer");
  return {*reference, Digest::parse(digest->get<std::string>()), *time};
}

ReferenceRecord read_record(const std::filesystem::path& file, const std::filesystem::path& relative) {
  ReferenceRecord record = parse_record(read_file(file, k_max_reference_bytes));
  if (reference_path(record.reference) != relative) {
    throw Error(fmt::format("it says it is {}, which belongs elsewhere", printable(record.reference)));
  }
  return record;
}

}  // namespace

void Store::set_reference(const ReferenceRecord& record) {
  const std::filesystem::path relative = reference_path(record.reference);
  const std::string content = write_record(record);
  TemporaryFile file(root_ / "tmp" / ("reference-" + random_suffix()));
  share_with_group(file.fd(), root_ / "tmp");
  write_all(file.fd(), std::as_bytes(std::span(content)), file.path().string());
  // remove_reference clears away directories that are empty: another one's may do so between our mkdir and our rename.
  for (int attempts_left = 20;; --attempts_left) {
    try {
      std::filesystem::path directory = root_ / "references";
      for (const std::filesystem::path& part : relative.parent_path()) make_store_directory(directory /= part);
      return file.commit(root_ / "references" / relative);
    } catch (const SysError& error) {
      if (error.errno_value() != ENOENT || attempts_left == 0) throw;
    }
  }
}

std::optional<ReferenceRecord> Store::find_reference(const std::string& canonical) const {
  const std::filesystem::path relative = reference_path(canonical);
  const std::filesystem::path file = root_ / "references" / relative;
  try {
    return read_record(file, relative);
  } catch (SysError& error) {
    if (error.errno_value() == ENOENT || error.errno_value() == ENOTDIR) return std::nullopt;
    throw;
  } catch (Error& error) {
    error.add_context("the reference's file " + file.string() + " is broken");
    error.add_hint("remove that file and pull again");
    throw;
  }
}

ReferenceListing Store::list_references() const {
  ReferenceListing listing;
  const std::filesystem::path base = root_ / "references";
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator it(base, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != ".json" || it->is_directory(error)) continue;
    try {
      listing.records.push_back(read_record(it->path(), it->path().lexically_relative(base)));
    } catch (const SysError& failure) {
      if (failure.errno_value() != ENOENT) listing.broken.push_back({it->path(), failure.message()});
    } catch (const Error& failure) {
      listing.broken.push_back({it->path(), failure.message()});
    }
  }
  std::sort(listing.records.begin(), listing.records.end(),
            [](const ReferenceRecord& a, const ReferenceRecord& b) { return a.reference < b.reference; });
  return listing;
}

std::vector<ReferenceRecord> Store::references() const {
  return list_references().records;
}

bool Store::remove_reference(const std::string& canonical) {
  const std::filesystem::path base = root_ / "references";
  const std::filesystem::path relative = reference_path(canonical);
  const std::filesystem::path file = base / relative;
  // Opened before: once the file is gone, another process may clear its directory away.
  const Fd directory(::open(file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory && (errno == ENOENT || errno == ENOTDIR)) return false;
  if (!directory) throw SysError("cannot open " + file.parent_path().string());
  if (::unlinkat(directory.get(), file.filename().c_str(), 0) != 0) {
    if (errno == ENOENT) return false;
    throw SysError("cannot remove " + file.string());
  }
  [[maybe_unused]] const int ignored = ::fsync(directory.get());  // a name that comes back after a crash harms nobody
  // Up to the first directory that still has something in it.
  for (auto parent = relative.parent_path(); !parent.empty() && ::rmdir((base / parent).c_str()) == 0;) {
    parent = parent.parent_path();
  }
  return true;
}

}  // namespace mlctr
