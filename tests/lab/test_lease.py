# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What is lent to running flows (bpf/lease.bpf.h) is in the budget and in the counters, to the byte."""
import json
import socket
import subprocess
import time
import unittest

from case import KIB, MIB, PAYER, STORE, STRANGERS, LabCase, far
from guard import grant, policy
from lab import SLOWNESS

BUDGET, GIVERS = 24 * MIB, 4
LARGEST = {4: 1472, 6: 1232}  # payload of a datagram that goes as one packet: here, and on every way


class Lent(LabCase):
    def lent(self):
        """How many leases have begun."""
        shown = subprocess.run(["/usr/sbin/bpftool", "-j", "map", "dump", "pinned",
                                "/sys/fs/bpf/weir/%s/leases" % self.lab.instance], check=True, capture_output=True)
        return sum(one["formatted"]["value"]["word"] >> 44 for one in json.loads(shown.stdout))


class Lease(Lent):
    policy = policy([grant("wide", "batch", STORE, ["4GiB/1h", "9GiB/20h"], calls=["tcp/443", "udp/443"]),
                     grant("narrow", "batch", PAYER, ["%dMiB/1h" % (BUDGET // MIB)], calls="tcp/443")],
                    STRANGERS, services={"batch": {"budget": ["8GiB/1h"]}})

    def test_every_byte_is_counted(self):
        for family in (4, 6):
            for size in (500, LARGEST[family], None):
                with self.subTest(family=family, size=size or "TCP"):
                    counted, lent = self.count(STORE), self.lent()
                    sink, address, port = self.sink(STORE, family, 443, udp=size is not None)
                    if size:
                        given = self.lab.call(far.udp_give, address, port, size, 20000, True, 0, sink.shared,
                                              host="hub", service="batch")
                        self.assertEqual(given, (20000, None))
                    else:
                        self.assertEqual(self.lab.call(far.tcp_give, address, port, 32 * MIB, host="hub",
                                                       service="batch"), 32 * MIB)
                    sink.task.kill()
                    self.assert_interval(counted)
                    self.assertGreater(self.lent(), lent, "nothing was lent: this test shows nothing")

    def test_budget_holds_to_the_byte_for_many_at_once(self):
        (_, counter, _), lent = self.count(PAYER), self.lent()
        sink, address, port = self.sink(PAYER, 4, 443)
        givers = [self.lab.start(far.tcp_give, address, port, BUDGET, 4.0, host="hub", service="batch")
                  for _ in range(GIVERS)]
        for giver in givers:
            with self.assertRaises(OSError):  # its budget is used up before it is through
                giver.result()
        self.assertGreater(self.lent(), lent, "nothing was lent: this test shows nothing")
        self.assertLessEqual(sink.bytes, BUDGET)
        # Each is held at a packet that is larger than what is left: of 64 KiB at most, and its segments' headers.
        counter.settle()
        self.assertGreaterEqual(counter.ip_bytes, BUDGET - 72 * KIB, "there was room, and it was refused")


def give_steadily(address, port, rate):
    """Sends at `rate` bytes a second until nothing has been taken for some seconds."""
    with socket.create_connection((address, port), 4) as client:
        client.setsockopt(socket.SOL_SOCKET, 47, rate)  # SO_MAX_PACING_RATE
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIB)  # what is lent shall not wait in a queue
        client.settimeout(4)
        try:
            while True:
                client.send(far.CHUNK[:16 * KIB])
        except OSError:
            return


class Switched(Lent):
    """The budget of a running flow, to the byte, while its policy, its windows, the orders and the daemon change."""
    SHARE = 12 * SLOWNESS  # MiB: slower machines change slower
    BUDGET = 4 * SHARE * MIB
    WINDOWS = (["%dMiB/1h" % (4 * SHARE)], ["%dMiB/2h" % (4 * SHARE)],
               ["%dMiB/1h" % (4 * SHARE), "%dMiB/3h" % (5 * SHARE)],
               ["%dMiB/90m" % (4 * SHARE), "%dMiB/2h" % (5 * SHARE), "%dMiB/4h" % (6 * SHARE)])

    @staticmethod
    def with_windows(windows):
        return policy([grant("narrow", "batch", PAYER, windows, calls="tcp/443")], STRANGERS,
                      services={"batch": {"budget": ["8GiB/1h"]}})

    def change(self, number):
        """One thing after the other that a lease may be out at."""
        kind = number % 4
        if kind == 0:
            self.guard.apply(self.with_windows(self.WINDOWS[number // 4 % len(self.WINDOWS)]))
        elif kind == 1:
            self.guard.cut("partner:" + STORE)
        elif kind == 2:
            self.guard.reopen("partner:" + STORE)
        else:
            self.guard.kill()
            self.guard.start()

    def test_budget_holds_to_the_byte_while_all_is_switched(self):
        self.guard.start(self.with_windows(self.WINDOWS[-1]))
        (_, counter, _), lent = self.count(PAYER), self.lent()
        sink, address, port = self.sink(PAYER, 4, 443)
        givers = [self.lab.start(give_steadily, address, port, MIB, host="hub", service="batch")
                  for _ in range(GIVERS)]
        changes, end = 0, time.monotonic() + 60 * SLOWNESS
        while any(giver.is_running() for giver in givers):
            self.assertLess(time.monotonic(), end, "the budget has no end")
            self.change(changes)
            changes += 1
        self.assertGreaterEqual(changes, 4)
        self.assertGreater(self.lent(), lent + 10, "little was lent: this test shows nothing")
        counter.settle()
        self.assertEqual(counter.dropped, 0, "the far end's counter lost packets")
        self.assertLessEqual(counter.laden, self.BUDGET)
        # each giver is held at a packet that is larger than what is left
        self.assertGreaterEqual(counter.laden, self.BUDGET - 72 * KIB, "there was room, and it was refused")


if __name__ == "__main__":
    unittest.main()
