// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include <algorithm>
#include <cerrno>
#include <linux/btf.h>
#include <set>
#include <sstream>

#include "bpf/btf/btf.h"
#include "bpf/btf/vmlinux.h"
#include "bpf/isa/assembler.h"
#include "bpf/maps/prog_array.h"
#include "tests/support/btf_builder.h"
#include "tests/support/verifier_cases.h"

/// From a case to what verify() takes.
namespace xdplane::test {
namespace {

/// "call kfunc NAME" has the id of the function in the running kernel.
Result<std::string> resolve_kernel_functions(const std::string& program) {
    static constexpr std::string_view kCall = "call kfunc ";
    std::istringstream in(program);
    std::string out;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(kCall)) {
            const auto& kernel = kernel_functions();
            if (!kernel) return fail(ENOENT, "{}", kernel.error().message);
            const std::string name = line.substr(kCall.size());
            const auto id = kernel->id(name);
            if (!id) return fail(ENOENT, "the running kernel has no function {}", name);
            line = fmt::format("call kernel-function#{}", *id);
        }
        out.append(line).append(1, '\n');
    }
    return out;
}

/// Where functions begin, the main program first.
std::set<u32> function_begins(const std::vector<Insn>& insns) {
    std::set<u32> begins{0};
    for (u32 i = 0; i < insns.size(); ++i) {
        const Insn& insn = insns[i];
        const bool wide = insn.opcode == 0x18;
        if ((insn.opcode == 0x85 && insn.src == kCallLocal) || (wide && insn.src == kCodeAddr))
            begins.insert(static_cast<u32>(static_cast<i64>(i) + insn.imm + 1));
        if (wide) ++i;
    }
    return begins;
}

std::string_view context_name(const std::string& type) { return type == "xdp" ? "xdp_md" : "__sk_buff"; }

class FunctionTypes {
public:
    explicit FunctionTypes(const VerifierCase& one) : one_(one) {}

    Result<FuncInfo> add(u32 begin, u32 index, const CaseFunction& function) {
        std::vector<u32> arguments;
        for (const std::string& argument : function.arguments) {
            const auto type = argument_type(argument);
            if (!type) return fail(type.error());
            arguments.push_back(*type);
        }
        const auto returns = return_type(function.returns);
        if (!returns) return fail(returns.error());
        const u32 id = btf_.function(index == 0 ? "main" : fmt::format("f{}", index),
                                     btf_.prototype(*returns, arguments),
                                     function.global ? BTF_FUNC_GLOBAL : BTF_FUNC_STATIC);
        for (std::size_t i = 0; i < function.arguments.size(); ++i)
            for (const auto& [word, tag] : kTags)
                if (function.arguments[i].starts_with(word))
                    btf_.declaration_tag(tag, id, static_cast<i32>(i));
        return FuncInfo{begin, id};
    }
    [[nodiscard]] std::string blob() const { return btf_.blob(); }

private:
    static constexpr std::pair<std::string_view, std::string_view> kTags[] = {
        {"nonnull", "arg:nonnull"}, {"tagged-ctx", "arg:ctx"}, {"trusted", "arg:trusted"}};

    u32 int_type() { return int_ != 0 ? int_ : int_ = btf_.integer("int", 4, true); }
    u32 long_type() { return long_ != 0 ? long_ : long_ = btf_.integer("long", 8, true); }

    Result<u32> return_type(const std::string& text) {
        if (text == "int") return int_type();
        if (text == "long") return long_type();
        if (text == "void") return 0U;
        if (text == "pointer") return btf_.pointer(int_type());
        if (text == "struct") return btf_.structure("result", 8, {{"a", long_type(), 0}});
        return fail(EINVAL, "no such return type: {}", text);
    }

    Result<u32> argument_type(const std::string& text) {
        std::istringstream in(text);
        std::string word;
        u32 size = 0;
        in >> word >> size;
        if (word == "int") return int_type();
        if (word == "long") return long_type();
        if (word == "enum") return btf_.enumeration("choice");
        if (word == "ctx")
            return btf_.pointer(btf_.structure(context_name(one_.type), 4, {{"a", int_type(), 0}}));
        if (word == "void" || word == "tagged-ctx") return btf_.pointer(0);
        if (word == "dynptr") return btf_.pointer(btf_.structure("bpf_dynptr", 16, {{"a", long_type(), 0}}));
        if (word == "forward") return btf_.pointer(btf_.forward("unknown"));
        const u32 bytes = btf_.array(btf_.integer("u8", 1), int_type(), size);
        const u32 body = btf_.structure("body", size, {{"bytes", bytes, 0}});
        if (word == "struct") return body;
        if (word == "mem" || word == "nonnull" || word == "trusted") return btf_.pointer(body);
        return fail(EINVAL, "no such argument type: {}", text);
    }

    const VerifierCase& one_;
    BtfBuilder btf_;
    u32 int_ = 0;
    u32 long_ = 0;
};

Result<std::shared_ptr<const Btf>> parse_btf(const std::string& blob) {
    return Btf::parse({reinterpret_cast<const u8*>(blob.data()), blob.size()});
}

} // namespace

MapBtf make_map_btf(const CaseMap& map) {
    BtfBuilder btf;
    const u32 word = btf.integer("unsigned int", 4);
    const u32 wide = btf.integer("unsigned long", 8);
    std::vector<BtfBuilder::Member> members;
    if (map.lock >= 0) {
        const u32 lock = btf.structure("bpf_spin_lock", 4, {{"val", word, 0}});
        members.push_back({"lock", lock, static_cast<u32>(map.lock)});
    }
    if (map.timer >= 0) {
        const u32 timer = btf.structure("bpf_timer", 16, {{"low", wide, 0}, {"high", wide, 8}});
        members.push_back({"timer", timer, static_cast<u32>(map.timer)});
    }
    std::ranges::sort(members, {}, &BtfBuilder::Member::offset);
    const u32 value = btf.structure("value", map.value_size, members);
    return {btf.blob(), map.key_size == 8 ? wide : word, value};
}

Result<FunctionBtf> make_function_btf(const VerifierCase& one, const std::vector<Insn>& insns) {
    FunctionTypes types(one);
    FunctionBtf out;
    u32 index = 0;
    for (const u32 begin : function_begins(insns)) {
        CaseFunction function;
        if (index > 0 && index <= one.functions.size()) function = one.functions[index - 1];
        if (index == 0) function = {.global = true, .returns = "int", .arguments = {"ctx"}};
        const auto info = types.add(begin, index++, function);
        if (!info) return fail(info.error(), one.name);
        out.functions.push_back(*info);
    }
    if (one.info_fault == "missing") out.functions.pop_back();
    if (one.info_fault == "misplaced") ++out.functions.back().insn_off;
    out.blob = types.blob();
    return out;
}

Result<std::shared_ptr<Map>> make_map(const CaseMap& c) {
    MapSpec spec;
    spec.type = c.type();
    spec.name = c.name();
    spec.key_size = c.key_size;
    spec.value_size = c.value_size;
    spec.max_entries = c.entries;
    spec.flags = c.flags;
    spec.map_extra = c.extra;
    if (c.has_btf()) {
        const MapBtf types = make_map_btf(c);
        auto btf = parse_btf(types.blob);
        if (!btf) return fail(btf.error(), c.kind);
        spec.btf = std::move(*btf);
        spec.btf_key_type_id = types.key_type;
        spec.btf_value_type_id = types.value_type;
    }
    if (c.inner) {
        auto inner = make_map(*c.inner);
        if (!inner) return fail(inner.error());
        spec.inner = std::move(*inner);
    }
    auto map = create_map(std::move(spec));
    if (!map) return fail(map.error(), c.kind);
    if (!c.data.empty()) {
        std::vector<u8> value = c.data;
        value.resize(c.value_size);
        const u32 key = 0;
        if (const int error = (*map)->ops().store_value(**map, &key, value.data(), BPF_ANY); error != 0)
            return fail(-error, "{}: the value cannot be stored", c.kind);
    }
    if (auto* array = dynamic_cast<ProgArray*>(map->get()); array != nullptr && !c.owner.empty())
        (void)array->compatible({type_of_name(c.owner)->type, true});
    if (c.frozen) (*map)->freeze();
    return map;
}

const ProgramType* type_of_name(const std::string& name, u32 attach) {
    for (const ProgramType& type : program_types())
        if (type.name == name && !type.attach_type) return find_program_type(type.type, attach);
    return nullptr;
}

Result<VerifyRequest> make_request(const VerifierCase& one) {
    const auto program = resolve_kernel_functions(one.program);
    if (!program) return fail(program.error(), one.name);
    auto insns = assemble(*program);
    if (!insns) return fail(insns.error(), one.name);
    VerifyRequest request;
    request.type = type_of_name(one.type, one.attach);
    if (request.type == nullptr) return fail(EINVAL, "{}: no program type {}", one.name, one.type);
    request.expected_attach_type = one.attach;
    request.flags = one.flags;
    request.insns = std::move(*insns);
    request.gpl_compatible = one.gpl;
    request.privileged = one.privileged;
    if (one.btf) {
        auto types = make_function_btf(one, request.insns);
        if (!types) return fail(types.error());
        auto btf = parse_btf(types->blob);
        if (!btf) return fail(btf.error(), one.name);
        request.btf = std::move(*btf);
        request.functions = std::move(types->functions);
    }
    std::vector<std::shared_ptr<Map>> maps;
    for (const CaseMap& map : one.maps) {
        auto made = make_map(map);
        if (!made) return fail(made.error(), one.name);
        maps.push_back(std::move(*made));
    }
    request.map_by_fd = [maps](i32 fd) -> Result<std::shared_ptr<Map>> {
        if (fd < 1 || static_cast<std::size_t>(fd) > maps.size()) return fail(EBADF, "no map {}", fd);
        return maps[static_cast<std::size_t>(fd) - 1];
    };
    request.map_by_index = request.map_by_fd;
    return request;
}

} // namespace xdplane::test
