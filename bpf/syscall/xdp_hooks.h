// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <array>
#include <atomic>
#include <map>
#include <mutex>

#include "bpf/syscall/interfaces.h"

/// XDP programs attached to interfaces, under the rules of Linux (net/core/dev.c).
namespace xdplane {

/// A program that is attached to an interface for as long as this lives: BPF_LINK_TYPE_XDP. What is in it is
/// the XdpHooks' to read and write.
class Link {
public:
    Link() = default;
    ~Link(); ///< detaches
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    std::atomic<u32> id{0}; ///< of LINK_GET_NEXT_ID; set once, before an fd is open

private:
    friend class XdpHooks;
    std::shared_ptr<const Program> program_;
    u32 ifindex_ = 0; ///< 0: detached
    u32 flags_ = 0;   ///< XDP_FLAGS_*
};

/// Each interface has two places, for generic and for native mode, of which one at most is taken; whatever
/// the mode, the program is run alike. Any thread; one lock, held while interfaces install.
class XdpHooks {
public:
    enum Mode : u8 { generic, native };
    static constexpr u32 kModes = 2;

    /// What is in a place.
    struct Attached {
        std::shared_ptr<const Program> program; ///< null: nothing is
        u32 link = 0;                           ///< id; 0: attached without one
    };
    struct InterfaceState {
        Interface interface;
        std::array<Attached, kModes> attached; ///< by Mode
    };
    struct LinkState {
        u32 ifindex = 0; ///< 0: detached
        std::shared_ptr<const Program> program;
    };

    static XdpHooks& instance();

    /// The process's interfaces from now on; null: it has none. What is attached to those before is not any
    /// more; their links live on, detached.
    void serve(Interfaces* interfaces);
    [[nodiscard]] std::vector<InterfaceState> list();

    /// As RTM_SETLINK with IFLA_XDP: `program` null detaches; `expected` counts with XDP_FLAGS_REPLACE. 0 or
    /// -errno, with the kernel's words for it in `why`, where it has some.
    int set_program(u32 ifindex, const std::shared_ptr<const Program>& program,
                    const std::shared_ptr<const Program>& expected, u32 flags, const char*& why);

    // Links: as LINK_CREATE, LINK_UPDATE and LINK_DETACH, once it is known that the program is an XDP one.
    int attach(Link& link, u32 ifindex, const std::shared_ptr<const Program>& program, u32 flags);
    /// `expected` may be null.
    int update(Link& link, const std::shared_ptr<const Program>& program,
               const std::shared_ptr<const Program>& expected);
    void detach(Link& link);
    [[nodiscard]] LinkState state_of(const Link& link);

private:
    struct Place {
        std::shared_ptr<const Program> program;
        Link* link = nullptr;
    };
    using Places = std::array<Place, kModes>;
    /// What is to become of a place.
    struct Change {
        Link* link = nullptr; ///< either this or the others
        std::shared_ptr<const Program> program;
        std::shared_ptr<const Program> expected;
        u32 flags = 0;
    };

    XdpHooks() = default;
    [[nodiscard]] bool knows(u32 ifindex) const;
    int change(u32 ifindex, const Change& change, const char*& why);

    std::mutex lock_; ///< guards everything below, and all links
    Interfaces* interfaces_ = nullptr;
    std::map<u32, Places> places_; ///< by ifindex; those that were ever used
};

} // namespace xdplane
