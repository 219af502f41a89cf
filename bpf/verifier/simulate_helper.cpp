// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <linux/bpf.h>

#include "bpf/run/run_context.h"
#include "bpf/verifier/simulation.h"

/// Calls of helpers: who may call what, and what holds afterwards. Arguments are helpers_check.cpp's.
namespace xdplane {
namespace {

bool is_array(const Map& map) {
    return map.spec().type == BPF_MAP_TYPE_ARRAY || map.spec().type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/// A look-up with this key finds an element: the result is not null. A cgroup's storage is always there.
bool always_found(const HelperProto& helper, const CallArguments& args) {
    if (helper.id == BPF_FUNC_get_local_storage && !helper.is_kfunc) return true;
    return helper.id == BPF_FUNC_map_lookup_elem && args.key && args.map != nullptr && !args.inner_map &&
           is_array(*args.map) && *args.key < args.map->spec().max_entries;
}

/// Gives the socket that it was given, as another structure. A listener is another socket than its child, and
/// nobody has to release it.
bool casts_socket(const HelperProto& helper) {
    return helper.id == BPF_FUNC_sk_fullsock || helper.id == BPF_FUNC_tcp_sock;
}

/// Maps of sockets give sockets, which have to be released.
bool gives_socket(const HelperProto& helper, const CallArguments& args) {
    return helper.id == BPF_FUNC_map_lookup_elem && args.map != nullptr &&
           (args.map->spec().type == BPF_MAP_TYPE_SOCKMAP || args.map->spec().type == BPF_MAP_TYPE_SOCKHASH);
}

} // namespace

void Verifier::forget_packet_pointers(State& state) {
    for_each_reg(state, [this](RegState& r) {
        const bool slice = r.kind == RegKind::mem && r.of_packet;
        if (r.in_packet() || r.kind == RegKind::packet_end || slice)
            r = privileged() ? RegState::unknown() : RegState{};
    });
}

bool Verifier::check_helper_allowed(const HelperProto* helper, i32 id) {
    if (helper == nullptr) return reject(EINVAL, "invalid func unknown#{}", id);
    const bool allowed = (helper->use & request_.type->use_bit) != 0;
    if (!allowed || (!privileged() && !helper->unprivileged))
        return reject(EINVAL, "program of this type cannot use helper bpf_{}#{}", helper->name, helper->id);
    if (helper->gpl_only && !request_.gpl_compatible)
        return reject(EINVAL, "cannot call GPL-restricted function from non-GPL compatible program");
    return true;
}

/// Which program will be called: a constant index is worth knowing, but only where every path has the same.
bool Verifier::note_tail_call(const CallArguments&, bool first) {
    if (!check_nothing_held("tail_call", true)) return false;
    InsnFacts& f = facts();
    const RegState& index = reg(R3);
    std::optional<u64> key;
    if (index.is_const()) {
        key = index.var.value() & 0xffffffff; // the index has 32 bits
        mark_precise(R3);
    }
    f.constant = first || f.constant == key ? key : std::nullopt;
    function_in(cur_->frame_index()).tail_calls = true;
    // Which programs the prog array will hold, and what they do to the packet, is not known.
    writes_packet_ |= request_.type->packet_write;
    return cur_->frames.size() == 1 || leave_abnormally(RegState::unknown());
}

bool Verifier::call_helper(const Insn& insn) {
    const HelperProto* helper = find_helper(static_cast<u32>(insn.imm));
    return check_helper_allowed(helper, insn.imm) && call_prototype(*helper);
}

/// A helper, or a kernel function that has a row like one.
bool Verifier::call_prototype(const HelperProto& helper) {
    CallArguments args;
    for (u32 i = 0; i < helper.args.size(); ++i) {
        if (helper.args[i] == Arg::none) break;
        if (!check_argument(helper, i, args)) return false;
    }
    if (!check_helper_rules(helper, args)) return false;
    InsnFacts& f = facts();
    f.helper = &helper;
    const bool first = seen_[insn_] == 0;
    seen_[insn_] = 1;
    Map* const known = args.inner_map ? nullptr : args.map;
    f.map = first || f.map == known ? known : nullptr;
    if (helper.id == BPF_FUNC_tail_call && !helper.is_kfunc && !note_tail_call(args, first)) return false;
    if (args.release != 0 && !release_argument(helper, args)) return false;
    if (!apply_effects(helper, args)) return false;
    if (!enter_callback(helper, args)) return false;
    // Writing through a dynptr may move an skb's bytes.
    const bool through_dynptr =
        helper.id == BPF_FUNC_dynptr_write && !helper.is_kfunc && args.dynptr == DynptrKind::skb;
    if (helper.moves_packet || through_dynptr) forget_packet_pointers(*cur_);
    writes_packet_ |= args.dynptr == DynptrKind::skb || args.dynptr == DynptrKind::xdp;
    writes_packet_ |= helper.writes_packet || helper.moves_packet;
    clear_caller_saved();
    return set_helper_result(helper, args);
}

bool Verifier::release_argument(const HelperProto& helper, const CallArguments& args) {
    const Arg kind = helper.args[helper.releases - 1U];
    if (kind == Arg::ringbuf_dynptr) return release_dynptr(args.release);
    return release_object(args.release);
}

/// A dynptr that the helper makes, of its own kind or as the dynptr argument is.
bool Verifier::apply_effects(const HelperProto& helper, CallArguments& args) {
    if (!check_section(helper)) return false;
    const bool of_packet = args.dynptr == DynptrKind::skb || args.dynptr == DynptrKind::xdp;
    if (helper.ret == Ret::dynptr_mem_or_null && helper.is_kfunc && of_packet && !request_.type->packet_write)
        return reject(EINVAL, "the prog does not allow writes to packet data");
    if (args.new_dynptr == 0) return true;
    u32 ref = 0;
    if (helper.acquires) ref = acquire(Reference::Kind::object);
    DynptrKind kind = helper.makes_dynptr;
    bool read_only = kind == DynptrKind::skb && !request_.type->packet_write;
    if (kind == DynptrKind::none) {
        kind = args.dynptr;
        ref = args.dynptr_ref;
        read_only = args.dynptr_read_only;
    }
    return make_dynptr(args.new_dynptr, kind, ref, read_only);
}

bool Verifier::set_helper_result(const HelperProto& helper, const CallArguments& args) {
    RegState r = RegState::unknown();
    const auto nullable = [&](RegKind kind) {
        r = RegState::pointer(kind);
        r.or_null = true;
        r.id = new_id();
    };
    switch (helper.ret) {
    case Ret::nothing: return true;
    case Ret::integer: break;
    case Ret::map_value_or_null:
        if (args.map == nullptr) return reject(EFAULT, "verifier bug: a value of no map");
        nullable(RegKind::map_value);
        r.map = args.map;
        r.inner = args.inner_map;
        r.uid = args.map_uid;
        r.or_null = !always_found(helper, args);
        if (!r.or_null && args.map->spec().record.spin_lock < 0) r.id = 0;
        break;
    case Ret::mem_or_null:
    case Ret::dynptr_rdonly_mem_or_null:
    case Ret::dynptr_mem_or_null:
        nullable(RegKind::mem);
        r.mem_size = static_cast<u32>(args.alloc_size);
        r.ringbuf = helper.ret == Ret::mem_or_null;
        r.read_only = helper.ret == Ret::dynptr_rdonly_mem_or_null;
        r.of_packet = args.dynptr == DynptrKind::skb || args.dynptr == DynptrKind::xdp;
        r.dynptr_id = args.dynptr_id;
        break;
    case Ret::socket_or_null: nullable(RegKind::sock); break;
    case Ret::tcp_sock_or_null: nullable(RegKind::tcp_sock); break;
    case Ret::sock_common_or_null: nullable(RegKind::sock_common); break;
    case Ret::iterator_value_or_null:
        nullable(RegKind::mem);
        r.mem_size = helper.value_size;
        r.read_only = true;
        return step_iterator(args, r);
    case Ret::kptr_or_null: return reject(EINVAL, "kernel pointers are not supported");
    }
    if (args.new_dynptr == 0 && (helper.acquires || gives_socket(helper, args))) {
        r.id = r.ref = acquire(Reference::Kind::object);
    } else if (r.is_pointer() && r.kind != RegKind::map_value) {
        // A socket seen another way, a slice of a record: alive as long as what it came from.
        if (args.dynptr != DynptrKind::none)
            r.ref = args.dynptr_ref;
        else if (casts_socket(helper))
            r.ref = args.ref;
    }
    if (helper.id == BPF_FUNC_get_smp_processor_id && !helper.is_kfunc) {
        Range cpu = Range::of_width(32);
        Range limit = Range::constant(num_possible_cpus());
        if (range_refine(Code::jlt, true, 64, cpu, limit)) r.var = cpu;
    }
    set_reg(R0, r);
    return true;
}

} // namespace xdplane
