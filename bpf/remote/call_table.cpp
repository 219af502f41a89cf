// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/call_table.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <optional>

namespace xdplane::remote {
namespace {

#define AT(field) static_cast<u16>(offsetof(bpf_attr, field))
#define IN_PROG(field) static_cast<u16>(offsetof(bpf_prog_info, field))
#define IN_BTF(field) static_cast<u16>(offsetof(bpf_btf_info, field))

constexpr Pointer kLookup[] = {{AT(key), Extent::key, false}, {AT(value), Extent::value, true}};
constexpr Pointer kUpdate[] = {{AT(key), Extent::key, false}, {AT(value), Extent::value, false}};
constexpr Pointer kDelete[] = {{AT(key), Extent::key, false}};
constexpr Pointer kNextKey[] = {{AT(key), Extent::key, false}, {AT(next_key), Extent::key, true}};
constexpr Pointer kLookupBatch[] = {{AT(batch.in_batch), Extent::cursor, false},
                                    {AT(batch.out_batch), Extent::cursor, true},
                                    {AT(batch.keys), Extent::keys, true, AT(batch.count)},
                                    {AT(batch.values), Extent::values, true, AT(batch.count)}};
constexpr Pointer kUpdateBatch[] = {{AT(batch.keys), Extent::keys, false, AT(batch.count)},
                                    {AT(batch.values), Extent::values, false, AT(batch.count)}};
constexpr Pointer kDeleteBatch[] = {{AT(batch.keys), Extent::keys, false, AT(batch.count)}};
// core_relos are refused by their number, before anyone looks at them.
constexpr Pointer kProgLoad[] = {
    {AT(insns), Extent::insns, false, AT(insn_cnt), sizeof(bpf_insn)},
    {AT(license), Extent::text, false, 0, 128},
    {AT(log_buf), Extent::counted, true, AT(log_size)},
    {AT(func_info), Extent::records, false, AT(func_info_cnt), AT(func_info_rec_size)},
    {AT(line_info), Extent::records, false, AT(line_info_cnt), AT(line_info_rec_size)},
    {AT(fd_array), Extent::fds, false}};
constexpr Pointer kPath[] = {{AT(pathname), Extent::path, false, 0, 4096}};
constexpr Pointer kTestRun[] = {{AT(test.data_in), Extent::counted, false, AT(test.data_size_in)},
                                {AT(test.data_out), Extent::room, true, AT(test.data_size_out)},
                                {AT(test.ctx_in), Extent::counted, false, AT(test.ctx_size_in)},
                                {AT(test.ctx_out), Extent::counted, true, AT(test.ctx_size_out)}};
constexpr Pointer kInfo[] = {{AT(info.info), Extent::info, true, AT(info.info_len)}};
constexpr Pointer kBtfLoad[] = {{AT(btf), Extent::counted, false, AT(btf_size)},
                                {AT(btf_log_buf), Extent::counted, true, AT(btf_log_size)}};
constexpr Pointer kFdinfo[] = {
    {offsetof(FdinfoCall, text), Extent::counted, true, offsetof(FdinfoCall, size)}};
constexpr Pointer kOnPathPath[] = {{offsetof(PathCall, path), Extent::path, false, 0, 4096}};
constexpr Pointer kInterfaces[] = {
    {offsetof(InterfacesCall, records), Extent::counted, true, offsetof(InterfacesCall, size)}};

constexpr RemoteCall kCalls[] = {
    {BPF_MAP_CREATE, {AT(inner_map_fd), AT(btf_fd)}, {}, true},
    {BPF_MAP_LOOKUP_ELEM, {AT(map_fd)}, kLookup},
    {BPF_MAP_UPDATE_ELEM, {AT(map_fd)}, kUpdate},
    {BPF_MAP_DELETE_ELEM, {AT(map_fd)}, kDelete},
    {BPF_MAP_GET_NEXT_KEY, {AT(map_fd)}, kNextKey},
    {BPF_MAP_LOOKUP_AND_DELETE_ELEM, {AT(map_fd)}, kLookup},
    {BPF_MAP_FREEZE, {AT(map_fd)}, {}},
    {BPF_MAP_LOOKUP_BATCH, {AT(batch.map_fd)}, kLookupBatch},
    {BPF_MAP_LOOKUP_AND_DELETE_BATCH, {AT(batch.map_fd)}, kLookupBatch},
    {BPF_MAP_UPDATE_BATCH, {AT(batch.map_fd)}, kUpdateBatch},
    {BPF_MAP_DELETE_BATCH, {AT(batch.map_fd)}, kDeleteBatch},
    {BPF_PROG_LOAD, {AT(prog_btf_fd)}, kProgLoad, true},
    {BPF_PROG_BIND_MAP, {AT(prog_bind_map.prog_fd), AT(prog_bind_map.map_fd)}, {}},
    {BPF_OBJ_PIN, {AT(bpf_fd)}, kPath},
    {BPF_OBJ_GET, {}, kPath, true},
    {BPF_PROG_TEST_RUN, {AT(test.prog_fd)}, kTestRun},
    {BPF_OBJ_GET_INFO_BY_FD, {AT(info.bpf_fd)}, kInfo},
    {BPF_BTF_LOAD, {}, kBtfLoad, true},
    {BPF_PROG_GET_NEXT_ID, {}, {}},
    {BPF_MAP_GET_NEXT_ID, {}, {}},
    {BPF_BTF_GET_NEXT_ID, {}, {}},
    {BPF_PROG_GET_FD_BY_ID, {}, {}, true},
    {BPF_MAP_GET_FD_BY_ID, {}, {}, true},
    {BPF_BTF_GET_FD_BY_ID, {}, {}, true},
    // What else these may name and point to, for other types than XDP, is never looked at.
    {BPF_PROG_ATTACH, {AT(attach_bpf_fd)}, {}},
    {BPF_PROG_DETACH, {}, {}},
    {BPF_PROG_QUERY, {}, {}},
    {BPF_LINK_CREATE, {AT(link_create.prog_fd)}, {}, true},
    {BPF_LINK_UPDATE,
     {AT(link_update.link_fd), AT(link_update.new_prog_fd), AT(link_update.old_prog_fd)},
     {}},
    {BPF_LINK_DETACH, {AT(link_detach.link_fd)}, {}},
    {BPF_LINK_GET_NEXT_ID, {}, {}},
    {BPF_LINK_GET_FD_BY_ID, {}, {}, true},
    {BPF_ENABLE_STATS, {}, {}, true},
    {kGetShape, {offsetof(ShapeCall, fd)}, {}},
    {kGetMemory, {offsetof(MemoryCall, fd)}, {}},
    {kGetFdinfo, {offsetof(FdinfoCall, fd)}, kFdinfo},
    {kOnPath, {}, kOnPathPath},
    {kGetWaiter, {offsetof(WaiterCall, fd)}, {}},
    {kSettle, {}, {}},
    {kListInterfaces, {}, kInterfaces},
    {kSetXdp, {offsetof(SetXdpCall, program), offsetof(SetXdpCall, expected)}, {}},
};

/// The info structure has pointers of its own.
constexpr Pointer kProgramInfo[] = {
    {IN_PROG(jited_prog_insns), Extent::counted, true, IN_PROG(jited_prog_len)},
    {IN_PROG(xlated_prog_insns), Extent::counted, true, IN_PROG(xlated_prog_len)},
    {IN_PROG(map_ids), Extent::counted, true, IN_PROG(nr_map_ids), sizeof(u32)},
    {IN_PROG(jited_ksyms), Extent::counted, true, IN_PROG(nr_jited_ksyms), sizeof(u64)},
    {IN_PROG(jited_func_lens), Extent::counted, true, IN_PROG(nr_jited_func_lens), sizeof(u32)},
    {IN_PROG(func_info), Extent::counted, true, IN_PROG(nr_func_info), sizeof(bpf_func_info)},
    {IN_PROG(line_info), Extent::counted, true, IN_PROG(nr_line_info), sizeof(bpf_line_info)},
    {IN_PROG(jited_line_info), Extent::counted, true, IN_PROG(nr_jited_line_info), sizeof(u64)},
    {IN_PROG(prog_tags), Extent::counted, true, IN_PROG(nr_prog_tags), BPF_TAG_SIZE}};
constexpr Pointer kBtfInfo[] = {{IN_BTF(btf), Extent::counted, true, IN_BTF(btf_size)},
                                {IN_BTF(name), Extent::counted, true, IN_BTF(name_len)}};
#undef AT
#undef IN_PROG
#undef IN_BTF

std::span<const Pointer> info_pointers(Kind kind) {
    switch (kind) {
    case Kind::program: return kProgramInfo;
    case Kind::btf: return kBtfInfo;
    default: return {};
    }
}

/// Map types whose values have an fd in them, and where.
struct FdInValue {
    u32 type;
    u32 at;
};
constexpr FdInValue kFdsInValues[] = {{BPF_MAP_TYPE_PROG_ARRAY, 0},    {BPF_MAP_TYPE_PERF_EVENT_ARRAY, 0},
                                      {BPF_MAP_TYPE_ARRAY_OF_MAPS, 0}, {BPF_MAP_TYPE_HASH_OF_MAPS, 0},
                                      {BPF_MAP_TYPE_DEVMAP, 4},        {BPF_MAP_TYPE_DEVMAP_HASH, 4},
                                      {BPF_MAP_TYPE_CPUMAP, 4}};

template<class T>
T load(const u8* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

class Walk {
public:
    Walk(const RemoteCall& call, CallWalker& walker) : call_(call), walker_(walker) {}

    int attributes(std::span<u8> block, u32 size) {
        attributes_ = block;
        for (const u16 at : {call_.fds.first, call_.fds.second, call_.fds.third}) {
            if (at == kNoFd || at >= size) continue;
            if (at + sizeof(i32) > size) return EINVAL;
            walker_.fd(&block[at]);
        }
        return pointers(call_.pointers, block, size);
    }

private:
    /// `block` has room for every field of the rows, `size` of it is what both sides have.
    int pointers(std::span<const Pointer> rows, std::span<u8> block, u32 size) {
        for (const Pointer& row : rows) {
            if (row.at >= size) continue;
            if (row.at + sizeof(u64) > size) return EINVAL;
            if (load<u64>(&block[row.at]) == 0) continue;
            const u64 bytes = size_of(row, block);
            u8* const memory = walker_.memory(row, &block[row.at], bytes);
            if (memory == nullptr && walker_.error() != 0) return walker_.error();
            if (memory == nullptr) continue;
            if (row.extent == Extent::room && load<u32>(&block[row.count]) == 0)
                walker_.set_size(&block[row.count], static_cast<u32>(bytes));
            if (const int error = inside(row, {memory, bytes}); error != 0) return error;
        }
        return 0;
    }

    /// Asked for where it matters: it costs the client a question.
    const Shape& shape() {
        if (!shape_)
            shape_ =
                call_.fds.first == kNoFd ? Shape{} : walker_.shape(load<i32>(&attributes_[call_.fds.first]));
        return *shape_;
    }

    [[nodiscard]] u64 size_of(const Pointer& row, std::span<const u8> block) {
        const u64 count = load<u32>(&block[row.count]);
        switch (row.extent) {
        case Extent::counted:
        case Extent::insns: return count * row.size;
        case Extent::records: return count * load<u32>(&block[row.size]);
        case Extent::room: return count != 0 ? count : kOpenEnd;
        case Extent::text:
        case Extent::path: return row.size;
        case Extent::key: return shape().key_size;
        case Extent::value: return shape().value_size;
        case Extent::keys: return count * shape().key_size;
        case Extent::values: return count * shape().value_size;
        case Extent::cursor: return std::max<u64>(shape().key_size, sizeof(u32));
        case Extent::fds: return u64{fds_wanted_} * sizeof(i32);
        case Extent::info: return count;
        }
        return 0;
    }

    int inside(const Pointer& row, std::span<u8> memory) {
        switch (row.extent) {
        case Extent::insns: return instructions(memory);
        case Extent::fds:
            for (std::size_t i = 0; i < memory.size(); i += sizeof(i32)) walker_.fd(&memory[i]);
            return 0;
        case Extent::value:
        case Extent::values:
            if (!row.out) values(memory);
            return 0;
        case Extent::info: return info(memory);
        default: return 0;
        }
    }

    int instructions(std::span<u8> memory) {
        // More are refused by their number, before anyone looks at them.
        if (memory.size() > kMaxInstructions * sizeof(bpf_insn)) return 0;
        for (std::size_t i = 0; i + sizeof(bpf_insn) <= memory.size(); i += sizeof(bpf_insn)) {
            const auto insn = load<bpf_insn>(&memory[i]);
            if (insn.code != (BPF_LD | BPF_IMM | BPF_DW)) continue;
            if (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE) {
                walker_.fd(&memory[i + offsetof(bpf_insn, imm)]);
            } else if (insn.src_reg == BPF_PSEUDO_MAP_IDX || insn.src_reg == BPF_PSEUDO_MAP_IDX_VALUE) {
                if (insn.imm < 0 || insn.imm >= kMaxFdIndex) return EFAULT;
                fds_wanted_ = std::max(fds_wanted_, static_cast<u32>(insn.imm) + 1);
            }
            i += sizeof(bpf_insn); // it has two places
        }
        return 0;
    }

    void values(std::span<u8> memory) {
        const auto* const row = std::ranges::find(kFdsInValues, shape().map_type, &FdInValue::type);
        if (row == std::end(kFdsInValues) || shape().value_size < row->at + sizeof(i32)) return;
        for (std::size_t i = 0; i + shape().value_size <= memory.size(); i += shape().value_size)
            walker_.fd(&memory[i + row->at]);
    }

    /// A structure of any length, which is longer in younger headers.
    int info(std::span<u8> memory) {
        const auto rows = info_pointers(shape().kind);
        alignas(8) std::array<u8, sizeof(bpf_prog_info)> fields{};
        const std::size_t known = std::min(memory.size(), fields.size());
        std::copy_n(memory.data(), known, fields.data());
        // Whole ones only are read through in place.
        if (memory.size() >= fields.size()) return pointers(rows, memory, static_cast<u32>(memory.size()));
        const int error = pointers(rows, fields, static_cast<u32>(known));
        std::copy_n(fields.data(), known, memory.data());
        return error;
    }

    static constexpr i32 kMaxFdIndex = 1024;
    static constexpr std::size_t kMaxInstructions = 1'000'000; // of PROG_LOAD

    const RemoteCall& call_;
    CallWalker& walker_;
    std::span<const u8> attributes_;
    std::optional<Shape> shape_;
    u32 fds_wanted_ = 0;
};

} // namespace

const RemoteCall* find_remote_call(u32 command) {
    const auto* const row = std::ranges::find(kCalls, command, &RemoteCall::command);
    return row == std::end(kCalls) ? nullptr : row;
}

int walk_call(const RemoteCall& call, std::span<u8, kMaxAttributes> attributes, u32 size,
              CallWalker& walker) {
    return Walk(call, walker).attributes(attributes, size);
}

} // namespace xdplane::remote
