// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <array>
#include <cerrno>

#include "bpf/btf/btf.h"
#include "bpf/verifier/simulation.h"

/// Global functions are verified once, on their own, for any arguments that fit their BTF prototype; callers
/// are held to that (Linux's btf_prepare_func_args and btf_check_func_arg_match).
namespace xdplane {
namespace {

/// What clang calls the context of each program type.
struct ContextType {
    u32 program;
    std::string_view name;
};
constexpr std::array kContexts = {
    ContextType{BPF_PROG_TYPE_XDP, "xdp_md"},           ContextType{BPF_PROG_TYPE_SOCKET_FILTER, "__sk_buff"},
    ContextType{BPF_PROG_TYPE_SCHED_CLS, "__sk_buff"},  ContextType{BPF_PROG_TYPE_SCHED_ACT, "__sk_buff"},
    ContextType{BPF_PROG_TYPE_CGROUP_SKB, "__sk_buff"},
};

constexpr u32 kMaxArguments = 5;

} // namespace

bool Verifier::is_global(u32 function) const {
    if (function == 0 || request_.btf == nullptr || function >= request_.functions.size()) return false;
    const FuncInfo& info = request_.functions[function];
    return info.insn_off == flow_.functions[function].begin &&
           request_.btf->func_linkage(info.type_id) == BtfLinkage::global;
}

std::string Verifier::function_name(u32 function) const {
    if (request_.btf == nullptr || function >= request_.functions.size()) return "";
    return std::string(request_.btf->name(request_.functions[function].type_id));
}

/// By its BTF; without BTF nothing is known.
bool Verifier::returns_scalar(u32 function) const {
    if (request_.btf == nullptr || function >= request_.functions.size()) return false;
    const Btf& btf = *request_.btf;
    const u32 prototype = btf.target(request_.functions[function].type_id);
    const BtfKind kind = btf.kind(btf.resolve(btf.type(prototype).size_or_type)); // what it returns
    return kind == BtfKind::int_ || kind == BtfKind::enum_ || kind == BtfKind::enum64;
}

bool Verifier::is_context_type(u32 type) const {
    const Btf& btf = *request_.btf;
    if (btf.kind(type) != BtfKind::struct_) return false;
    return std::ranges::any_of(kContexts, [&](const ContextType& row) {
        return row.program == request_.type->type && row.name == btf.name(type);
    });
}

bool Verifier::has_argument_tag(u32 func_type, u32 index, std::string_view tag) const {
    const auto tags = request_.btf->decl_tags(func_type, static_cast<i32>(index));
    return std::ranges::find(tags, tag) != tags.end();
}

bool Verifier::read_global_argument(u32 function, u32 index, u32 type, GlobalArgument& out) {
    const Btf& btf = *request_.btf;
    const u32 func_type = request_.functions[function].type_id;
    const u32 resolved = btf.resolve(type);
    const BtfKind kind = btf.kind(resolved);
    if (kind == BtfKind::int_ || kind == BtfKind::enum_ || kind == BtfKind::enum64) return true;
    const std::string name = function_name(function);
    if (kind != BtfKind::ptr)
        return reject(EINVAL, "Arg#{} type {} in {}() is not supported yet.", index,
                      std::string(btf_kind_name(kind)), name);
    const u32 target = btf.resolve(btf.target(resolved));
    if (has_argument_tag(func_type, index, "arg:ctx") || is_context_type(target)) {
        out.kind = GlobalArgument::Kind::ctx;
        return true;
    }
    if (btf.kind(target) == BtfKind::struct_ && btf.name(target) == "bpf_dynptr") {
        out.kind = GlobalArgument::Kind::dynptr;
        return true;
    }
    for (const std::string_view tag : {"arg:trusted", "arg:untrusted", "arg:arena"})
        if (has_argument_tag(func_type, index, tag))
            return reject(EOPNOTSUPP, "arg#{} of {}(): {} is not supported", index, name, tag);
    const std::optional<u32> size = btf.size_of(target);
    if (!size)
        return reject(EINVAL, "arg#{} reference type('{} {}') size cannot be determined: -22", index,
                      std::string(btf_kind_name(btf.kind(target))), std::string(btf.name(target)));
    out.kind = GlobalArgument::Kind::mem;
    out.or_null = !has_argument_tag(func_type, index, "arg:nonnull");
    out.size = *size;
    return true;
}

bool Verifier::read_global_prototype(u32 function, GlobalPrototype& out) {
    const Btf& btf = *request_.btf;
    out.name = function_name(function);
    const u32 prototype = btf.target(request_.functions[function].type_id);
    const auto params = btf.params(prototype);
    if (params.size() > kMaxArguments)
        return reject(EINVAL, "Global function {}() with {} > {} args. Buggy compiler.", out.name,
                      params.size(), kMaxArguments);
    if (!returns_scalar(function))
        return reject(EINVAL, "Global function {}() doesn't return scalar. Only those are supported.",
                      out.name);
    for (u32 i = 0; i < params.size(); ++i) {
        GlobalArgument argument;
        if (!read_global_argument(function, i, params[i].type, argument)) return false;
        out.args.push_back(argument);
    }
    return true;
}

/// The caller's registers fit the prototype.
bool Verifier::check_global_arguments(const GlobalPrototype& prototype) {
    for (u32 i = 0; i < prototype.args.size(); ++i) {
        const u32 number = R1 + i;
        const GlobalArgument& want = prototype.args[i];
        const RegState& r = reg(number);
        switch (want.kind) {
        case GlobalArgument::Kind::scalar:
            if (!r.is_scalar()) return reject(EINVAL, "R{} is not a scalar", number);
            break;
        case GlobalArgument::Kind::ctx:
            if (r.kind != RegKind::ctx) return reject(EINVAL, "arg#{} expects pointer to ctx", i);
            if (!check_unmodified(number)) return false;
            break;
        case GlobalArgument::Kind::dynptr: {
            CallArguments args;
            if (!check_dynptr(number, false, args)) return false;
            break;
        }
        case GlobalArgument::Kind::mem:
            if (!check_global_memory(number, want)) return false;
            break;
        }
    }
    return true;
}

bool Verifier::check_global_memory(u32 number, const GlobalArgument& want) {
    const RegState kept = reg(number);
    if (kept.is_null()) {
        if (want.or_null) return true;
        return reject(EINVAL, "arg#{} is expected to be non-NULL", number - 1);
    }
    if (!want.or_null && kept.or_null) return reject(EINVAL, "arg#{} is expected to be non-NULL", number - 1);
    // The callee checks for null; what it finds otherwise must be readable and writable.
    reg(number).or_null = false;
    static const HelperProto kCall = {.name = "global function", .packet_args = true};
    const bool ok = check_memory_argument(kCall, number, want.size, Use::read) &&
                    check_memory_argument(kCall, number, want.size, Use::write);
    if (ok) reg(number) = kept;
    return ok;
}

bool Verifier::set_global_arguments(u32 function) {
    GlobalPrototype prototype;
    if (!read_global_prototype(function, prototype)) return false;
    for (u32 i = 0; i < prototype.args.size(); ++i) {
        const GlobalArgument& argument = prototype.args[i];
        RegState r = RegState::unknown();
        switch (argument.kind) {
        case GlobalArgument::Kind::scalar: break;
        case GlobalArgument::Kind::ctx: r = RegState::pointer(RegKind::ctx); break;
        case GlobalArgument::Kind::dynptr:
            r = RegState::pointer(RegKind::dynptr);
            r.dynptr = DynptrKind::local;
            r.read_only = true;
            break;
        case GlobalArgument::Kind::mem:
            r = RegState::pointer(RegKind::mem);
            r.mem_size = argument.size;
            r.or_null = argument.or_null;
            if (r.or_null) r.id = new_id();
            break;
        }
        set_reg(R1 + i, r);
    }
    return true;
}

} // namespace xdplane
