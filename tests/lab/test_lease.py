# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What is lent to running flows (bpf/lease.bpf.h) is in the budget and in the counters, to the byte."""
import json
import subprocess
import unittest

from case import KIB, MIB, PAYER, STORE, STRANGERS, LabCase, far
from guard import grant, policy

BUDGET, GIVERS = 24 * MIB, 4
LARGEST = {4: 1472, 6: 1232}  # payload of a datagram that goes as one packet: here, and on every way


class Lease(LabCase):
    policy = policy([grant("wide", "batch", STORE, ["4GiB/1h", "9GiB/20h"], calls=["tcp/443", "udp/443"]),
                     grant("narrow", "batch", PAYER, ["%dMiB/1h" % (BUDGET // MIB)], calls="tcp/443")],
                    STRANGERS, services={"batch": {"budget": ["8GiB/1h"]}})

    def lent(self):
        """How many leases have begun."""
        shown = subprocess.run(["/usr/sbin/bpftool", "-j", "map", "dump", "pinned",
                                "/sys/fs/bpf/weir/%s/leases" % self.lab.instance], check=True, capture_output=True)
        return sum(one["formatted"]["value"]["word"] >> 44 for one in json.loads(shown.stdout))

    def test_every_byte_is_counted(self):
        for family in (4, 6):
            for size in (500, LARGEST[family], None):
                with self.subTest(family=family, size=size or "TCP"):
                    counted, lent = self.count(STORE), self.lent()
                    sink, address, port = self.sink(STORE, family, 443, udp=size is not None)
                    if size:
                        given = self.lab.call(far.udp_give, address, port, size, 20000, True, host="hub",
                                              service="batch")
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


if __name__ == "__main__":
    unittest.main()
