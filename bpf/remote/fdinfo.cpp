// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/fdinfo.h"

#include <linux/bpf.h>
#include <unistd.h>

#include "bpf/maps/prog_array.h"
#include "bpf/prog/program_type.h"

namespace xdplane::remote {
namespace {

std::string map_text(Map& map) {
    const MapSpec& spec = map.spec();
    std::string text = fmt::format("map_type:\t{}\nkey_size:\t{}\nvalue_size:\t{}\nmax_entries:\t{}\n"
                                   "map_flags:\t{:#x}\nmap_extra:\t{:#x}\nmemlock:\t{}\nmap_id:\t{}\n"
                                   "frozen:\t{}\n",
                                   spec.type, spec.key_size, spec.value_size, spec.max_entries, spec.flags,
                                   spec.map_extra, map.memory_bytes(), map.id, map.frozen() ? 1 : 0);
    auto* const array = dynamic_cast<ProgArray*>(&map);
    if (const auto owner = array != nullptr ? array->owner() : std::nullopt)
        text +=
            fmt::format("owner_prog_type:\t{}\nowner_jited:\t{}\n", owner->prog_type, owner->jited ? 1 : 0);
    return text;
}

std::string tag_of(const Program& program) {
    std::string tag;
    for (const u8 byte : program.parts().tag) tag += fmt::format("{:02x}", byte);
    return tag;
}

std::string program_text(const Program& program) {
    const Program::Parts& parts = program.parts();
    // As Linux: the instructions, in whole pages.
    const auto page = static_cast<u64>(::sysconf(_SC_PAGESIZE));
    const u64 memory = (parts.insns.size() * sizeof(Insn) + page - 1) / page * page;
    return fmt::format("prog_type:\t{}\nprog_jited:\t{}\nprog_tag:\t{}\nmemlock:\t{}\nprog_id:\t{}\n"
                       "run_time_ns:\t0\nrun_cnt:\t0\nrecursion_misses:\t0\nverified_insns:\t{}\n",
                       parts.type->type, parts.jit ? 1 : 0, tag_of(program), memory, program.id,
                       parts.insns_processed);
}

std::string link_text(const Link& link) {
    const XdpHooks::LinkState state = XdpHooks::instance().state_of(link);
    return fmt::format("link_type:\txdp\nlink_id:\t{}\nprog_tag:\t{}\nprog_id:\t{}\nifindex:\t{}\n",
                       link.id.load(), tag_of(*state.program), state.program->id, state.ifindex);
}

} // namespace

std::string fdinfo(const ObjectRef& object) {
    if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object)) return map_text(**map);
    if (const auto* program = std::get_if<std::shared_ptr<const Program>>(&object))
        return program_text(**program);
    if (const auto* link = std::get_if<std::shared_ptr<Link>>(&object)) return link_text(**link);
    return std::holds_alternative<std::shared_ptr<const Btf>>(object) ? "btf\n" : "";
}

} // namespace xdplane::remote
