// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/btf/vmlinux.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <linux/btf.h>

namespace xdplane {
namespace {

constexpr const char* kKernelBtf = "/sys/kernel/btf/vmlinux";
/// Of what a kernel says of itself; today it is 5 MB.
constexpr std::size_t kMaxFile = std::size_t{1} << 28;

Result<std::string> read_file(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    if (!file) return fail(errno, "{}: {}", path, std::strerror(errno));
    std::string bytes;
    std::size_t size = 0;
    do {
        bytes.resize(size + (std::size_t{1} << 20));
        size += std::fread(bytes.data() + size, 1, bytes.size() - size, file.get());
    } while (size == bytes.size() && size < kMaxFile);
    if (std::ferror(file.get()) != 0) return fail(EIO, "{}: cannot be read", path);
    bytes.resize(size);
    return bytes;
}

/// Bytes behind struct btf_type; nullopt for a kind that is not known.
std::optional<u64> payload_bytes(u32 kind, u32 vlen) {
    switch (kind) {
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case BTF_KIND_TYPE_TAG: return 0;
    case BTF_KIND_INT: return sizeof(u32);
    case BTF_KIND_ARRAY: return sizeof(btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return u64{vlen} * sizeof(btf_member);
    case BTF_KIND_ENUM: return u64{vlen} * sizeof(btf_enum);
    case BTF_KIND_ENUM64: return u64{vlen} * sizeof(btf_enum64);
    case BTF_KIND_FUNC_PROTO: return u64{vlen} * sizeof(btf_param);
    case BTF_KIND_VAR: return sizeof(btf_var);
    case BTF_KIND_DATASEC: return u64{vlen} * sizeof(btf_var_secinfo);
    case BTF_KIND_DECL_TAG: return sizeof(btf_decl_tag);
    default: return std::nullopt;
    }
}

} // namespace

/// One walk over the types of a file.
class KernelFunctionScan {
public:
    static Result<KernelFunctions> run(std::string_view file) {
        btf_header header{};
        if (file.size() < sizeof header) return fail(EINVAL, "BTF of {} bytes", file.size());
        std::memcpy(&header, file.data(), sizeof header);
        if (header.magic != BTF_MAGIC || header.version != BTF_VERSION || header.hdr_len < sizeof header)
            return fail(EINVAL, "no BTF of this host");
        const std::optional<std::string_view> types = section(file, header, header.type_off, header.type_len);
        const std::optional<std::string_view> names = section(file, header, header.str_off, header.str_len);
        if (!types || !names) return fail(EINVAL, "BTF sections are outside of the file");
        return scan(*types, *names);
    }

private:
    static std::optional<std::string_view> section(std::string_view file, const btf_header& header,
                                                   u32 offset, u32 size) {
        const u64 begin = u64{header.hdr_len} + offset;
        if (begin + size > file.size()) return std::nullopt;
        return file.substr(begin, size);
    }

    static Result<KernelFunctions> scan(std::string_view types, std::string_view names) {
        KernelFunctions found;
        for (u32 id = 1; !types.empty(); ++id) {
            btf_type type{};
            if (types.size() < sizeof type) return fail(EINVAL, "BTF type {} is cut", id);
            std::memcpy(&type, types.data(), sizeof type);
            const u32 kind = BTF_INFO_KIND(type.info);
            const std::optional<u64> behind = payload_bytes(kind, BTF_INFO_VLEN(type.info));
            if (!behind) return fail(EINVAL, "BTF type {} has unknown kind {}", id, kind);
            if (types.size() - sizeof type < *behind) return fail(EINVAL, "BTF type {} is cut", id);
            if (kind == BTF_KIND_FUNC) {
                const std::size_t end = names.find('\0', type.name_off);
                if (end == std::string_view::npos) return fail(EINVAL, "BTF type {} has no name", id);
                found.functions_.push_back({id, static_cast<u32>(found.names_.size())});
                found.names_.append(names.substr(type.name_off, end + 1 - type.name_off));
            }
            types.remove_prefix(sizeof type + *behind);
        }
        return found;
    }
};

Result<KernelFunctions> KernelFunctions::read(const std::string& path) {
    const Result<std::string> file = read_file(path);
    if (!file) return fail(file.error());
    Result<KernelFunctions> found = KernelFunctionScan::run(*file);
    if (!found) return fail(found.error(), path);
    return found;
}

std::string_view KernelFunctions::name(u32 btf_id) const {
    const auto found = std::ranges::lower_bound(functions_, btf_id, {}, &Function::id);
    if (found == functions_.end() || found->id != btf_id) return {};
    return names_.data() + found->name;
}

std::optional<u32> KernelFunctions::id(std::string_view name) const {
    for (const Function& function : functions_)
        if (std::string_view(names_.data() + function.name) == name) return function.id;
    return std::nullopt;
}

const Result<KernelFunctions>& kernel_functions() {
    static const Result<KernelFunctions> functions = [] {
        const char* path = std::getenv("XDPLANE_VMLINUX_BTF");
        return KernelFunctions::read(path != nullptr && *path != '\0' ? path : kKernelBtf);
    }();
    return functions;
}

} // namespace xdplane
