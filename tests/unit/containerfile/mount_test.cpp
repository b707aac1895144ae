#include <doctest/doctest.h>

#include "containerfile/run_mount_option.hpp"

using namespace mlctr::containerfile;

namespace {

template <typename Kind>
Kind mount(std::string_view text) {
  return std::get<Kind>(parse_mount({std::string(text), {1, 1}}, "f", [](const Word& word) { return word.text; }));
}

}  // namespace

TEST_CASE("mounts have the defaults that the reference gives them") {
  CHECK(mount<BindMount>("target=/a") == BindMount{"", "", "/a", MountAccess::read_only});
  CHECK(mount<BindMount>("type=bind,from=b,src=/s,dst=t,rw") == BindMount{"b", "/s", "t", MountAccess::read_write});
  CHECK(mount<BindMount>("target=/a,ro=false").access == MountAccess::read_write);
  const CacheMount cache = mount<CacheMount>("type=cache,target=/c/./d/,sharing=locked,mode=0700,uid=5,gid=6,ro");
  CHECK(cache.id == "/c/d");
  CHECK(cache.sharing == CacheSharing::locked);
  CHECK(cache.mode == 0700);
  CHECK(cache.user == 5);
  CHECK(cache.access == MountAccess::read_only);
  CHECK(mount<TmpfsMount>("type=tmpfs,target=/t,size=1.5g").size_bytes == 1536u << 20);
  CHECK(mount<SecretMount>("type=secret,id=a/key").target == "/run/secrets/key");
  CHECK(mount<SecretMount>("type=secret,target=/x/key").id == "key");
  const SecretMount variable = mount<SecretMount>("required,env=KEY,id=k,type=secret");
  CHECK(variable.variable == "KEY");
  CHECK(variable.target.empty());
  CHECK(variable.need == Need::required);
  CHECK(mount<SecretMount>("type=secret,id=k,env=").variable == "k");
  CHECK(mount<BindMount>("\"source=a,\"\"b\",target=/t").source == "a,\"b");
}
