#include "runtime/obstacle.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cerrno>

#include "temporary_directory.hpp"

using namespace mlctr;
using namespace mlctr::runtime;

namespace {

constexpr const char* k_rooted = "20 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";

// A /proc on which nothing forbids anything.
struct Proc : test::TemporaryDirectory {
  Proc() {
    write("sys/user/max_user_namespaces", "60000\n");
    write("self/mountinfo", k_rooted);
    write("self/status", "Name:\tx\nSeccomp:\t0\n");
    write("filesystems", "nodev\tsysfs\n\text4\nnodev\tfuse\nnodev\toverlay\n");
  }
};

}  // namespace

TEST_CASE("each switch that forbids user namespaces is named with what turns it") {
  const Proc proc;
  SUBCASE("Debian's") {
    proc.write("sys/kernel/unprivileged_userns_clone", "0\n");
    const Obstacle obstacle = why_no_user_namespace(EPERM, proc.path());
    CHECK(obstacle.cause.starts_with("kernel.unprivileged_userns_clone=0"));
    CHECK(obstacle.commands.at(0) == "sudo sysctl -w kernel.unprivileged_userns_clone=1");
    CHECK(obstacle.hint().find("sudo sysctl -w kernel.unprivileged_userns_clone=1") != std::string::npos);
  }
  SUBCASE("RHEL 7's") {
    proc.write("sys/user/max_user_namespaces", "0\n");
    CHECK(why_no_user_namespace(ENOSPC, proc.path()).cause.starts_with("user.max_user_namespaces=0"));
  }
  SUBCASE("a limit that others used up, or of a namespace around") {
    CHECK(why_no_user_namespace(ENOSPC, proc.path()).cause.find("limit of user namespaces") != std::string::npos);
  }
  SUBCASE("Ubuntu's") {
    proc.write("sys/kernel/unprivileged_userns_clone", "1\n");
    proc.write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    const Obstacle obstacle = why_no_user_namespace(EACCES, proc.path());
    CHECK(obstacle.cause.find("AppArmor") != std::string::npos);
    CHECK(obstacle.commands.at(0).find("userns,") != std::string::npos);
    CHECK(obstacle.commands.at(1) == "sudo apparmor_parser -r /etc/apparmor.d/mlctr");
    CHECK(obstacle.hint().find('\n') == std::string::npos);
  }
  SUBCASE("Ubuntu's, once a namespace is made") {
    proc.write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    proc.write("self/attr/apparmor/current", "unprivileged_userns (enforce)\n");
    CHECK(why_no_user_namespace(EPERM, proc.path()).commands.at(0).find("userns,") != std::string::npos);
  }
  SUBCASE("not Ubuntu's where the profile is installed") {
    proc.write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    proc.write("self/attr/apparmor/current", "mlctr (unconfined)\n");
    CHECK(why_no_user_namespace(EPERM, proc.path()).cause.find("AppArmor lets only") == std::string::npos);
  }
  SUBCASE("an outer container's profile") {
    proc.write("sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    proc.write("self/attr/apparmor/current", "docker-default (enforce)\n");
    const Obstacle obstacle = why_no_user_namespace(EPERM, proc.path());
    CHECK(obstacle.cause.find("docker-default") != std::string::npos);
    CHECK(obstacle.commands.at(0).find("--security-opt apparmor=unconfined") != std::string::npos);
  }
  SUBCASE("a chroot") {
    proc.write("self/mountinfo", "21 20 0:5 / /proc rw - proc proc rw\n");
    CHECK(why_no_user_namespace(EPERM, proc.path()).cause.find("chroot") != std::string::npos);
  }
  SUBCASE("an outer container's filter") {
    proc.write("self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n");
    const Obstacle obstacle = why_no_user_namespace(EPERM, proc.path());
    CHECK(obstacle.cause.find("seccomp") != std::string::npos);
    CHECK(obstacle.commands.at(0).find("--security-opt seccomp=unconfined") != std::string::npos);
  }
  SUBCASE("nothing known") {
    const Obstacle obstacle = why_no_user_namespace(EPERM, proc.path());
    CHECK(obstacle.commands.empty());
    CHECK(obstacle.hint() == obstacle.cause);
  }
}

TEST_CASE("an AppArmor profile takes any path") {
  CHECK(apparmor_profile("/usr/bin/mlctr").find("profile mlctr \"/usr/bin/mlctr\" flags=(unconfined) {") !=
        std::string::npos);
  CHECK(apparmor_profile("/home/a b/x*{1}/mlctr").find("\"/home/a b/x\\*\\{1\\}/mlctr\"") != std::string::npos);
}

TEST_CASE("a missing device, a missing module and missing permission are told apart") {
  const Proc proc;
  const auto device = proc / "fuse";
  CHECK(why_no_fuse_device(ENOENT, device, proc.path()).commands.at(0) == "docker run --device /dev/fuse …");
  proc.write("filesystems", "nodev\tsysfs\nnodev\tfusectl\n");
  CHECK(why_no_fuse_device(ENOENT, device, proc.path()).commands.at(0) == "sudo modprobe fuse");
  CHECK(why_no_fuse_device(ENODEV, device, proc.path()).commands.at(0) == "sudo modprobe fuse");
  proc.write("fuse", "");
  ::chmod(device.c_str(), 0600);
  const Obstacle closed = why_no_fuse_device(EACCES, device, proc.path());
  CHECK(closed.cause.find("mode 0600") != std::string::npos);
  CHECK(closed.commands.at(0) == "sudo chmod 0666 " + device.string());
  ::chmod(device.c_str(), 0666);
  CHECK(why_no_fuse_device(EACCES, device, proc.path()).cause.find("nodev") != std::string::npos);
  CHECK(why_no_fuse_device(EPERM, device, proc.path()).commands.at(0) == "docker run --device /dev/fuse …");
}

TEST_CASE("an overlay needs the module, then a kernel that gives it to users") {
  const Proc proc;
  CHECK(why_no_overlay(ENODEV, proc.path()).commands.at(0) == "sudo modprobe overlay");
  const Obstacle old = why_no_overlay(EPERM, proc.path());
  CHECK(old.commands.empty());
  CHECK(old.cause.find("5.11") != std::string::npos);
  proc.write("filesystems", "nodev\tsysfs\n");
  CHECK(why_no_overlay(EPERM, proc.path()).commands.at(0) == "sudo modprobe overlay");
}
