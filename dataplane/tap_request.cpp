// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/tap_request.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>

#include "dataplane/classic_filter.h"

namespace xdplane {
namespace {

std::vector<std::string> reason_keys() {
    std::vector<std::string> keys;
    for (const DropReason& reason : kDropReasons) keys.emplace_back(reason.key);
    return keys;
}

Result<std::vector<std::string>> strings_of(const Json& request, const char* key) {
    std::vector<std::string> strings;
    const auto found = request.find(key);
    if (found == request.end()) return strings;
    if (!found->is_array()) return fail(EINVAL, "\"{}\" must be an array of strings", key);
    for (const Json& one : *found) {
        if (!one.is_string()) return fail(EINVAL, "\"{}\" must be an array of strings", key);
        strings.push_back(one.get<std::string>());
    }
    return strings;
}

/// A bit for each name: its place in `all`.
template<class Names>
Result<u32> bits_of(const Json& request, const char* key, std::string_view thing, const Names& all) {
    const auto names = strings_of(request, key);
    if (!names) return fail(names.error());
    u32 bits = 0;
    for (const std::string& name : *names) {
        const auto found = std::ranges::find(all, name);
        if (found == std::end(all))
            return fail(EINVAL, "there is no {} '{}' (there are: {})", thing, name, fmt::join(all, ", "));
        bits |= 1U << (found - std::begin(all));
    }
    return bits;
}

Result<std::vector<ClassicInsn>> filter_of(const std::string& text) {
    if (text.size() % 16 != 0 || text.size() / 16 > kMaxTapFilter)
        return fail(EINVAL, "a filter has 16 digits per instruction, and at most {} of them", kMaxTapFilter);
    std::vector<ClassicInsn> insns(text.size() / 16);
    for (std::size_t i = 0; i < insns.size(); ++i) {
        const char* const begin = text.data() + i * 16;
        u64 value = 0;
        if (std::from_chars(begin, begin + 16, value, 16).ptr != begin + 16)
            return fail(EINVAL, "instruction {} of the filter is no hexadecimal number", i);
        insns[i] = {.code = static_cast<u16>(value >> 48),
                    .jt = static_cast<u8>(value >> 40),
                    .jf = static_cast<u8>(value >> 32),
                    .k = static_cast<u32>(value)};
    }
    return insns;
}

} // namespace

std::string filter_text(std::span<const ClassicInsn> filter) {
    std::string text;
    for (const ClassicInsn& insn : filter)
        text += fmt::format("{:04x}{:02x}{:02x}{:08x}", insn.code, insn.jt, insn.jf, insn.k);
    return text;
}

Result<TapSpec> tap_spec(const Json& request) {
    TapSpec spec;
    auto ports = strings_of(request, "ports");
    if (!ports) return fail(ports.error());
    spec.ports = std::move(*ports);
    const auto verdicts = bits_of(request, "verdicts", "verdict", kVerdictKeys);
    if (!verdicts) return fail(verdicts.error());
    spec.verdicts = *verdicts;
    const auto reasons = bits_of(request, "reasons", "reason", reason_keys());
    if (!reasons) return fail(reasons.error());
    spec.reasons = *reasons;
    const Json at = request.value("at", Json("before"));
    if (at != "before" && at != "after") return fail(EINVAL, "\"at\" must be before or after");
    spec.at = at == "after" ? TapPoint::after : TapPoint::before;
    const Json snaplen = request.value("snaplen", Json(kMaxTapSnaplen));
    if (!snaplen.is_number_unsigned() || snaplen == 0U || snaplen > kMaxTapSnaplen)
        return fail(EINVAL, "\"snaplen\" must be a number from 1 to {}", kMaxTapSnaplen);
    spec.snaplen = snaplen.get<u32>();
    return spec;
}

Result<Json> begin_capture(Daemon& daemon, const Json& request, ControlSession& session) {
    if (session.held) return fail(EBUSY, "this connection has a capture already");
    auto spec = tap_spec(request);
    if (!spec) return fail(spec.error());
    if (const auto text = request.find("filter"); text != request.end()) {
        if (!text->is_string()) return fail(EINVAL, "\"filter\" must be a string");
        const auto insns = filter_of(text->get<std::string>());
        if (!insns) return fail(insns.error());
        auto filter = load_classic_filter(*insns);
        if (!filter) return fail(filter.error(), "filter");
        spec->filter = std::move(*filter);
    }
    const auto tap = daemon.tap(std::move(*spec));
    if (!tap) return fail(tap.error());
    UniqueFd fd(::fcntl((*tap)->memory().fd(), F_DUPFD_CLOEXEC, 0));
    if (!fd) return fail(errno, "no descriptor for a capture: {}", std::strerror(errno));
    session.fd = std::move(fd);
    session.held = std::const_pointer_cast<Tap>(*tap);
    return Json{{"workers", (*tap)->memory().workers()}, {"ring_bytes", (*tap)->memory().ring_bytes()}};
}

} // namespace xdplane
