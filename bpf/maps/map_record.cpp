// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/maps/map_record.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "bpf/btf/btf.h"
#include "bpf/maps/map.h"

namespace xdplane {
namespace {

/// Structs within structs that are searched (Linux's MAX_RESOLVE_DEPTH is of the same kind).
constexpr u32 kMaxDepth = 8;

struct SpecialType {
    std::string_view name;
    i32 MapRecord::* offset; ///< null: not supported here
    u32 size;
    u32 align;
};
constexpr std::array kSpecialTypes = {
    SpecialType{"bpf_spin_lock", &MapRecord::spin_lock, MapRecord::kSpinLockSize, 4},
    SpecialType{"bpf_timer", &MapRecord::timer, MapRecord::kTimerSize, 8},
    SpecialType{"bpf_res_spin_lock", nullptr, 4, 4},
    SpecialType{"bpf_wq", nullptr, 16, 8},
    SpecialType{"bpf_list_head", nullptr, 16, 8},
    SpecialType{"bpf_list_node", nullptr, 24, 8},
    SpecialType{"bpf_rb_root", nullptr, 16, 8},
    SpecialType{"bpf_rb_node", nullptr, 32, 8},
    SpecialType{"bpf_refcount", nullptr, 4, 4},
};

bool one_of(u32 type, std::initializer_list<u32> allowed) {
    return std::ranges::find(allowed, type) != allowed.end();
}

class Reader {
public:
    explicit Reader(const Btf& btf) : btf_(btf) {}

    Result<MapRecord> read(u32 type) {
        if (auto r = walk(type, 0, 0); !r) return fail(std::move(r.error()));
        return record_;
    }

private:
    Result<> note(const SpecialType& special, u64 offset, u32 size) {
        if (special.offset == nullptr)
            return fail(EOPNOTSUPP, "values with a struct {} are not supported", special.name);
        if (size != special.size || offset % special.align != 0)
            return fail(EINVAL, "a struct {} is not where it can be", special.name);
        i32& known = record_.*special.offset;
        if (known >= 0) return fail(E2BIG, "a second struct {}", special.name);
        known = static_cast<i32>(offset);
        return {};
    }

    Result<> walk(u32 id, u64 offset, u32 depth) {
        const u32 type = btf_.resolve(id);
        switch (btf_.kind(type)) {
        case BtfKind::struct_:
        case BtfKind::union_: {
            const auto special = std::ranges::find(kSpecialTypes, btf_.name(type), &SpecialType::name);
            if (special != kSpecialTypes.end()) return note(*special, offset, btf_.type(type).size_or_type);
            if (depth >= kMaxDepth) return {};
            for (const Btf::Member& member : btf_.members(type))
                if (member.bitfield_size == 0)
                    if (auto r = walk(member.type, offset + member.bit_offset / 8, depth + 1); !r) return r;
            return {};
        }
        case BtfKind::array: {
            const Btf::Array array = btf_.array(type);
            if (array.count == 0 || depth >= kMaxDepth) return {};
            // Two elements tell as much as all of them: a lock may be there only once.
            const u64 size = btf_.size_of(array.type).value_or(0);
            for (u32 i = 0; i < std::min(array.count, 2U); ++i)
                if (auto r = walk(array.type, offset + i * size, depth + 1); !r) return r;
            return {};
        }
        case BtfKind::ptr: return check_pointer(type);
        default: return {};
        }
    }

    /// Pointers tagged kptr hold kernel objects.
    Result<> check_pointer(u32 type) const {
        const u32 target = btf_.target(type);
        if (btf_.kind(target) != BtfKind::type_tag) return {};
        if (!btf_.name(target).starts_with("kptr") && btf_.name(target) != "percpu_kptr" &&
            btf_.name(target) != "uptr")
            return {};
        return fail(EOPNOTSUPP, "values with kernel pointers are not supported");
    }

    const Btf& btf_;
    MapRecord record_;
};

} // namespace

Result<MapRecord> read_map_record(const MapSpec& spec) {
    if (!spec.btf || spec.btf_value_type_id == 0) return MapRecord{};
    auto record = Reader(*spec.btf).read(spec.btf_value_type_id);
    if (!record || !record->any()) return record;
    if ((spec.flags & (BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG)) != 0)
        return fail(EACCES, "values of maps that programs cannot write have no locks or timers");
    if (record->spin_lock >= 0 &&
        !one_of(spec.type, {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_CGROUP_STORAGE,
                            BPF_MAP_TYPE_SK_STORAGE, BPF_MAP_TYPE_INODE_STORAGE, BPF_MAP_TYPE_TASK_STORAGE}))
        return fail(EOPNOTSUPP, "values of this map type have no spin locks");
    if (record->timer >= 0 &&
        !one_of(spec.type, {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_ARRAY}))
        return fail(EOPNOTSUPP, "values of this map type have no timers");
    return record;
}

} // namespace xdplane
