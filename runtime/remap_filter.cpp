#include "runtime/remap_filter.hpp"

#include <fmt/format.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <span>
#include <vector>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"

namespace mlctr::runtime {
namespace {

// A call that is answered success where one of these arguments is a user or group id other than 0.
struct IdentityCall {
  int number;
  std::vector<unsigned> ids;
};

// In a namespace of one id all files are root's and all processes root: asking for that is left to the kernel, which
// says ENOENT and EROFS where it must. -1 ("leave it") beside another id counts as one.
const std::vector<IdentityCall> k_identity_calls{
    {SCMP_SYS(chown), {1, 2}},          {SCMP_SYS(chown32), {1, 2}},
    {SCMP_SYS(lchown), {1, 2}},         {SCMP_SYS(lchown32), {1, 2}},
    {SCMP_SYS(fchown), {1, 2}},         {SCMP_SYS(fchown32), {1, 2}},
    {SCMP_SYS(fchownat), {2, 3}},       {SCMP_SYS(setuid), {0}},
    {SCMP_SYS(setuid32), {0}},          {SCMP_SYS(setgid), {0}},
    {SCMP_SYS(setgid32), {0}},          {SCMP_SYS(setreuid), {0, 1}},
    {SCMP_SYS(setreuid32), {0, 1}},     {SCMP_SYS(setregid), {0, 1}},
    {SCMP_SYS(setregid32), {0, 1}},     {SCMP_SYS(setresuid), {0, 1, 2}},
    {SCMP_SYS(setresuid32), {0, 1, 2}}, {SCMP_SYS(setresgid), {0, 1, 2}},
    {SCMP_SYS(setresgid32), {0, 1, 2}},
};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) {
    if (!context_) throw SysError("cannot make a seccomp filter", ENOMEM);
    // Programs for the processor's other ABIs (32 bits) run as well, by the same rules.
    for (const std::uint32_t architecture : other_abis()) check(seccomp_arch_add(context_.get(), architecture));
    check(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ALLOW));
    check(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_NNP, 0));  // it is set already
  }

  // What another program of the terminal would take for typed keys (CVE-2017-5226).
  void forbid_terminal_injection() {
    for (const unsigned long request : {static_cast<unsigned long>(TIOCSTI), static_cast<unsigned long>(TIOCLINUX)}) {
      add(SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), {SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, request)});
    }
  }

  void let_root_succeed() {
    for (const IdentityCall& call : k_identity_calls) {
      for (const unsigned id : call.ids) add(SCMP_ACT_ERRNO(0), call.number, {SCMP_CMP64(id, SCMP_CMP_GT, 0)});
    }
    for (const int groups : {SCMP_SYS(setgroups), SCMP_SYS(setgroups32)}) add(SCMP_ACT_ERRNO(0), groups, {});
    for (const unsigned type : {S_IFCHR, S_IFBLK}) {
      add(SCMP_ACT_ERRNO(0), SCMP_SYS(mknod), {SCMP_A1(SCMP_CMP_MASKED_EQ, S_IFMT, type)});
      add(SCMP_ACT_ERRNO(0), SCMP_SYS(mknodat), {SCMP_A2(SCMP_CMP_MASKED_EQ, S_IFMT, type)});
    }
  }

  void install() { check(seccomp_load(context_.get())); }

  std::string compile() {
    const Fd file(::memfd_create("mlctr-filter", MFD_CLOEXEC));
    if (!file) throw SysError("cannot make a memory file");
    check(seccomp_export_bpf(context_.get(), file.get()));
    std::string program(file_size(file.get(), "a seccomp filter"), '\0');
    read_at(file.get(), std::as_writable_bytes(std::span(program)), 0, "a seccomp filter");
    return program;
  }

 private:
  struct Release {
    void operator()(void* context) const { seccomp_release(context); }
  };

  static std::vector<std::uint32_t> other_abis() {
    switch (seccomp_arch_native()) {
      case SCMP_ARCH_X86_64:
        return {SCMP_ARCH_X86, SCMP_ARCH_X32};
      case SCMP_ARCH_AARCH64:
        return {SCMP_ARCH_ARM};
      default:
        return {};
    }
  }

  static void check(int result) {
    if (result < 0) throw SysError("cannot set the seccomp filter", -result);
  }

  void add(std::uint32_t action, int call, const std::vector<scmp_arg_cmp>& conditions) {
    // A call that the processor never had is nobody's to make.
    const int result = seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(conditions.size()),
                                              conditions.data());
    if (result != -EDOM) check(result);
  }

  std::unique_ptr<void, Release> context_;
};

Filter filter_for(Remap remap) {
  Filter filter;
  filter.forbid_terminal_injection();
  if (remap == Remap::root) filter.let_root_succeed();
  return filter;
}

}  // namespace

void install_filter(Remap remap) {
  filter_for(remap).install();
}

std::string compile_filter(Remap remap) {
  return filter_for(remap).compile();
}

}  // namespace mlctr::runtime
