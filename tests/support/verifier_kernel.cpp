// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "tests/support/verifier_kernel.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/isa/opcodes.h"
#include "tests/support/kernel_bpf.h"

namespace xdplane::test {
namespace {

constexpr u32 kLogSize = 1 << 20;
constexpr uid_t kNobody = 65534;

bpf_attr cleared() {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    return attr;
}

template<class T>
u64 address(T* pointer) {
    return reinterpret_cast<u64>(pointer);
}

Result<UniqueFd> load_btf(const std::string& blob) {
    bpf_attr attr = cleared();
    attr.btf = address(blob.data());
    attr.btf_size = static_cast<u32>(blob.size());
    const long fd = kernel_bpf(BPF_BTF_LOAD, &attr, sizeof attr);
    if (fd < 0) return fail(static_cast<int>(-fd), "BTF cannot be loaded: {}", fd);
    return UniqueFd(static_cast<int>(fd));
}

Result<> fill_map(const CaseMap& c, u32 fd) {
    if (!c.data.empty()) {
        std::vector<u8> value = c.data;
        value.resize(c.value_size);
        const u32 key = 0;
        bpf_attr attr = cleared();
        attr.map_fd = fd;
        attr.key = address(&key);
        attr.value = address(value.data());
        if (kernel_bpf(BPF_MAP_UPDATE_ELEM, &attr, sizeof attr) != 0)
            return fail(EIO, "value cannot be stored");
    }
    if (c.frozen) {
        bpf_attr attr = cleared();
        attr.map_fd = fd;
        if (kernel_bpf(BPF_MAP_FREEZE, &attr, sizeof attr) != 0) return fail(EIO, "map cannot be frozen");
    }
    return {};
}

/// Loads a program of the type that tail-calls through the prog array: from then on it is of that type.
Result<> use_prog_array(const std::string& type, int fd) {
    const Insn insns[] = {{.opcode = 0x18, .dst = R2, .src = kMapFd, .off = 0, .imm = fd},
                          {},
                          {.opcode = 0xb7, .dst = R3, .src = 0, .off = 0, .imm = 0},
                          {.opcode = 0x85, .dst = 0, .src = 0, .off = 0, .imm = BPF_FUNC_tail_call},
                          {.opcode = 0xb7, .dst = R0, .src = 0, .off = 0, .imm = 0},
                          {.opcode = 0x95, .dst = 0, .src = 0, .off = 0, .imm = 0}};
    bpf_attr attr = cleared();
    attr.prog_type = type_of_name(type)->type;
    attr.insns = address(insns);
    attr.insn_cnt = std::size(insns);
    attr.license = address("GPL");
    const long program = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (program < 0) return fail(static_cast<int>(-program), "no program can use the prog array");
    kernel_close(static_cast<int>(program));
    return {};
}

Result<UniqueFd> make_kernel_map(const CaseMap& c) {
    bpf_attr attr = cleared();
    attr.map_type = c.type();
    attr.key_size = c.key_size;
    attr.value_size = c.value_size;
    attr.max_entries = c.entries;
    attr.map_flags = c.flags;
    attr.map_extra = c.extra;
    c.name().copy(attr.map_name, sizeof attr.map_name - 1);
    UniqueFd inner;
    UniqueFd btf;
    if (c.inner) {
        auto made = make_kernel_map(*c.inner);
        if (!made) return made;
        inner = std::move(*made);
        attr.inner_map_fd = static_cast<u32>(inner.get());
    }
    if (c.has_btf()) {
        const MapBtf types = make_map_btf(c);
        auto loaded = load_btf(types.blob);
        if (!loaded) return loaded;
        btf = std::move(*loaded);
        attr.btf_fd = static_cast<u32>(btf.get());
        attr.btf_key_type_id = types.key_type;
        attr.btf_value_type_id = types.value_type;
    }
    const long fd = kernel_bpf(BPF_MAP_CREATE, &attr, sizeof attr);
    if (fd < 0) return fail(static_cast<int>(-fd), "map {} cannot be made: {}", c.kind, fd);
    UniqueFd map(static_cast<int>(fd));
    if (auto r = fill_map(c, static_cast<u32>(fd)); !r) return fail(r.error());
    if (!c.owner.empty())
        if (auto r = use_prog_array(c.owner, map.get()); !r) return fail(r.error());
    return map;
}

/// The case's numbers of maps become fds.
void put_maps(std::vector<Insn>& insns, const std::vector<UniqueFd>& maps) {
    for (std::size_t i = 0; i < insns.size(); ++i) {
        Insn& insn = insns[i];
        if (insn.opcode != 0x18) continue;
        if (insn.src == kMapFd || insn.src == kMapValue) {
            const bool known = insn.imm >= 1 && static_cast<std::size_t>(insn.imm) <= maps.size();
            insn.imm = known ? maps[static_cast<std::size_t>(insn.imm) - 1].get() : 9999; // no such fd
        }
        ++i;
    }
}

/// PROG_LOAD, and again without a log where that has too much to say.
long load(bpf_attr attr) {
    const long fd = kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd != -ENOSPC) return fd;
    attr.log_level = 0;
    attr.log_buf = 0;
    attr.log_size = 0;
    return kernel_bpf(BPF_PROG_LOAD, &attr, sizeof attr);
}

/// Lets everyone load programs for as long as it lives, one process at a time.
class UnprivilegedBpf {
public:
    UnprivilegedBpf() : file_(::open("/proc/sys/kernel/unprivileged_bpf_disabled", O_RDWR | O_CLOEXEC)) {
        if (!file_ || ::flock(file_.get(), LOCK_EX) != 0) return;
        if (::pread(file_.get(), &before_, 1, 0) != 1) return;
        allowed_ = before_ == '0' || ::pwrite(file_.get(), "0", 1, 0) == 1;
    }
    ~UnprivilegedBpf() {
        if (allowed_ && before_ != '0' && ::pwrite(file_.get(), &before_, 1, 0) != 1) std::abort();
    }
    UnprivilegedBpf(const UnprivilegedBpf&) = delete;
    UnprivilegedBpf& operator=(const UnprivilegedBpf&) = delete;
    [[nodiscard]] bool allowed() const { return allowed_; }

private:
    UniqueFd file_;
    char before_ = 0;
    bool allowed_ = false;
};

/// load() by a process that has no capabilities; the log must be in shared memory.
Result<long> load_unprivileged(const bpf_attr& attr) {
    const UnprivilegedBpf unprivileged;
    if (!unprivileged.allowed())
        return fail(EPERM, "kernel.unprivileged_bpf_disabled cannot be cleared for a moment");
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return fail(errno, "no pipe");
    const UniqueFd read_end(ends[0]);
    const UniqueFd write_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) return fail(errno, "cannot fork");
    if (child == 0) {
        long result = -EXDEV; // no verdict
        if (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0) result = load(attr);
        const bool told = ::write(ends[1], &result, sizeof result) == sizeof result;
        ::_exit(told ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    long result = 0;
    if (status != 0 || ::read(ends[0], &result, sizeof result) != sizeof result || result == -EXDEV)
        return fail(EPERM, "the privileges cannot be dropped");
    return result;
}

} // namespace

Result<KernelVerdict> ask_kernel(const VerifierCase& one, VerifyRequest request, u32 log_level) {
    std::vector<UniqueFd> maps;
    std::vector<int> fd_array{0};
    for (const CaseMap& map : one.maps) {
        auto fd = make_kernel_map(map);
        if (!fd) return fail(fd.error());
        fd_array.push_back(fd->get());
        maps.push_back(std::move(*fd));
    }
    put_maps(request.insns, maps);
    bpf_attr attr = cleared();
    UniqueFd btf;
    FunctionBtf types;
    if (one.btf) {
        auto made = make_function_btf(one, request.insns);
        if (!made) return fail(made.error());
        types = std::move(*made);
        auto loaded = load_btf(types.blob);
        if (!loaded) return fail(loaded.error());
        btf = std::move(*loaded);
        attr.prog_btf_fd = static_cast<u32>(btf.get());
        attr.func_info = address(types.functions.data());
        attr.func_info_cnt = static_cast<u32>(types.functions.size());
        attr.func_info_rec_size = sizeof(FuncInfo);
    }
    void* shared = ::mmap(nullptr, kLogSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return fail(errno, "no memory for the log");
    attr.prog_type = request.type->type;
    attr.expected_attach_type = request.expected_attach_type;
    attr.insns = address(request.insns.data());
    attr.insn_cnt = static_cast<u32>(request.insns.size());
    attr.license = address(one.gpl ? "GPL" : "BSD");
    attr.prog_flags = request.flags;
    attr.fd_array = address(fd_array.data());
    attr.log_level = log_level;
    attr.log_buf = address(shared);
    attr.log_size = kLogSize;
    Result<long> fd = one.privileged ? Result<long>(load(attr)) : load_unprivileged(attr);
    const std::string log = static_cast<const char*>(shared);
    ::munmap(shared, kLogSize);
    if (!fd) return fail(fd.error());
    if (*fd >= 0 && one.privileged) kernel_close(static_cast<int>(*fd));
    return KernelVerdict{*fd >= 0, *fd < 0 ? static_cast<int>(-*fd) : 0, log};
}

} // namespace xdplane::test
