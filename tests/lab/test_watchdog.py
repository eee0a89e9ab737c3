# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the service manager hears of a daemon whose guard root takes apart: whoever is not heard of is killed."""
import glob
import json
import os
import select
import signal
import socket
import subprocess

from case import B, MIB, NORD, SUED, LabCase, wait_for
from test_tamper import POLICY, bpftool, foreign_program


class Watchdog(LabCase):
    """WATCHDOG=1, after each look that found the guard judging."""

    @classmethod
    def prepare(cls):
        cls.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.manager.close)
        cls.manager.bind(cls.lab.path("notify"))
        cls.guard.environment.update(NOTIFY_SOCKET=cls.lab.path("notify"), WATCHDOG_USEC="20000000")
        cls.object = foreign_program(cls)

    def tearDown(self):
        if self.guard.process.poll() is None:
            self.guard.weir("unload", "--yes")
            self.guard.process.wait(10)

    def heard(self):
        """All that came since the last time."""
        lines = []
        while select.select([self.manager], [], [], 0)[0]:
            lines += self.manager.recv(4096).decode().splitlines()
        return lines

    def wait_fed(self):
        wait_for(lambda: "WATCHDOG=1" in self.heard(), 10, "the watchdog to be fed")

    def wait_check(self):
        """For one more look at the attachment."""
        def age():
            return self.guard.status()["attachment"]["checked_ms_ago"]
        last = [age()]

        def is_younger():
            last.append(age())
            return last[-1] < last[-2]
        wait_for(is_younger, 10, "a look at the attachment")

    def test_fed_only_while_every_hook_is_in_its_place(self):
        self.guard.start(POLICY)
        self.assertIn("READY=1", self.heard())
        self.wait_fed()
        pinned = "/sys/fs/bpf/weir/%s-foreign" % self.lab.instance
        bpftool("prog", "load", self.object, pinned)
        self.addCleanup(os.unlink, pinned)
        self.guard.process.send_signal(signal.SIGSTOP)
        try:
            bpftool("link", "detach", "pinned", "/sys/fs/bpf/weir/%s/link_egress" % self.lab.instance)
            bpftool("cgroup", "attach", self.lab.cgroup, "egress", "pinned", pinned)  # for itself alone
        finally:
            self.guard.process.send_signal(signal.SIGCONT)
        try:
            wait_for(lambda: not self.guard.status()["attachment"]["is_whole"], 10, "the loss to be seen")
            said = self.guard.weir("status")  # what a transfer service waits for (needs-weir.conf)
            self.assertEqual(said.returncode, 1)
            self.assertIn("not in its place", said.stderr)
            self.heard()
            self.wait_check()
            self.wait_check()
            self.assertNotIn("WATCHDOG=1", self.heard())
        finally:
            bpftool("cgroup", "detach", self.lab.cgroup, "egress", "pinned", pinned)
        self.wait_fed()
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.assertEqual(self.guard.weir("status").returncode, 0)

    # ---- without pins ---------------------------------------------------------------------------

    def confine(self):
        """As a unit may confine the daemon: it can write to the directory of its pins, and not make it again."""
        directory, wrapper = "/sys/fs/bpf/weir/" + self.lab.instance, self.lab.path("confined")
        with open(wrapper, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh -e\n[ \"$1\" = run ] || exec %(weir)s \"$@\"\nmkdir -p -m 0700 %(pins)s\n"
                       "exec unshare -m --propagation slave sh -ec 'mount --bind %(pins)s %(pins)s;"
                       " mount -o remount,bind,ro /sys/fs/bpf; exec %(weir)s \"$@\"' sh \"$@\"\n"
                       % {"weir": self.guard.program, "pins": directory})
        os.chmod(wrapper, 0o755)
        self.addCleanup(setattr, self.guard, "program", self.guard.program)
        self.guard.program = wrapper
        return directory

    def test_pins_follow_bpffs_when_it_is_mounted_anew(self):
        directory = self.confine()
        self.guard.start(POLICY)
        self.wait_fed()

        def inside(*words):
            return subprocess.run(["nsenter", "-t", str(self.guard.process.pid), "-m", *words], capture_output=True,
                                  text=True, check=True, timeout=20).stdout
        before, times = inside("ls", directory), len(self.told("removed-pin", "link_egress"))
        inside("mount", "-t", "bpf", "bpf", "/sys/fs/bpf")
        wait_for(lambda: len(self.told("removed-pin", "link_egress")) > times, 10, "the loss to be told")
        wait_for(lambda: self.guard.status()["attachment"]["is_whole"], 10, "all to be whole")
        self.assertEqual(inside("ls", directory), before)
        self.heard()
        self.wait_fed()
        self.assert_judges(self.pour())

    def told(self, what, where):
        return [one for one in (event["unmapped"] for event in self.guard.events())
                if (one.get("kind"), one.get("what"), one.get("where")) == ("tampered", what, where)]

    def detach_egress(self):
        guarded = os.stat(self.lab.cgroup).st_ino
        for link in json.loads(bpftool("-j", "link", "show")):
            if (link.get("cgroup_id"), link.get("attach_type")) == (guarded, "cgroup_inet_egress"):
                bpftool("link", "detach", "id", str(link["id"]))

    def assert_judges(self, port):
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(SUED, port)

    def test_fed_while_the_pins_are_lost_since_the_guard_would_end_with_the_daemon(self):
        directory = self.confine()
        self.guard.start(POLICY)
        self.wait_fed()
        times = len(self.told("removed-pin", "link_egress"))
        for pin in glob.glob(directory + "/*"):
            os.unlink(pin)
        os.rmdir(directory)
        wait_for(lambda: not self.guard.status()["attachment"]["is_whole"], 10, "the loss to be seen")
        self.assertEqual(self.guard.weir("status").returncode, 1)
        self.heard()
        self.wait_check()
        self.wait_fed()
        self.assertFalse(os.path.exists(directory))
        found = {one["where"]: one for one in self.guard.status()["attachment"]["findings"] if one["until"] is None}
        self.assertLessEqual({"link_egress", "control", "program_settle"}, set(found))
        self.assertIn("Read-only file system", found["link_egress"]["detail"])
        self.assertEqual(self.guard.status()["attachment"]["unlisted"], 0)
        self.assertEqual(len(self.told("removed-pin", "link_egress")), times + 1)
        port = self.pour()
        self.assert_judges(port)
        self.guard.cut("partner:" + NORD)
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        before = len(self.told("detached", "egress"))
        self.detach_egress()
        wait_for(lambda: len(self.told("detached", "egress")) > before, 10, "it to be told")
        self.assertEqual(self.told("detached", "egress")[-1]["is_repaired"], "yes")
        self.assert_judges(port)
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        self.heard()
        self.wait_fed()
        self.guard.kill()
        self.assertGreater(self.take("stranger", port, self.stranger(), limit=MIB), B)  # so it is better fed
