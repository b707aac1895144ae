// A store with images in it, for tests of what the use cases do with one.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "app/configuration.hpp"
#include "store/store.hpp"
#include "tests/unit/temporary_directory.hpp"

namespace mlctr::test {

class StoreFixture {
 public:
  StoreFixture() : store_(directory_ / "store", Store::Access::read_write) { configuration_.store = store_.root(); }

  Store& store() { return store_; }
  Configuration& configuration() { return configuration_; }
  const TemporaryDirectory& directory() const { return directory_; }

  /// A layer of `size` bytes, last used `age` before now.
  void add_layer(const Digest& diff_id, std::size_t size, std::chrono::seconds age = std::chrono::hours(100)) {
    TemporaryFile file = store_.new_layer_file(diff_id);
    write_all(file.fd(), bytes_of(std::string(size, 'x')), "layer");
    file.commit(store_.layer_path(diff_id));
    set_age(store_.layer_path(diff_id), age);
  }

  /// An image of these layers, under these names.
  void add_image(const Digest& digest, std::initializer_list<Digest> layers, std::initializer_list<std::string> names) {
    std::string diff_ids;
    for (const Digest& layer : layers) diff_ids += (diff_ids.empty() ? "\"" : ",\"") + layer.to_string() + "\"";
    add_image_with_config(digest, R"({"architecture":"amd64","os":"linux","created":"2024-05-06T07:08:09Z",)"
                                  R"("config":{},"rootfs":{"type":"layers","diff_ids":[)" +
                                      diff_ids + "]}}");
    for (const std::string& name : names) store_.set_reference({name, digest, ++last_pull_});
  }

  void add_image_with_config(const Digest& digest, std::string_view config) {
    NewImage image = store_.new_image(digest);
    write_all(image.fd(), bytes_of(std::string(10'000, 'i')), "image");
    image.commit("{}", config);
  }

  static void set_age(const std::filesystem::path& path, std::chrono::seconds age) {
    const std::time_t time = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() - age);
    const timespec times[2] = {{time, 0}, {time, 0}};
    REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
  }

 private:
  static std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

  TemporaryDirectory directory_;
  Store store_;
  Configuration configuration_;
  std::int64_t last_pull_ = 1'700'000'000;
};

}  // namespace mlctr::test
