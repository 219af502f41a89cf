// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane run` on what the kernel's interfaces can do beyond one queue of ordinary packets.
#include "tests/e2e/run_support.h"

namespace xdplane {
namespace {

const std::string kUdpFlows = XDPLANE_UDP_FLOWS;

class RunPorts : public RunBetweenHosts {
protected:
    /// Flows from left to right, answered there.
    void exchange(int flows, int datagrams) {
        const Process server(net_->in("right", {"python3", kUdpFlows, "serve", "7777"}));
        const Finished client =
            run_process(net_->in("left", {"python3", kUdpFlows, "send", "10.9.0.2", "7777",
                                          std::to_string(flows), std::to_string(datagrams)}),
                        90s);
        EXPECT_EQ(client.status, 0) << client.err;
    }
};

TEST_F(RunPorts, SeveralQueuesOfAfPacket) {
    const std::string queues = ",qpairs=2";
    const json report =
        while_running(port("left", "net_af_packet0,iface=left0" + queues, "right", "flows") +
                          port("right", "net_af_packet1,iface=right0" + queues, "left", "flows") +
                          chain("flows", {test_program("one_cpu_per_flow")}),
                      [&] {
                          EXPECT_TRUE(net_->ping());
                          exchange(64, 10);
                      },
                      {"--workers", "2"});
    EXPECT_EQ(report["workers"], 2);
    for (const json& port : report["ports"]) {
        ASSERT_EQ(port["queues"].size(), 2);
        u64 packets = 0;
        for (const json& queue : port["queues"]) {
            EXPECT_GE(queue["rx_packets"], 100) << "a queue without its share: " << port.dump();
            packets += queue["rx_packets"].get<u64>();
        }
        EXPECT_EQ(port["rx_packets"], packets);
        EXPECT_EQ(port["dropped"]["aborted"], 0) << "a flow on two CPUs";
        EXPECT_GE(port["forwarded"], 640);
    }
}

} // namespace
} // namespace xdplane
