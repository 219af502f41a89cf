// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "dataplane/port.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/ranges.h>
#include <net/if.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bpf/base/unique_fd.h"
#include "bpf/run/packet.h"
#include "dataplane/eal.h"

namespace xdplane {
namespace {

static_assert(kPrivateHeadroom + RTE_PKTMBUF_HEADROOM == kHeadroom);
constexpr u32 kPoolCache = 256;

/// DPDK's name of a device: without its arguments, and a PCI address with its domain.
std::string device_name(const std::string& device) {
    const std::string name = device.substr(0, device.find(','));
    const bool short_pci = name.size() == 7 && name[2] == ':' && name[5] == '.';
    return short_pci ? "0000:" + name : name;
}

/// Ethernet's header and two VLAN tags.
constexpr u32 kFrameOverhead = 14 + 2 * 4;

/// With a key of one repeated 16-bit word, Toeplitz hashes do not mind which address is the source (Woo and
/// Park, "Scalable TCP session monitoring with symmetric receive-side scaling").
constexpr u8 kSymmetricKey[] = {0x6d, 0x5a};
constexpr u64 kSymmetricTypes = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;

/// The pool of a port that is open.
std::string pool_name(u16 id) { return fmt::format("xdplane_{}", id); }

/// `what`, and the driver's own words if it logged any, else the error number's.
std::unexpected<Error> driver_failed(int error, std::string_view what) {
    const std::string logged = take_eal_log();
    return fail(error, "{}: {}", what, logged.empty() ? rte_strerror(error) : logged);
}

} // namespace

Result<std::unique_ptr<Port>> Port::open(const PortSpec& spec, u32 workers, u32 queues) {
    std::unique_ptr<Port> port(new Port(spec));
    (void)take_eal_log();
    const auto open = [&]() -> Result<> {
        if (auto ok = port->probe(); !ok) return ok;
        rte_eth_dev_info info{};
        if (const int error = rte_eth_dev_info_get(port->id_, &info); error != 0)
            return driver_failed(-error, "no device information");
        port->bus_device_ = info.device;
        port->traits_ = traits_of(info.driver_name);
        port->interface_ = info.if_index;
        if (auto ok = port->choose_queues(info, workers, queues); !ok) return ok;
        if (auto ok = port->make_pool(); !ok) return ok;
        if (auto ok = port->configure(info); !ok) return ok;
        if (auto ok = port->set_mtu(); !ok) return ok;
        return port->set_up_queues();
    };
    if (auto ok = open(); !ok) return fail(ok.error(), fmt::format("port {}", spec.name));
    return port;
}

Result<> Port::probe() {
    const std::string name = device_name(spec_.device);
    if (name.empty()) return fail(EINVAL, "no device given");
    if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0) {
        if (const int error = rte_dev_probe(spec_.device.c_str()); error != 0)
            return driver_failed(-error, fmt::format("DPDK can not open device {}", spec_.device));
        if (rte_eth_dev_get_port_by_name(name.c_str(), &id_) != 0)
            return fail(ENODEV, "device {} is no network port", spec_.device);
        probed_ = true;
    } else if (rte_mempool_lookup(pool_name(id_).c_str()) != nullptr) {
        return fail(EBUSY, "device {} belongs to another port already", name);
    }
    ifindex_ = spec_.ifindex != 0 ? spec_.ifindex : id_ + 1U;
    return {};
}

Result<> Port::choose_queues(const rte_eth_dev_info& info, u32 workers, u32 wanted) {
    const u32 there = std::max<u32>(info.max_rx_queues, 1);
    const bool all = traits_.all_queues;
    if (spec_.rx_queues > there)
        return fail(EINVAL, "rx_queues = {}, and the device has {}", spec_.rx_queues, there);
    if (all && spec_.rx_queues != 0 && spec_.rx_queues != there)
        return fail(EINVAL, "rx_queues = {}, and the device fills all of its {}", spec_.rx_queues, there);
    u32 queues = spec_.rx_queues;
    if (queues == 0) queues = all ? there : std::min(wanted, there);
    if (queues > kMostQueues) return fail(E2BIG, "{} receive queues are more than {}", queues, kMostQueues);
    rx_queues_ = static_cast<u16>(std::max(queues, 1U));
    tx_queues_ = static_cast<u16>(std::clamp<u32>(workers, 1, std::max<u32>(info.max_tx_queues, 1)));
    return {};
}

/// Bytes of a buffer behind the private headroom.
Result<u16> Port::buffer_size() const {
    const u32 frame = spec_.mtu + kFrameOverhead;
    if (!traits_.page_buffers) {
        if (spec_.mtu > kLargestMtu) return fail(EINVAL, "mtu = {} is more than {}", spec_.mtu, kLargestMtu);
        const u32 room = std::max(kFrameSize, (frame + 1023) / 1024 * 1024);
        return static_cast<u16>(RTE_PKTMBUF_HEADROOM + room);
    }
    const auto page = static_cast<u32>(sysconf(_SC_PAGESIZE));
    u32 size = page;
    const auto object = [&] {
        return rte_mempool_calc_obj_size(sizeof(rte_mbuf) + kPrivateHeadroom + size, 0, nullptr);
    };
    while (object() > page) size -= RTE_CACHE_LINE_SIZE;
    const u32 longest = size - RTE_PKTMBUF_HEADROOM - traits_.front;
    if (frame > longest)
        return fail(EINVAL, "mtu = {}: buffers of {} hold {} bytes", spec_.mtu, traits_.driver,
                    longest - kFrameOverhead);
    return static_cast<u16>(size);
}

Result<> Port::make_pool() {
    const auto size = buffer_size();
    if (!size) return fail(size.error());
    const u32 buffers = kPoolPackets + rx_queues_ * std::max(kPoolPackets, 2 * spec_.rx_descriptors);
    pool_ = rte_pktmbuf_pool_create(pool_name(id_).c_str(), buffers, kPoolCache, kPrivateHeadroom, *size,
                                    rte_eth_dev_socket_id(id_));
    if (pool_ == nullptr)
        return driver_failed(rte_errno, fmt::format("no memory for {} buffers of {} bytes", buffers, *size));
    if (traits_.page_buffers && pool_->nb_mem_chunks != 1)
        return fail(ENOMEM, "no memory for {} buffers in one piece", buffers);
    return {};
}

Result<> Port::configure(const rte_eth_dev_info& info) {
    // No offloads: a program sees what was on the wire, and what it leaves is what is sent.
    rte_eth_conf conf{};
    std::vector<u8> key(info.hash_key_size != 0 ? info.hash_key_size : 40);
    if (rx_queues_ > 1 && (info.flow_type_rss_offloads & kSymmetricTypes) != 0) {
        for (std::size_t i = 0; i < key.size(); ++i) key[i] = kSymmetricKey[i % 2];
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf = {.rss_key = key.data(),
                                     .rss_key_len = static_cast<u8>(key.size()),
                                     .rss_hf = info.flow_type_rss_offloads & kSymmetricTypes};
    }
    if (!traits_.own_mtu) conf.rxmode.mtu = spec_.mtu;
    configured_ = true;
    int error = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
    // Some drivers have their queues in pairs.
    if (error == -EINVAL && tx_queues_ != rx_queues_) {
        (void)take_eal_log();
        tx_queues_ = rx_queues_;
        error = rte_eth_dev_configure(id_, rx_queues_, tx_queues_, &conf);
    }
    if (error != 0) return driver_failed(-error, "can not configure the device");
    return {};
}

Result<> Port::set_mtu() const {
    if (spec_.mtu == 0) return {};
    if (!traits_.own_mtu) {
        const int error = rte_eth_dev_set_mtu(id_, static_cast<u16>(spec_.mtu));
        if (error == 0 || error == -ENOTSUP) return {}; // files and rings have none
        return driver_failed(-error, fmt::format("can not set mtu = {}", spec_.mtu));
    }
    ifreq request{};
    request.ifr_mtu = static_cast<int>(spec_.mtu);
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (interface_ == 0 || if_indextoname(interface_, request.ifr_name) == nullptr || !socket) return {};
    if (ioctl(socket.get(), SIOCSIFMTU, &request) != 0)
        return fail(errno, "can not set mtu = {}: {}", spec_.mtu, std::strerror(errno));
    return {};
}

/// What the kernel says of its interface; true where there is none.
bool Port::is_promiscuous() const {
    ifreq request{};
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (interface_ == 0 || if_indextoname(interface_, request.ifr_name) == nullptr || !socket) return true;
    return ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0 || (request.ifr_flags & IFF_PROMISC) != 0;
}

std::string Port::mac() const {
    rte_ether_addr address{};
    if (rte_eth_macaddr_get(id_, &address) != 0 || rte_is_zero_ether_addr(&address)) return {};
    return fmt::format("{:02x}", fmt::join(address.addr_bytes, ":"));
}

Result<> Port::set_up_queues() {
    u16 rx = static_cast<u16>(spec_.rx_descriptors);
    u16 tx = static_cast<u16>(spec_.tx_descriptors);
    if (const int error = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx); error != 0)
        return driver_failed(-error, "can not size the device's queues");
    const auto socket = static_cast<u32>(std::max(rte_eth_dev_socket_id(id_), 0));
    for (u16 queue = 0; queue < rx_queues_; ++queue)
        if (const int error = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool_); error != 0)
            return driver_failed(-error, fmt::format("can not set up receive queue {}", queue));
    for (u16 queue = 0; queue < tx_queues_; ++queue)
        if (const int error = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr); error != 0)
            return driver_failed(-error, fmt::format("can not set up transmit queue {}", queue));
    if (const int error = rte_eth_dev_start(id_); error != 0)
        return driver_failed(-error, "can not start the device");
    started_ = true;
    promiscuous_before_ = is_promiscuous();
    // Devices without the notion of promiscuity (files, rings) say -ENOTSUP, and deliver everything anyway.
    (void)rte_eth_promiscuous_enable(id_);
    return {};
}

DeviceCounters Port::counters() const {
    rte_eth_stats stats{};
    if (!started_ || rte_eth_stats_get(id_, &stats) != 0) return at_stop_;
    return {.missed = stats.imissed + stats.rx_nombuf, .tx_errors = stats.oerrors};
}

/// Software rings keep what was not received when they close; take it out. Bounded, for devices that never
/// run dry.
void Port::drain() const {
    std::array<rte_mbuf*, kBurst> packets;
    const u32 most = pool_->size;
    for (u16 queue = 0; queue < rx_queues_; ++queue)
        for (u32 taken = 0; taken < most;) {
            const u16 count = rte_eth_rx_burst(id_, queue, packets.data(), kBurst);
            if (count == 0) break;
            rte_pktmbuf_free_bulk(packets.data(), count);
            taken += count;
        }
}

void Port::stop() {
    if (started_) {
        at_stop_ = counters();
        drain();
        started_ = false;
        // Drivers do not think of it when they close.
        if (!promiscuous_before_) (void)rte_eth_promiscuous_disable(id_);
        (void)rte_eth_dev_stop(id_);
    }
    if (configured_) (void)rte_eth_dev_close(id_);
    configured_ = false;
    if (probed_ && bus_device_ != nullptr) (void)rte_dev_remove(bus_device_);
    probed_ = false;
}

u32 Port::buffers_missing() const {
    if (pool_ == nullptr) return 0;
    const u32 out = rte_mempool_in_use_count(pool_);
    return out - std::min(out, traits_.keeps * rx_queues_);
}

Port::~Port() {
    stop();
    rte_mempool_free(pool_);
}

} // namespace xdplane
