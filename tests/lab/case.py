# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
case.py - the base of the end-to-end tests: one lab and one guard per class, one behaviour per test.

A test that shows a refusal also shows, in the same run, that what is approved passes: so it fails
both when the guard lets everything through and when it blocks everything.
"""
import json
import os
import re
import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import far  # noqa: E402
import guard  # noqa: E402
import lab  # noqa: E402
from lab import HOSTS, wait_for  # noqa: E402,F401

KIB, MIB = 1 << 10, 1 << 20
B = 64 * KIB  # the strangers' budget per peer in most policies here
STRANGERS = {"serves": ["64KiB/10m"], "calls": "deny", "total": ["8MiB/1h"], "on_breach": "hold"}
NORD, SUED, PAYER, STORE = "klinik-nord", "klinik-sued", "payer", "store"
HUB = far.HUB
# Of each IPv6 connection that is accepted: its SYN-ACK, which no kernel before 6.12 (of those tried) shows to
# programs of a cgroup.
RELEASE = tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())
HIDDEN_BYTES = 80 if RELEASE < (6, 12) else 0


class LabCase(unittest.TestCase):
    servers = ()
    policy = None       # the guard starts with it; None: the test starts it
    run_options = ()    # more words for `weir run`

    @classmethod
    def setUpClass(cls):
        cls.lab = lab.Lab(cls.servers)
        cls.addClassCleanup(cls.lab.down)
        cls.lab.up()
        cls.guard = guard.Guard(cls.lab)
        cls.addClassCleanup(cls.end_guard)
        cls.strangers = iter(range(1, lab.STRANGERS))
        cls.ports = iter(range(7000, 8000))
        cls.prepare()
        if cls.policy is not None:
            cls.guard.start(cls.policy, *cls.run_options)

    @classmethod
    def end_guard(cls):
        """In good order: only so can a sanitizer tell what leaked."""
        process = cls.guard.process
        if process and process.poll() is None:
            cls.guard.stop()

    @classmethod
    def prepare(cls):
        """What must be there before the guard."""

    def diagnosis(self):
        """What the daemon said, for the report of a failed test."""
        if os.path.exists(self.guard.log) and self.guard.words():
            return "the daemon said:\n" + "\n".join(self.guard.words().splitlines()[-15:])
        return ""

    # ---- the far end ----------------------------------------------------------------------------

    def needs(self, name, kind, protocol):
        """Skips the test where the kernel does not have the protocol."""
        try:
            socket.socket(socket.AF_INET, kind, protocol).close()
        except OSError:
            self.skipTest("this kernel has no " + name)

    def stranger(self, family=4):
        """An address of a stranger that no test of this class has used."""
        return HOSTS["stranger"][0 if family == 4 else 3][next(self.strangers)]

    def pour(self, service="batch", family=4, send=None, prepare=None, address=None):
        """A server in a service's cgroup that sends without end; returns its port."""
        port = next(self.ports)
        address = address or HUB[family]
        self.server = self.lab.start(far.pour, address, port, send, prepare, host="hub", service=service)
        far.wait_listening(self.lab, "hub", address, port)
        return port

    def take(self, host, port, source=None, family=4, seconds=1.5, limit=None, request=b"go\n"):
        """Bytes that a client on `host` gets from a pour()."""
        return self.lab.call(far.tcp_take, HUB[family], port, source, seconds, request, limit, host=host)[0]

    def sink(self, host, family=4, port=None, udp=False, protocol=0):
        """A server at the far end; returns (sink, address, port)."""
        port = port or next(self.ports)
        address = HOSTS[host][0 if family == 4 else 3][0]
        sink = far.Sink(self.lab, host, address, port, udp, protocol)
        self.addCleanup(sink.task.kill)
        return sink, address, port

    # ---- orders ---------------------------------------------------------------------------------

    def take_order(self, path, code=0):
        """Hands a signed one over; the answer, or what was told of its refusal."""
        done = self.guard.weir("order", "apply", path, "--json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout) if code == 0 else done.stderr

    # ---- what holds -----------------------------------------------------------------------------

    def assert_bounded(self, got, budget=B):
        self.assertLessEqual(got, budget, "more than the budget reached the far end")

    def assert_all(self, download, name, timeout=60):
        """A download of a file of the hub's arrived whole."""
        self.assertEqual(download.wait(timeout), 0, "the approved transfer failed")
        self.assertEqual(download.bytes, os.path.getsize(self.lab.path("data", name)))

    def assert_passes(self, host, port, family=4, size=4 * MIB):
        """A partner gets at least `size` bytes from a pour()."""
        self.assertGreaterEqual(self.take(host, port, family=family, limit=size, seconds=5), size,
                                "an approved partner was blocked")

    def count(self, partner):
        """Counts at a partner from now on, for assert_interval()."""
        before = self.guard.partner(partner)
        counter = far.Count(self.lab, partner)
        self.addCleanup(counter.stop)
        return partner, counter, before

    def assert_interval(self, counted, accepted6=0):
        """acknowledged <= received <= sent since count(), and sent is not far above what arrived
        (promise 11), over `accepted6` connections that a service accepted over IPv6. Returns what weir
        says was acknowledged."""
        partner, counter, before = counted
        counter.settle()

        def since(key):
            return self.guard.partner(partner)[key] - before[key]
        try:
            wait_for(lambda: since("sent_bytes") >= counter.ip_bytes - counter.unowned, 3)
        except TimeoutError:
            pass
        acked, sent = since("acked_bytes"), since("sent_bytes")
        self.assertEqual(counter.dropped, 0, "the far end's counter lost packets")
        self.assertLessEqual(acked, counter.tcp_payload)
        self.assertGreaterEqual(sent, counter.ip_bytes - counter.unowned - HIDDEN_BYTES * accepted6)
        self.assertLessEqual(sent, counter.ip_bytes * 1.02 + 20000)
        return acked


def pause(seconds):
    """For what can only be shown by waiting, such as a window that passes."""
    time.sleep(seconds)
