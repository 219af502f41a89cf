// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <ctime>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

#include "bpf/interp/interpreter.h"
#include "bpf/jit/jit.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/command.h"
#include "bpf/syscall/load_report.h"
#include "bpf/syscall/prog_tag.h"
#include "bpf/verifier/verifier.h"

namespace xdplane {

namespace {

/// How a shared program is deleted, and where its extras live: found again with std::get_deleter. The extras
/// go with the program; the deleter itself stays until the last weak reference (the table of ids) is gone.
struct ProgramDeleter {
    std::shared_ptr<ProgramExtras> extras;
    void operator()(const Program* program) {
        const auto gone = std::move(extras);
        delete program;
    }
};

/// Names of GPL-compatible licenses, as Linux knows them (include/linux/license.h).
bool gpl_compatible(std::string_view license) {
    constexpr std::string_view kNames[] = {"GPL",          "GPL v2",       "GPL and additional rights",
                                           "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};
    return std::ranges::find(kNames, license) != std::end(kNames);
}

u64 now_ns(clockid_t clock) {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

/// log_true_size, behind core_relo_rec_size: younger than the headers of some systems.
constexpr std::size_t kLogTrueSize = offsetof(bpf_attr, core_relo_rec_size) + sizeof(u32);

std::string license_of(const char* license) {
    constexpr std::size_t kLongest = 127;
    return {license, ::strnlen(license, kLongest)};
}

/// Records whose size the caller names: shorter or longer than what is known, but long ones end in zeros.
template<class T>
Result<std::vector<T>> copy_records(u64 address, u32 count, u32 size, const char* what) {
    constexpr u32 kLargest = 252;
    std::vector<T> records;
    if (count == 0) return records;
    if (size < sizeof(T) || size > kLargest || size % 4 != 0)
        return fail(EINVAL, "invalid {} rec size {}", what, size);
    if (count > kMaxInsns) return fail(EINVAL, "too many {} records", what);
    if (address == 0) return fail(EFAULT, "{} is a null pointer", what);
    records.resize(count);
    for (u32 i = 0; i < count; ++i) {
        const u8* from = user_pointer<const u8>(address) + std::size_t{i} * size;
        if (!tail_is_zero(from, sizeof(T), size)) return fail(E2BIG, "nonzero tailing record in {}", what);
        std::memcpy(&records[i], from, sizeof(T));
    }
    return records;
}

/// One PROG_LOAD on its way from attributes to a program.
class Load {
public:
    explicit Load(const bpf_attr& attr) : attr_(attr) {}

    /// What Linux checks before the verifier, in its order: no log tells of these.
    Result<> check_attributes();
    /// The rest; the log has the verifier's words.
    Result<std::shared_ptr<Program>> run(VerifierLog& log);

private:
    Result<> copy_insns();
    Result<> copy_btf();
    Result<> check_functions() const;
    void describe(const VerifiedProgram& verified, Program::Parts& parts) const;

    const bpf_attr& attr_;
    VerifyRequest request_;
    std::string name_;
    std::shared_ptr<ProgramExtras> extras_ = std::make_shared<ProgramExtras>();
};

Result<> Load::copy_insns() {
    if (attr_.insns == 0) return fail(EFAULT, "insns is a null pointer");
    const auto* from = user_pointer<const Insn>(attr_.insns);
    request_.insns.resize(attr_.insn_cnt);
    std::memcpy(request_.insns.data(), from, attr_.insn_cnt * sizeof(Insn));
    return {};
}

Result<> Load::check_attributes() {
    constexpr u32 kFlags = BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | BPF_F_TEST_STATE_FREQ |
                           BPF_F_SLEEPABLE | BPF_F_TEST_RND_HI32 | BPF_F_XDP_HAS_FRAGS;
    if ((attr_.prog_flags & ~kFlags) != 0) return fail(EINVAL, "unknown prog_flags");
    if (attr_.insn_cnt == 0 || attr_.insn_cnt > kMaxInsns)
        return fail(E2BIG, "{} instructions", attr_.insn_cnt);
    if (attr_.attach_prog_fd != 0 || attr_.attach_btf_id != 0) return fail(EINVAL, "nothing to attach to");
    request_.type = find_program_type(attr_.prog_type, attr_.expected_attach_type);
    if (request_.type == nullptr) return fail(EINVAL, "unknown program type {}", attr_.prog_type);
    if (!request_.type->allows_attach_type(attr_.expected_attach_type))
        return fail(EINVAL, "no such expected_attach_type {}", attr_.expected_attach_type);
    if ((attr_.prog_flags & BPF_F_SLEEPABLE) != 0) return fail(EINVAL, "this program type cannot sleep");
    if (attr_.prog_ifindex != 0) return fail(EINVAL, "no hardware to offload to");
    if (auto r = copy_insns(); !r) return r;
    if (attr_.license == 0) return fail(EFAULT, "license is a null pointer");
    request_.gpl_compatible = gpl_compatible(license_of(user_pointer<const char>(attr_.license)));
    auto name = object_name(attr_.prog_name);
    if (!name) return fail(std::move(name.error()));
    name_ = std::move(*name);
    return {};
}

Result<> Load::copy_btf() {
    if (attr_.func_info_cnt == 0 && attr_.line_info_cnt == 0) return {};
    auto btf = object_from_fd<const Btf>(static_cast<i32>(attr_.prog_btf_fd));
    if (!btf) return fail(std::move(btf.error()));
    request_.btf = std::move(*btf);
    auto functions = copy_records<bpf_func_info>(attr_.func_info, attr_.func_info_cnt,
                                                 attr_.func_info_rec_size, "func_info");
    if (!functions) return fail(std::move(functions.error()));
    extras_->functions = std::move(*functions);
    auto lines = copy_records<bpf_line_info>(attr_.line_info, attr_.line_info_cnt, attr_.line_info_rec_size,
                                             "line_info");
    if (!lines) return fail(std::move(lines.error()));
    extras_->lines = std::move(*lines);
    if (auto r = check_functions(); !r) return r;
    for (const bpf_func_info& f : extras_->functions) request_.functions.push_back({f.insn_off, f.type_id});
    for (const bpf_line_info& l : extras_->lines)
        request_.lines.push_back({l.insn_off, l.file_name_off, l.line_off, l.line_col});
    return {};
}

Result<> Load::check_functions() const {
    const Btf& btf = *request_.btf;
    for (std::size_t i = 0; i < extras_->functions.size(); ++i) {
        const bpf_func_info& f = extras_->functions[i];
        if (i == 0 && f.insn_off != 0)
            return fail(EINVAL, "nonzero insn_off {} for the first func info record", f.insn_off);
        if (i > 0 && f.insn_off <= extras_->functions[i - 1].insn_off)
            return fail(EINVAL, "same or smaller insn offset ({}) than previous func info record ({})",
                        f.insn_off, extras_->functions[i - 1].insn_off);
        if (btf.kind(f.type_id) != BtfKind::func)
            return fail(EINVAL, "invalid type id {} in func info", f.type_id);
    }
    for (std::size_t i = 0; i < extras_->lines.size(); ++i) {
        const bpf_line_info& l = extras_->lines[i];
        if ((i > 0 && l.insn_off <= extras_->lines[i - 1].insn_off) || l.insn_off >= attr_.insn_cnt)
            return fail(EINVAL, "Invalid line_info[{}].insn_off:{} (prev_offset:{} prog->len:{})", i,
                        l.insn_off, i > 0 ? extras_->lines[i - 1].insn_off : 0, attr_.insn_cnt);
        if (btf.string(l.line_off).data() == nullptr || btf.string(l.file_name_off).data() == nullptr)
            return fail(EINVAL, "Invalid line_info[{}].line_off or .file_name_off", i);
    }
    return {};
}

/// As `bpftool prog dump xlated` shows it: fds, which mean nothing later, become ids.
void Load::describe(const VerifiedProgram& verified, Program::Parts& parts) const {
    parts.insns = verified.insns();
    for (std::size_t i = 0; i < parts.insns.size(); ++i) {
        const InsnFacts& facts = verified.facts()[i];
        if (facts.op != Op::ld_imm64 || facts.map == nullptr) continue;
        Insn& insn = parts.insns[i];
        const bool value = insn.src == kMapValue || insn.src == kMapIndexValue;
        insn.src = value ? kMapValue : kMapFd;
        insn.imm = static_cast<i32>(facts.map->id);
    }
}

Result<std::shared_ptr<Program>> Load::run(VerifierLog& log) {
    if (auto r = copy_btf(); !r) return fail(std::move(r.error()));
    Program::Parts parts;
    parts.tag = program_tag(request_.insns);
    parts.type = request_.type;
    parts.name = name_;
    parts.btf = request_.btf;
    parts.gpl_compatible = request_.gpl_compatible;
    parts.jit = engine() == Engine::jit;

    request_.expected_attach_type = attr_.expected_attach_type;
    request_.flags = attr_.prog_flags;
    request_.jit = parts.jit;
    request_.map_by_fd = [](i32 fd) { return object_from_fd<Map>(fd); };
    request_.map_by_index = [fds = attr_.fd_array](i32 index) -> Result<std::shared_ptr<Map>> {
        if (fds == 0) return fail(EPROTO, "fd_idx without fd_array is invalid");
        // The index is the program's: nothing says that the caller's array reaches that far.
        i32 fd = -1;
        iovec to{&fd, sizeof fd};
        iovec from{user_pointer(fds) + i64{index} * i64{sizeof fd}, sizeof fd};
        if (::process_vm_readv(::getpid(), &to, 1, &from, 1, 0) != sizeof fd)
            return fail(EFAULT, "fd_array does not reach index {}", index);
        return object_from_fd<Map>(fd);
    };
    request_.privileged = !unprivileged();
    LoadReport report{.name = name_, .insns = request_.insns.size()};
    const u64 start = now_ns(CLOCK_MONOTONIC);
    auto verified = verify(std::move(request_), log);
    report.verify_ns = now_ns(CLOCK_MONOTONIC) - start;
    report.accepted = verified.has_value();
    report.stats = log.stats;
    report.explanation = log.explanation;
    LoadWatch::report(std::move(report));
    if (!verified) return fail(std::move(verified.error()));
    describe(*verified, parts);
    parts.maps = verified->maps();
    parts.writes_packet = verified->writes_packet();
    parts.insns_processed = verified->insns_processed();

    auto lowered = lower(*verified);
    if (!lowered) return fail(lowered.error(), "lowering");
    parts.context_use = lowered->context_use();
    const auto kept = std::make_shared<const LoweredProgram>(*lowered);
    parts.lowered_listing = [kept] { return kept->disassemble(); };
    if (parts.jit) {
        auto executable = jit(*lowered, &parts.jited);
        if (!executable) return fail(executable.error(), "JIT");
        parts.executable = std::move(*executable);
    } else {
        parts.executable = interpret(std::move(*lowered));
    }
    parts.loaded_at_ns = now_ns(CLOCK_BOOTTIME);
    extras_->uid = ::getuid();
    extras_->expected_attach_type = attr_.expected_attach_type;
    return std::shared_ptr<Program>(new Program(std::move(parts)), ProgramDeleter{extras_});
}

} // namespace

std::shared_ptr<ProgramExtras> extras_of(const std::shared_ptr<const Program>& program) {
    const auto* deleter = std::get_deleter<ProgramDeleter>(program);
    return deleter != nullptr ? deleter->extras : nullptr;
}

long prog_load(Call& call) {
    const bpf_attr& a = call.attr;
    Load load(a);
    if (const auto r = load.check_attributes(); !r) return -r.error().code;
    const UserLog user_log{a.log_level, a.log_size, user_pointer(a.log_buf)};
    if (!user_log.valid()) return -EINVAL;
    if (a.core_relo_cnt != 0) return -EOPNOTSUPP; // relocation by the kernel: light skeletons only

    VerifierLog log;
    log.level = user_log.verifier_level();
    log.room = user_log.size;
    const auto program = load.run(log);
    if (!program && log.reason.empty()) log.text += program.error().message + "\n";
    const int full = user_log.write(log.text, log.begin, std::max<u64>(log.peak, log.text.size()));
    if (user_log.level != 0)
        call.put(kLogTrueSize, static_cast<u32>(std::max<u64>(log.peak, log.text.size()) + 1));
    if (full != 0) return full;
    if (!program) return -program.error().code;
    ObjectTable::instance().add(*program);
    return ObjectTable::instance().open(std::shared_ptr<const Program>(*program), O_RDWR);
}

long prog_bind_map(Call& call) {
    const auto& a = call.attr.prog_bind_map;
    if (a.flags != 0) return -EINVAL;
    const auto program = object_from_fd<const Program>(static_cast<i32>(a.prog_fd));
    if (!program) return -program.error().code;
    const auto map = object_from_fd<Map>(static_cast<i32>(a.map_fd));
    if (!map) return -map.error().code;
    const auto& used = (*program)->parts().maps;
    if (std::ranges::find(used, *map) != used.end()) return 0;
    const auto extras = extras_of(*program);
    if (!extras) return -EINVAL;
    const std::lock_guard guard(extras->lock);
    if (std::ranges::find(extras->bound, *map) == extras->bound.end()) extras->bound.push_back(*map);
    return 0;
}

} // namespace xdplane
