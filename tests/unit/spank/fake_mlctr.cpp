// Stands for mlctr: notes how it was called, and hands over what the variable FAKE says. In Slurm it would be the real
// one, from tests/slurm.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "spank/hand_off.h"

namespace {

std::string fake;

bool is(const char* name) {
  return fake == name;
}

[[noreturn]] void die(const char* action) {
  std::perror(action);
  std::_Exit(99);
}

/// A process that is mapped root in namespaces of its own, in which /inside-the-container is a directory; stays.
pid_t start_container() {
  int ready[2];
  if (::pipe(ready) != 0) die("pipe");
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS) != 0) die("unshare");
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << 0 << ' ' << uid << " 1\n";
    std::ofstream("/proc/self/gid_map") << 0 << ' ' << gid << " 1\n";
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) die("mount");
    if (::mount("none", "/mnt", "tmpfs", 0, nullptr) != 0) die("mount tmpfs");
    if (::mkdir("/mnt/inside", 0755) != 0) die("mkdir");
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::write(ready[1], "", 1) != 1) die("write");
    ::pause();
    std::_Exit(0);
  }
  char byte;
  ::close(ready[1]);
  if (::read(ready[0], &byte, 1) != 1) die("the container");
  return child;
}

void add_record(std::string& records, std::uint32_t kind, const std::string& bytes) {
  const mlctr_hand_off_record head{.kind = kind, .length = static_cast<std::uint32_t>(bytes.size())};
  records.append(reinterpret_cast<const char*>(&head), sizeof(head));
  records += bytes;
}

/// Answers 77 to a call that nothing here makes.
std::string filter() {
  const sock_filter program[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                                 BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_acct, 0, 1),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
                                 BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  return {reinterpret_cast<const char*>(program), sizeof(program)};
}

std::string make_records() {
  std::string records;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (std::strncmp(*variable, "GONE=", 5) != 0) add_record(records, MLCTR_HAND_OFF_VARIABLE, *variable);
  }
  add_record(records, MLCTR_HAND_OFF_VARIABLE, "FROM_IMAGE=a value = with %s\nin it");
  add_record(records, 4711, "of a later version");
  if (is("no such directory")) add_record(records, MLCTR_HAND_OFF_DIRECTORY, "/mnt/missing");
  if (!is("no such directory")) {
    add_record(records, MLCTR_HAND_OFF_DIRECTORY, "/mnt/missing");
    add_record(records, MLCTR_HAND_OFF_DIRECTORY, "/mnt/inside");
  }
  if (is("filter")) add_record(records, MLCTR_HAND_OFF_FILTER, filter());
  if (is("odd filter")) add_record(records, MLCTR_HAND_OFF_FILTER, filter().substr(1));
  if (is("two filters")) add_record(records, MLCTR_HAND_OFF_FILTER, filter());
  if (is("two filters")) add_record(records, MLCTR_HAND_OFF_FILTER, filter());
  if (is("identity")) add_record(records, MLCTR_HAND_OFF_IDENTITY, "1234 2345");
  if (is("odd identity")) add_record(records, MLCTR_HAND_OFF_IDENTITY, "1234 2345 6");
  if (is("warning")) add_record(records, MLCTR_HAND_OFF_WARNING, "ignoring\033[31m a mount");
  if (is("variable without a name")) add_record(records, MLCTR_HAND_OFF_VARIABLE, "=value");
  if (is("NUL in a variable")) add_record(records, MLCTR_HAND_OFF_VARIABLE, std::string("A=b\0c", 5));
  if (is("relative directory")) add_record(records, MLCTR_HAND_OFF_DIRECTORY, "mnt");
  if (is("cut head")) records += "abc";
  if (is("cut record")) {
    add_record(records, MLCTR_HAND_OFF_VARIABLE, "A=b");
    records.pop_back();
  }
  if (is("endless record")) {
    const mlctr_hand_off_record head{.kind = MLCTR_HAND_OFF_VARIABLE, .length = UINT32_MAX};
    records.append(reinterpret_cast<const char*>(&head), sizeof(head));
  }
  if (is("big records")) add_record(records, 4711, std::string(MLCTR_HAND_OFF_MAX_BYTES, 'x'));
  return records;
}

int make_memfd(const std::string& records) {
  const int fd = ::memfd_create("records", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0 || ::write(fd, records.data(), records.size()) != static_cast<ssize_t>(records.size())) die("memfd");
  if (!is("not sealed")) ::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW);
  return fd;
}

int open_namespace(pid_t pid, const char* type) {
  const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + type;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path.c_str());
  return fd;
}

std::vector<int> make_descriptors(pid_t container) {
  std::vector<int> fds{make_memfd(make_records())};
  fds.push_back(is("no namespace") ? ::open("/dev/null", O_RDONLY) : open_namespace(container, "user"));
  if (!is("no mount namespace")) fds.push_back(open_namespace(is("host's files") ? ::getpid() : container, "mnt"));
  fds.push_back(open_namespace(container, "uts"));
  while (is("many descriptors") && fds.size() < 50) fds.push_back(open_namespace(container, "uts"));
  return fds;
}

std::string make_text(std::size_t namespaces) {
  if (is("other version")) return "mlctr2 3 0 0 0";
  if (is("unknown flag")) return "mlctr1 3 0 0 1";
  if (is("odd number")) return "mlctr1 3 0 0x0 0";
  if (is("huge number")) return "mlctr1 4294967299 0 0 0";
  if (is("number too many")) return "mlctr1 3 0 0 0 0";
  if (is("text without end")) return "mlctr1 3 0 0 " + std::string(4000, '0');
  if (is("missing descriptor")) ++namespaces;
  if (is("nothing to enter")) namespaces = 0;
  const char* const ids = is("identity") ? " 1234 2345 0" : is("another user") ? " 5 0 0" : " 0 0 0";
  return "mlctr1 " + std::to_string(namespaces) + ids;
}

void send_message(int socket, const std::string& text, const std::vector<int>& fds) {
  iovec data{.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};
  std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  *rights = {.cmsg_len = CMSG_LEN(fds.size() * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  if (::sendmsg(socket, &header, 0) < 0) die("sendmsg");
}

void note_call(int count, char** words) {
  const char* const log = std::getenv("FAKE_LOG");
  if (log == nullptr) return;
  std::ostringstream lines;
  for (int i = 0; i < count; ++i) lines << words[i] << '\n';
  lines << "in " << std::filesystem::current_path().string() << '\n';
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) lines << "descriptor " << fd << '\n';
  }
  std::ofstream(log, std::ios::app) << lines.str();
}

}  // namespace

int main(int count, char** words) {
  const char* const wanted = std::getenv("FAKE");
  fake = wanted == nullptr ? "" : wanted;
  note_call(count, words);
  if (is("fails")) {
    std::fprintf(stderr, "no such image\n");
    return 5;
  }
  if (is("killed")) ::raise(SIGKILL);
  if (is("cancelled")) ::raise(SIGTERM);
  if (is("silent")) return 0;
  if (count > 2 && std::strcmp(words[2], "save") == 0) return is("cannot save") ? 3 : 0;
  const pid_t container = start_container();
  const std::vector<int> fds = make_descriptors(container);
  send_message(3, make_text(fds.size() - 1), fds);
  ::kill(container, SIGKILL);
  ::waitpid(container, nullptr, 0);
  return is("fails after all") ? 5 : 0;
}
