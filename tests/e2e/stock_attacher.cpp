// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// A program with the system's libbpf that knows nothing of xdplane: loads an object and attaches its program
// to an interface by name. Runs behind `xdplane exec`, and on the kernel.
//
//   stock_attacher link OBJECT INTERFACE      attaches by a link, says so on stderr, and waits to be killed
//   stock_attacher netlink OBJECT INTERFACE   goes through all of netlink; prints what is wrong
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

namespace {

int g_wrong = 0;

void expect(bool right, const char* what) {
    if (right) return;
    ++g_wrong;
    std::printf("wrong: %s\n", what);
}

/// A program that passes everything, besides the object's.
int load_another() {
    const bpf_insn insns[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    return bpf_prog_load(BPF_PROG_TYPE_XDP, "another", "GPL", insns, 2, nullptr);
}

std::uint32_t id_of(int program) {
    bpf_prog_info info{};
    std::uint32_t size = sizeof info;
    return bpf_obj_get_info_by_fd(program, &info, &size) == 0 ? info.id : 0;
}

int wait_with_link(bpf_program* program, unsigned interface) {
    bpf_link* const link = bpf_program__attach_xdp(program, static_cast<int>(interface));
    if (link == nullptr) {
        std::fprintf(stderr, "not attached: %s\n", std::strerror(errno));
        return 1;
    }
    bpf_link_info info{};
    std::uint32_t size = sizeof info;
    bpf_obj_get_info_by_fd(bpf_link__fd(link), &info, &size);
    std::fprintf(stderr, "attached by link %u\n", info.id);
    for (;;) pause();
}

bool is_listed(const char* name, unsigned interface) {
    bool found = false;
    struct if_nameindex* const all = if_nameindex();
    for (const auto* one = all; one != nullptr && one->if_index != 0; ++one)
        found = found || (one->if_index == interface && std::strcmp(one->if_name, name) == 0);
    if_freenameindex(all);
    return found;
}

int go_through_netlink(int program, const char* name) {
    const int interface = static_cast<int>(if_nametoindex(name));
    char again[IF_NAMESIZE] = {};
    expect(if_indextoname(static_cast<unsigned>(interface), again) != nullptr &&
               std::strcmp(again, name) == 0,
           "the name of the index");
    expect(is_listed(name, static_cast<unsigned>(interface)), "the list of names");
    expect(if_nametoindex("no-such-port") == 0 && errno == ENODEV, "an unknown name");
    expect(if_indextoname(54321, again) == nullptr && errno == ENXIO, "an unknown index");

    const int another = load_another();
    std::uint32_t id = 1;
    expect(bpf_xdp_query_id(interface, 0, &id) == 0 && id == 0, "nothing is attached at first");
    expect(bpf_xdp_attach(interface, program, XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr) == 0, "attach");
    expect(bpf_xdp_query_id(interface, 0, &id) == 0 && id == id_of(program), "it is shown");
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    expect(bpf_xdp_query(interface, 0, &query) == 0 && query.attach_mode == XDP_ATTACHED_DRV &&
               query.drv_prog_id == id && query.skb_prog_id == 0,
           "its mode");
    expect(bpf_xdp_attach(interface, another, XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr) == -EBUSY,
           "there is one");
    LIBBPF_OPTS(bpf_xdp_attach_opts, old, .old_prog_fd = another);
    expect(bpf_xdp_attach(interface, another, XDP_FLAGS_REPLACE, &old) == -EEXIST, "it is another one");
    expect(bpf_xdp_attach(interface, another, XDP_FLAGS_SKB_MODE, nullptr) == -EEXIST, "in another mode");
    old.old_prog_fd = program;
    expect(bpf_xdp_attach(interface, another, XDP_FLAGS_REPLACE, &old) == 0, "replace");
    expect(bpf_xdp_query_id(interface, 0, &id) == 0 && id == id_of(another), "the other one is shown");
    LIBBPF_OPTS(bpf_link_create_opts, link);
    expect(bpf_link_create(program, interface, BPF_XDP, &link) == -EBUSY, "a link over it");
    expect(bpf_xdp_detach(interface, 0, &old) == -EEXIST, "detach of the one that was");
    expect(bpf_xdp_detach(interface, 0, nullptr) == 0, "detach");
    expect(bpf_xdp_query_id(interface, 0, &id) == 0 && id == 0, "nothing is attached in the end");
    expect(bpf_xdp_attach(54321, program, 0, nullptr) == -ENODEV, "an unknown interface");
    expect(bpf_xdp_attach(interface, 0, 0, nullptr) == -EINVAL, "no program");
    std::printf("%d wrong\n", g_wrong);
    return g_wrong != 0 ? 1 : 0;
}

} // namespace

int main(int argc, char** argv) {
    bpf_object* const object = argc == 4 ? bpf_object__open_file(argv[2], nullptr) : nullptr;
    if (object == nullptr || bpf_object__load(object) != 0) {
        std::fprintf(stderr, "the object was not loaded\n");
        return 2;
    }
    bpf_program* const program = bpf_object__next_program(object, nullptr);
    const unsigned interface = if_nametoindex(argv[3]);
    if (interface == 0) {
        std::fprintf(stderr, "%s: %s\n", argv[3], std::strerror(errno));
        return 3;
    }
    if (std::strcmp(argv[1], "link") == 0) return wait_with_link(program, interface);
    return go_through_netlink(bpf_program__fd(program), argv[3]);
}
