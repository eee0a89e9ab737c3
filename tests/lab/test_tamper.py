# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Root takes the guard apart behind the daemon's back: it is seen, told, and put back within a second."""
import glob
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile

from case import B, NORD, STRANGERS, SUED, LabCase, wait_for
from guard import grant, policy
from lab import SLOWNESS
from test_daemon import foreign_xdp

POLICY = policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999")], STRANGERS)
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/sbin:/usr/bin:/bin") or "bpftool"
FOREIGN = """
#include <linux/bpf.h>
#define SEC(name) __attribute__((section(name), used))
SEC("cgroup_skb/egress") int foreign(struct __sk_buff *skb) { return 1; }
char LICENSE[] SEC("license") = "GPL";
"""


def bpftool(*words):
    done = subprocess.run([BPFTOOL, *words], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise RuntimeError("bpftool %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def foreign_program(case):
    """An object with FOREIGN in it, for the tests of one class."""
    directory = tempfile.mkdtemp(prefix="weir-foreign-")
    case.addClassCleanup(shutil.rmtree, directory)
    source, target = os.path.join(directory, "f.c"), os.path.join(directory, "f.o")
    with open(source, "w", encoding="utf-8") as file:
        file.write(FOREIGN)
    machine = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["clang", "-target", "bpf", "-O2", "-I/usr/include/" + machine, "-c", source, "-o", target],
                   check=True, timeout=60)
    return target


class Tamper(LabCase):
    policy = POLICY

    @classmethod
    def prepare(cls):
        cls.object = foreign_program(cls)

    def setUp(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        self.seen = {(one["what"], one["where"]): one["repaired"] for one in self.findings()}

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")

    # ---- helpers --------------------------------------------------------------------------------

    def findings(self):
        return self.guard.status()["attachment"]["findings"]

    def gone(self):
        return [one for one in self.findings() if one["what"] == "uplink-gone" and one["until"] is None]

    def wait_gone(self):
        """It is told that the interface is away; nothing else of the guard is."""
        wait_for(self.gone, 5, "the interface to be missed")
        self.assertEqual([one["where"] for one in self.gone()], ["uplink0"])
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.assertTrue([event for event in self.guard.events() if "uplink-gone at uplink0" in event["message"]])

    def pin(self, name):
        return "/sys/fs/bpf/weir/%s/%s" % (self.lab.instance, name)

    def pins(self):
        return sorted(os.path.basename(path) for path in glob.glob(self.pin("*")))

    def assert_put_back(self, what, where, unjudged=False):
        """It is told within a second (plus what the machine takes), and all is whole again. `unjudged`: packets
        could pass meanwhile, and the event says for how long at most."""
        def is_told():
            return [one for one in self.findings() if (one["what"], one["where"]) == (what, where)
                    and one["repaired"] > self.seen.get((what, where), 0)]
        wait_for(is_told, 5, "%s at %s to be seen" % (what, where))
        status = self.guard.status()
        self.assertTrue(status["attachment"]["is_whole"])
        self.assertTrue(all(hook["is_attached"] for hook in status["hooks"]))
        told = [event["unmapped"] for event in self.guard.events() if event["unmapped"].get("kind") == "tampered"]
        told = [one for one in told if (one["what"], one["where"]) == (what, where)]
        self.assertTrue(told)
        self.assertEqual("unjudged_ms_at_most" in told[-1], unjudged)
        self.assertLess(told[-1].get("unjudged_ms_at_most", 0), 1000 * (1 + SLOWNESS))

    def assert_guards(self):
        port = self.pour()
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)

    # ---- tests ----------------------------------------------------------------------------------

    def test_detached_link_is_attached_again(self):
        for hook in ("egress", "connect4", "sock_create"):
            with self.subTest(hook=hook):
                bpftool("link", "detach", "pinned", self.pin("link_" + hook))
                self.assert_put_back("detached", hook, unjudged=True)
                self.assert_guards()

    def test_removed_pins_are_pinned_again(self):
        before = self.pins()
        for name in ("link_egress", "meters", "program_settle", "control"):
            with self.subTest(name=name):
                os.unlink(self.pin(name))
                self.assert_put_back("removed-pin", name)
                self.assertEqual(self.pins(), before)
        self.assert_guards()

    def test_removed_directory_comes_back_and_outlives_the_daemon(self):
        before = self.pins()
        for name in before:
            os.unlink(self.pin(name))
        os.rmdir(self.pin(""))
        wait_for(lambda: self.pins() == before, 5, "the pins")
        self.assert_guards()
        self.guard.cut("partner:" + NORD)
        self.guard.kill()
        port = self.pour()
        self.assertEqual(self.take(NORD, port), 0)
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.guard.start()
        self.assert_passes(SUED, port)

    def test_replaced_program_is_put_back(self):
        pinned = self.pin("").rstrip("/") + "-foreign"
        bpftool("prog", "load", self.object, pinned)
        try:
            port, source = self.pour(), self.stranger()
            replace_program(self.pin("link_egress"), pinned)
            self.assert_put_back("replaced-program", "egress", unjudged=True)
            self.assert_bounded(self.take("stranger", port, source))
            self.assert_passes(NORD, port)
        finally:
            os.unlink(pinned)

    def test_foreign_program_before_ours_is_named_and_lets_nothing_pass(self):
        pinned = self.pin("").rstrip("/") + "-foreign"
        bpftool("prog", "load", self.object, pinned)
        try:
            # below the guarded cgroup it would not come before ours there; at it, later ones come later
            bpftool("link", "detach", "pinned", self.pin("link_egress"))
            bpftool("cgroup", "attach", self.lab.cgroup, "egress", "pinned", pinned, "multi")
            try:
                self.assert_put_back("detached", "egress", unjudged=True)
                wait_for(lambda: [one for one in self.findings() if one["what"] == "foreign-program"
                                  and one["until"] is None], 5, "the foreign program to be named")
                self.assert_guards()
            finally:
                bpftool("cgroup", "detach", self.lab.cgroup, "egress", "pinned", pinned)
            wait_for(lambda: not [one for one in self.findings() if one["until"] is None], 5, "its end to be seen")
        finally:
            os.unlink(pinned)

    def test_uplink_that_comes_back_drops_again_what_a_cut_partner_sends(self):
        self.guard.cut("partner:" + NORD)
        self.lab.remake_uplink(self.wait_gone)
        self.assert_put_back("detached", "uplink0", unjudged=True)
        wait_for(lambda: not self.gone(), 5, "the interface to be back")
        dropped = self.guard.partner(NORD).get("edge_dropped_packets", 0)
        port = self.pour()
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        wait_for(lambda: self.guard.partner(NORD)["edge_dropped_packets"] > dropped, 5, "the edge to drop")
        self.assert_passes(SUED, port)

    def test_a_daemon_takes_over_while_the_uplink_is_away(self):
        def take_over():
            self.guard.kill()
            self.guard.start()
            self.wait_gone()
        self.guard.cut("partner:" + NORD)
        self.lab.remake_uplink(take_over)
        self.assert_put_back("detached", "uplink0", unjudged=True)
        wait_for(lambda: not self.gone(), 5, "the interface to be back")
        port = self.pour()
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        wait_for(lambda: self.guard.partner(NORD)["edge_dropped_packets"] > 0, 5, "the edge to drop")
        self.assert_passes(SUED, port)

    def test_detaching_while_no_daemon_runs_is_mended_by_the_next(self):
        port = self.pour()
        self.guard.kill()
        bpftool("link", "detach", "pinned", self.pin("link_egress"))
        self.assertFalse(all(hook["is_attached"] for hook in self.guard.status()["hooks"]))
        os.unlink(self.pin("link_connect4"))
        self.guard.start()
        self.assertTrue(all(hook["is_attached"] for hook in self.guard.status()["hooks"]))
        for hook in ("egress", "connect4"):
            wait_for(lambda: [one for one in self.findings() if (one["what"], one["where"]) == ("detached", hook)
                              and "while no daemon looked" in one["detail"] and one["until"]], 5, hook + " to be told")
        told = [event["unmapped"] for event in self.guard.events() if "while no daemon looked" in event["message"]]
        self.assertEqual(sorted(one["where"] for one in told), ["connect4", "egress"])
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)

    def test_unload_by_another_process_ends_the_daemon_and_is_not_undone(self):
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.assertEqual(self.guard.process.returncode, 0)
        self.assertEqual(self.pins(), [])
        self.guard.start()
        self.assert_guards()


class Watchdog(LabCase):
    """What the service manager hears of a daemon that runs, but may not put back what it lost."""

    @classmethod
    def prepare(cls):
        cls.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        cls.addClassCleanup(cls.manager.close)
        cls.manager.bind(cls.lab.path("notify"))
        cls.guard.environment.update(NOTIFY_SOCKET=cls.lab.path("notify"), WATCHDOG_USEC="20000000")
        cls.object = foreign_program(cls)

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


class AnyUplink(LabCase):
    policy = POLICY
    run_options = ("--uplink", "any")

    def setUp(self):
        wait_for(lambda: self.edges() == {"uplink0": True}, 5, "the interfaces of the test before to be forgotten")

    def edges(self):
        return {hook["where"]: hook["is_attached"] for hook in self.guard.status()["hooks"] if hook["name"] == "edge"}

    def test_interfaces_that_come_later_get_the_edge(self):
        self.assertEqual(self.edges(), {"uplink0": True})
        hub = self.lab.hosts["hub"].namespace
        subprocess.run(["ip", "-n", hub, "link", "add", "later0", "type", "veth", "peer", "name", "later1"], check=True)
        wait_for(lambda: self.edges() == {"uplink0": True, "later0": True, "later1": True}, 5, "the new interfaces")
        subprocess.run(["ip", "-n", hub, "link", "del", "later0"], check=True)
        wait_for(lambda: self.edges() == {"uplink0": True}, 5, "the end of the interfaces")
        self.guard.kill()
        self.guard.start(None, *self.run_options)
        self.assertEqual(self.edges(), {"uplink0": True})
        for kind in ("uplink-came", "uplink-gone"):
            for name in ("later0", "later1"):
                wait_for(lambda: self.told(kind, name), 5, "%s %s" % (kind, name))
        self.assertEqual(self.guard.status()["attachment"]["findings"], [])

    def told(self, kind, where):
        return [one for one in (event["unmapped"] for event in self.guard.events())
                if (one.get("kind"), one.get("where")) == (kind, where)]

    def open_findings(self):
        return [(one["what"], one["where"]) for one in self.guard.status()["attachment"]["findings"] if one["until"] is None]

    def restart(self):
        self.guard.kill()
        self.guard.start(None, *self.run_options)

    def reload(self):
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.guard.start(None, *self.run_options)

    def in_hub(self, *words):
        subprocess.run(["ip", "-n", self.lab.hosts["hub"].namespace, *words], check=True)

    def assert_whole(self, edges):
        wait_for(lambda: self.edges() == edges, 5, "the edges of " + " ".join(edges))
        attachment = self.guard.status()["attachment"]
        self.assertEqual((attachment["is_whole"], attachment["findings"]), (True, []))

    def test_a_port_of_a_bridge_needs_none(self):
        """Below a device that has an XDP program the kernel allows none, and the guard has to live with it."""
        self.in_hub("link", "add", "bridge0", "type", "bridge")
        self.addCleanup(self.in_hub, "link", "del", "port0")
        wait_for(lambda: "bridge0" in self.edges(), 5, "the bridge")
        self.in_hub("link", "add", "port0", "master", "bridge0", "type", "veth", "peer", "name", "port1")
        edges = {"uplink0": True, "bridge0": True, "port1": True}
        self.assert_whole(edges)
        self.restart()
        self.assert_whole(edges)
        self.reload()
        self.assert_whole(edges)
        self.in_hub("link", "del", "bridge0")
        wait_for(lambda: self.edges() == {"uplink0": True, "port0": True, "port1": True}, 30, "the port to get its own")

    def test_an_interface_with_another_program_is_told(self):
        self.guard.process.send_signal(signal.SIGSTOP)
        try:
            self.in_hub("link", "add", "other0", "type", "veth", "peer", "name", "other1")
            self.addCleanup(self.in_hub, "link", "del", "other0")
            task = self.lab.start(foreign_xdp, "other0", host="hub")
            wait_for(lambda: "xdp" in self.lab.run(["ip", "-d", "link", "show", "other0"]).stdout, 5, "the other program")
        finally:
            self.guard.process.send_signal(signal.SIGCONT)
        for start in (lambda: None, self.restart, self.reload):
            start()
            wait_for(lambda: self.open_findings() == [("no-edge", "other0")], 5, "it to be told")
            self.assertTrue(self.guard.status()["attachment"]["is_whole"])
            self.assertIn("carries another XDP program", self.guard.must("status").stdout)
        task.kill()
        wait_for(lambda: self.edges() == {"uplink0": True, "other0": True, "other1": True}, 30, "the edge")
        self.assertEqual(self.open_findings(), [])


def replace_program(link, program):
    """BPF_LINK_UPDATE, which bpftool has no word for."""
    import ctypes
    import struct
    libc = ctypes.CDLL(None, use_errno=True)
    BPF_OBJ_GET, BPF_LINK_UPDATE = 7, 29

    def bpf(command, attribute):
        attribute = ctypes.create_string_buffer(attribute, 128)
        result = libc.syscall({"x86_64": 321, "aarch64": 280}[os.uname().machine], command, attribute, 128)
        if result < 0:
            raise OSError(ctypes.get_errno(), "bpf(%d)" % command)
        return result

    fds = []
    for path in (link, program):
        name = ctypes.create_string_buffer(path.encode())
        fds.append(bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0)))
    bpf(BPF_LINK_UPDATE, struct.pack("=IIII", fds[0], fds[1], 0, 0))
    for fd in fds:
        os.close(fd)
