// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// xdplane exec: runs a program whose bpf(2) goes to a running data plane.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <filesystem>
#include <fstream>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/remote/client.h"
#include "cli/command.h"
#include "dataplane/bpf_server.h"
#include "dataplane/control_server.h"

namespace xdplane::cli {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using Strings = std::vector<std::string>;

constexpr std::string_view kUsageLine = "xdplane exec [OPTION...] -- COMMAND [ARGUMENT...]";
constexpr std::string_view kAbout =
    "Runs COMMAND, an unmodified program, with its bpf(2) going to a running `xdplane run`: it sees the\n"
    "data plane's programs and maps as if they were the kernel's, may change maps, make and load its own,\n"
    "pin them below /sys/fs/bpf, which is the data plane's too, and attach XDP programs to ports, which are\n"
    "its network interfaces. Nothing of it reaches the kernel's bpf(2).\n"
    "For programs that are linked dynamically with glibc and call bpf(2) through it, as bpftool and libbpf "
    "do.";
constexpr std::string_view kExamples =
    "Examples:\n"
    "  xdplane exec -- bpftool map show\n"
    "  xdplane exec -- bpftool -j prog show\n"
    "  xdplane exec -- bpftool map update name chain_closed key 0 80 6 0 value 0 0 0 0 0 0 0 0\n"
    "  xdplane exec -- bpftool map pin name flows /sys/fs/bpf/flows\n"
    "  xdplane exec -- unlink /sys/fs/bpf/flows\n"
    "  xdplane exec -- bpftool net attach xdp name flowcount dev left\n"
    "  xdplane exec --control /run/left.sock -- bash\n"
    "\nExit status: COMMAND's; 1 if it could not be started, 2 for bad usage.";

/// Where a build, and `make install`, put the library that is loaded into COMMAND, relative to this program.
constexpr std::array kPlaces = {"bpf/remote", "../lib/xdplane", "../lib/x86_64-linux-gnu/xdplane",
                                "../lib/aarch64-linux-gnu/xdplane"};

Result<std::string> find_preload() {
    std::error_code ignored;
    const fs::path directory = fs::read_symlink("/proc/self/exe", ignored).parent_path();
    for (const char* place : kPlaces) {
        const fs::path candidate = directory / place / "libxdplane-preload.so";
        if (fs::exists(candidate, ignored)) return candidate.lexically_normal().string();
    }
    return fail(ENOENT, "libxdplane-preload.so is neither in {} nor in ../lib/xdplane from there",
                (directory / kPlaces[0]).string());
}

/// What COMMAND is taken for where it stands in front of --, or without one; empty if nothing does.
std::string misplaced_command(const Strings& words) {
    for (auto word = words.begin(); word != words.end() && *word != "--"; ++word) {
        if (!word->starts_with("-")) return *word;
        if (*word == "--control" && word + 1 != words.end()) ++word;
    }
    return {};
}

/// Connects and hangs up: what is wrong is said before COMMAND starts.
Result<> check_socket(const std::string& path) {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    if (path.size() > kMaxSocketPath)
        return fail(ENAMETOOLONG, "{}: more than {} characters", path, kMaxSocketPath);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail(errno, "{}: {} (is `xdplane run` running?)", path, std::strerror(errno));
    return {};
}

/// As execvp() looks for it.
std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* const list = std::getenv("PATH");
    std::string directories = list != nullptr ? list : "/bin:/usr/bin";
    for (std::size_t at = 0; at <= directories.size();) {
        const std::size_t end = std::min(directories.find(':', at), directories.size());
        const std::string path = directories.substr(at, end - at) + "/" + name;
        if (access(path.c_str(), X_OK) == 0 && !fs::is_directory(path)) return path;
        at = end + 1;
    }
    return name;
}

/// Into a program that is linked statically, or that has more rights than who starts it, nothing is loaded.
Result<> check_program(const std::string& path) {
    struct stat st{};
    if (stat(path.c_str(), &st) != 0) return {}; // execvp() says it
    const bool other_user = (st.st_mode & S_ISUID) != 0 && st.st_uid != geteuid();
    const bool other_group = (st.st_mode & S_ISGID) != 0 && st.st_gid != getegid();
    if (other_user || other_group) return fail(EPERM, "{}: is set-user-ID or set-group-ID", path);
    std::ifstream file(path, std::ios::binary);
    Elf64_Ehdr header{};
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
        return {}; // a script, whose interpreter comes next
    for (u32 i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment{};
        file.seekg(static_cast<std::streamoff>(header.e_phoff + u64{i} * header.e_phentsize));
        file.read(reinterpret_cast<char*>(&segment), sizeof segment);
        if (!file || segment.p_type == PT_INTERP) return {};
    }
    return fail(EINVAL, "{}: is linked statically: its bpf(2) can not be taken", path);
}

/// From now on the kernel's own bpf(2) says ENOSYS to this process and all that come of it: what is not
/// forwarded must not change another machine than was meant.
Result<> close_kernel_bpf() {
#if defined(__x86_64__)
    constexpr u32 kMachine = AUDIT_ARCH_X86_64;
#else
    constexpr u32 kMachine = AUDIT_ARCH_AARCH64;
#endif
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_bpf, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{.len = std::size(code), .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0)
        return fail(errno, "the kernel's own bpf(2) can not be closed (seccomp): {}", std::strerror(errno));
    return {};
}

Result<> run_program(const Strings& command, const std::string& control) {
    const std::string path = fs::absolute(control).string() + std::string(kBpfSocketSuffix);
    auto preload = find_preload();
    if (!preload) return fail(preload.error());
    if (auto there = check_socket(path); !there) return there;
    if (auto good = check_program(find_program(command.front())); !good) return good;
    const char* const before = std::getenv("LD_PRELOAD");
    if (before != nullptr && *before != '\0') *preload += fmt::format(":{}", before);
    setenv("LD_PRELOAD", preload->c_str(), 1);
    setenv(remote::kSocketVariable, path.c_str(), 1);
    if (auto closed = close_kernel_bpf(); !closed) return closed;
    std::signal(SIGPIPE, SIG_DFL); // which main() ignores, and programs do not expect
    Strings words = command;
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    return fail(errno, "{}: {}", command.front(), std::strerror(errno));
}

} // namespace

int exec_command(const Strings& words) {
    const auto separator = std::ranges::find(words, "--");
    Options options{kUsageLine, kAbout, kExamples};
    std::string control = default_control_path();
    if (const std::string command = misplaced_command(words); !command.empty())
        throw UsageError(fmt::format("COMMAND stands behind --, as in: xdplane exec -- {}", command));
    options.visible.add_options()("control", po::value(&control),
                                  "control socket of the data plane; default: that of `xdplane run`");
    po::variables_map values;
    if (!options.parse({words.begin(), separator}, values)) return kSuccess;
    if (separator == words.end() || separator + 1 == words.end())
        throw UsageError("COMMAND is missing: it stands behind --");
    if (control.empty()) throw UsageError("--control is missing, and XDG_RUNTIME_DIR is not set");
    const auto started = run_program({separator + 1, words.end()}, control);
    return failed(started.error());
}

} // namespace xdplane::cli
