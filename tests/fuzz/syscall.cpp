// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// bpf(2), a sequence of calls with attributes that nobody meant. Pointers are the caller's to get right, so
// they are replaced by ones into memory of the length that the attributes claim; all else is as given.
//
// Input: for each call the command (1 byte), the size of the attributes (1), a choice of objects (1), the
// attributes. What pointers point to is the input itself.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <linux/bpf.h>
#include <vector>

#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/object_table.h"
#include "bpf/syscall/pins.h"
#include "bpf/syscall/xdp_hooks.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

using namespace xdplane;

namespace {

constexpr u32 kCalls = 24;
constexpr u32 kArea = 4096;      ///< what one pointer may reach
constexpr u64 kMaxMap = 1 << 20; ///< bytes of a map that is used and not only made

/// Two interfaces, one of which refuses.
struct FuzzedInterfaces final : Interfaces {
    FuzzedInterfaces() { XdpHooks::instance().serve(this); }
    ~FuzzedInterfaces() override { XdpHooks::instance().serve(nullptr); }
    [[nodiscard]] std::vector<Interface> list() const override {
        return {{.ifindex = 1, .mtu = 1500, .name = "one", .mac = {}},
                {.ifindex = 2, .mtu = 1500, .name = "two", .mac = {}}};
    }
    [[nodiscard]] int install(u32 ifindex, const std::shared_ptr<const Program>&) override {
        return ifindex == 2 ? -ENOMEM : 0;
    }
};

class Session {
public:
    explicit Session(std::span<const u8> bytes) : whole_(bytes), input_(bytes) {}
    ~Session() {
        for (const int fd : fds_) close_object_fd(fd);
        for (const char* path : kPaths) static_cast<void>(PinTable::instance().unlink(path));
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    void run() {
        for (u32 i = 0; i < kCalls && !input_.empty(); ++i) call();
    }

private:
    void call() {
        const u32 command = input_.take<u8>() % 40;
        const auto claimed = input_.take<u8>();
        choice_ = input_.take<u8>();
        const u32 size = claimed % 8 == 0 ? claimed : sizeof(bpf_attr);
        std::vector<u8> bytes(std::max<std::size_t>(size, sizeof(bpf_attr)));
        const auto given = input_.take(std::min<std::size_t>(size, sizeof(bpf_attr)));
        std::copy(given.begin(), given.end(), bytes.begin());
        bpf_attr attr;
        std::memcpy(static_cast<void*>(&attr), bytes.data(), sizeof attr);
        if (!adapt(command, attr)) return;
        std::memcpy(bytes.data(), &attr, sizeof attr);
        bytes.resize(size);
        const long result = bpf_syscall(command, bytes.data(), size);
        if (result < -4095 || result > 0x7fffffff) std::abort();
        if (result >= 0 && returns_fd(command)) keep(static_cast<int>(result));
    }

    static bool returns_fd(u32 command) {
        return command == BPF_MAP_CREATE || command == BPF_PROG_LOAD || command == BPF_BTF_LOAD ||
               command == BPF_PROG_GET_FD_BY_ID || command == BPF_MAP_GET_FD_BY_ID ||
               command == BPF_BTF_GET_FD_BY_ID || command == BPF_OBJ_GET || command == BPF_LINK_CREATE ||
               command == BPF_LINK_GET_FD_BY_ID;
    }
    void keep(int fd) {
        const auto map = map_from_fd(fd);
        const bool large = map && (u64{map->spec().key_size} + map->syscall_value_size() > kArea ||
                                   map->memory_bytes() > kMaxMap);
        if (large)
            close_object_fd(fd);
        else
            fds_.push_back(fd);
    }

    /// Mostly an object of this session.
    u32 fd(u32 given) {
        if (fds_.empty() || (choice_ & 0xc0) == 0xc0) return given;
        return static_cast<u32>(fds_[(choice_++ & 0x3f) % fds_.size()]);
    }
    /// Null stays null; else memory that starts with input from anywhere.
    template<class T>
    void point(T& field) {
        if (field == 0) return;
        auto& area = areas_.emplace_back(kArea);
        const std::size_t from = static_cast<std::size_t>(field) % whole_.size();
        std::copy_n(whole_.begin() + static_cast<std::ptrdiff_t>(from),
                    std::min<std::size_t>(whole_.size() - from, kArea), area.begin());
        field = reinterpret_cast<T>(area.data());
    }
    template<class T>
    static void limit(T& count, u32 most) {
        if (count > most) count %= most + 1;
    }

    /// False: leave it out.
    bool adapt(u32 command, bpf_attr& attr) {
        switch (command) {
        case BPF_MAP_CREATE: {
            attr.btf_fd = attr.btf_value_type_id != 0 ? fd(attr.btf_fd) : attr.btf_fd;
            if (attr.map_type == BPF_MAP_TYPE_ARRAY_OF_MAPS || attr.map_type == BPF_MAP_TYPE_HASH_OF_MAPS)
                attr.inner_map_fd = fd(attr.inner_map_fd);
            const u64 bytes = (u64{attr.key_size} + attr.value_size) * attr.max_entries;
            // Linux gives what the machine has; here that would only measure the machine.
            if (bytes > 64 * kMaxMap && bytes < (u64{1} << 48)) limit(attr.max_entries, 64);
            return (u64{attr.key_size} + attr.value_size) * attr.max_entries <= 64 * kMaxMap ||
                   attr.max_entries > 1U << 31;
        }
        case BPF_MAP_LOOKUP_ELEM:
        case BPF_MAP_UPDATE_ELEM:
        case BPF_MAP_DELETE_ELEM:
        case BPF_MAP_GET_NEXT_KEY:
        case BPF_MAP_LOOKUP_AND_DELETE_ELEM:
            attr.map_fd = fd(attr.map_fd);
            point(attr.key);
            point(attr.value); // and next_key
            return true;
        case BPF_MAP_LOOKUP_BATCH:
        case BPF_MAP_LOOKUP_AND_DELETE_BATCH:
        case BPF_MAP_UPDATE_BATCH:
        case BPF_MAP_DELETE_BATCH: adapt_batch(attr); return true;
        case BPF_MAP_FREEZE: attr.map_fd = fd(attr.map_fd); return true;
        case BPF_PROG_LOAD: adapt_load(attr); return true;
        case BPF_PROG_TEST_RUN: adapt_test_run(attr); return true;
        case BPF_OBJ_GET_INFO_BY_FD: return adapt_info(attr);
        case BPF_BTF_LOAD:
            point(attr.btf);
            limit(attr.btf_size, kArea);
            point(attr.btf_log_buf);
            limit(attr.btf_log_size, kArea);
            return true;
        case BPF_OBJ_PIN:
        case BPF_OBJ_GET:
            if (command == BPF_OBJ_PIN) attr.bpf_fd = fd(attr.bpf_fd);
            if (attr.pathname != 0)
                attr.pathname = reinterpret_cast<__u64>(kPaths[attr.pathname % std::size(kPaths)]);
            return true;
        case BPF_PROG_BIND_MAP:
            attr.prog_bind_map.prog_fd = fd(attr.prog_bind_map.prog_fd);
            attr.prog_bind_map.map_fd = fd(attr.prog_bind_map.map_fd);
            return true;
        case BPF_PROG_ATTACH: attr.attach_bpf_fd = fd(attr.attach_bpf_fd); return true;
        case BPF_LINK_CREATE:
            attr.link_create.prog_fd = fd(attr.link_create.prog_fd);
            attr.link_create.target_ifindex %= 3;
            if ((choice_ & 1) != 0) attr.link_create.attach_type = BPF_XDP;
            return true;
        case BPF_LINK_UPDATE:
            attr.link_update.link_fd = fd(attr.link_update.link_fd);
            attr.link_update.new_prog_fd = fd(attr.link_update.new_prog_fd);
            if (attr.link_update.old_prog_fd != 0)
                attr.link_update.old_prog_fd = fd(attr.link_update.old_prog_fd);
            return true;
        case BPF_LINK_DETACH: attr.link_detach.link_fd = fd(attr.link_detach.link_fd); return true;
        default: return true;
        }
    }
    void adapt_batch(bpf_attr& attr) {
        attr.batch.map_fd = fd(attr.batch.map_fd);
        point(attr.batch.in_batch), point(attr.batch.out_batch);
        point(attr.batch.keys), point(attr.batch.values);
        const auto map = map_from_fd(static_cast<int>(attr.batch.map_fd));
        const u32 bytes = map ? std::max(map->spec().key_size, map->syscall_value_size()) : 1;
        limit(attr.batch.count, kArea / std::max(bytes, 1U));
    }
    void adapt_load(bpf_attr& attr) {
        point(attr.insns);
        if (attr.insn_cnt <= 1'000'000) limit(attr.insn_cnt, kArea / sizeof(bpf_insn));
        if (attr.license != 0) attr.license = reinterpret_cast<__u64>((choice_ & 1) != 0 ? "GPL" : "none");
        point(attr.log_buf);
        limit(attr.log_size, kArea);
        attr.prog_btf_fd = attr.func_info_cnt + attr.line_info_cnt != 0 ? fd(attr.prog_btf_fd) : 0;
        point(attr.func_info);
        limit(attr.func_info_cnt, 8); // of at most 252 bytes each
        point(attr.line_info);
        limit(attr.line_info_cnt, 8);
        attr.fd_array = 0;
    }
    void adapt_test_run(bpf_attr& attr) {
        attr.test.prog_fd = fd(attr.test.prog_fd);
        attr.test.repeat %= 4;
        // One packet may grow by the head- and tailroom when it comes out.
        point(attr.test.data_in);
        limit(attr.test.data_size_in, kArea);
        point(attr.test.data_out);
        point(attr.test.ctx_in);
        limit(attr.test.ctx_size_in, kArea);
        point(attr.test.ctx_out);
        limit(attr.test.ctx_size_out, kArea);
    }
    bool adapt_info(bpf_attr& attr) {
        attr.info.bpf_fd = fd(attr.info.bpf_fd);
        point(attr.info.info);
        if (attr.info.info == 0) return true;
        limit(attr.info.info_len, kArea);
        const int of = static_cast<int>(attr.info.bpf_fd);
        if (program_from_fd(of)) {
            bpf_prog_info info;
            std::memcpy(static_cast<void*>(&info), reinterpret_cast<void*>(attr.info.info), sizeof info);
            for (__u64* list : {&info.jited_prog_insns, &info.xlated_prog_insns, &info.map_ids})
                *list = (choice_ & 1) != 0 ? *list : 0, point(*list);
            point(info.jited_ksyms), point(info.jited_func_lens), point(info.func_info);
            point(info.line_info), point(info.jited_line_info), point(info.prog_tags);
            limit(info.jited_prog_len, kArea), limit(info.xlated_prog_len, kArea), limit(info.nr_map_ids, 64);
            limit(info.nr_jited_ksyms, 64), limit(info.nr_jited_func_lens, 64), limit(info.nr_func_info, 64);
            limit(info.nr_line_info, 64), limit(info.nr_jited_line_info, 64), limit(info.nr_prog_tags, 64);
            std::memcpy(reinterpret_cast<void*>(attr.info.info), &info, sizeof info);
        } else if (btf_from_fd(of)) {
            bpf_btf_info info;
            std::memcpy(static_cast<void*>(&info), reinterpret_cast<void*>(attr.info.info), sizeof info);
            point(info.btf), point(info.name);
            limit(info.btf_size, kArea);
            std::memcpy(reinterpret_cast<void*>(attr.info.info), &info, sizeof info);
        }
        return true;
    }

    static constexpr const char* kPaths[] = {"/sys/fs/bpf/a", "/sys/fs/bpf/./b", "/sys/fs/bpf/a/below",
                                             "/sys/fs/bpf",   "/sys/fs/bpf/c.d", "/nowhere/a"};

    FuzzedInterfaces interfaces_; ///< go last
    std::span<const u8> whole_;
    fuzz::Input input_;
    u8 choice_ = 0;
    std::vector<int> fds_;
    std::vector<std::vector<u8>> areas_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    Session(std::span(data, size)).run();
    return 0;
}
