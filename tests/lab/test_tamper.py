# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Root takes the guard apart behind the daemon's back: it is seen, told, and put back within a second."""
import contextlib
import ctypes
import glob
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from case import B, NORD, STRANGERS, SUED, LabCase, far, wait_for
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
FOREIGN_EDGE = FOREIGN.replace("cgroup_skb/egress", "xdp").replace("struct __sk_buff *skb", "struct xdp_md *frame").replace(
    "return 1", "return XDP_PASS")
DISCARD = 9  # RFC 863


def bpftool(*words):
    done = subprocess.run([BPFTOOL, *words], capture_output=True, text=True, timeout=20)
    if done.returncode:
        raise RuntimeError("bpftool %s: %s%s" % (" ".join(words), done.stdout, done.stderr))
    return done.stdout


def foreign_program(case, text=FOREIGN):
    """An object with that program in it, for the tests of one class."""
    directory = tempfile.mkdtemp(prefix="weir-foreign-")
    case.addClassCleanup(shutil.rmtree, directory)
    source, target = os.path.join(directory, "f.c"), os.path.join(directory, "f.o")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    machine = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["clang", "-target", "bpf", "-O2", "-I/usr/include/" + machine, "-c", source, "-o", target],
                   check=True, timeout=60)
    return target


def hear_datagram(seconds):
    """Whether one reaches a socket of the guarded host that is in no guarded cgroup: the edge alone can stop it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind((far.HUB[4], DISCARD))
        one.settimeout(seconds)
        try:
            return bool(one.recv(64))
        except TimeoutError:
            return False


def say_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        while True:
            one.sendto(b"anybody?", (far.HUB[4], DISCARD))
            time.sleep(0.02)


def reaches_the_host(lab, partner):
    """Whether a datagram of the partner's comes to a socket outside the guarded cgroup."""
    task = lab.start(say_datagrams, host=partner)
    try:
        return lab.call(hear_datagram, 1.0 * SLOWNESS)
    finally:
        task.kill()


class Tamper(LabCase):
    policy = POLICY

    @classmethod
    def prepare(cls):
        cls.object, cls.edge_object = foreign_program(cls), foreign_program(cls, FOREIGN_EDGE)

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

    def assert_back(self):
        """The interface is there again, and nobody has tampered with anything."""
        wait_for(lambda: not self.gone(), 5, "the interface to be back")
        wait_for(lambda: self.told("uplink-came"), 5, "it to be told")
        self.assertTrue(all(hook["is_attached"] for hook in self.guard.status()["hooks"]))
        self.assertEqual([one for one in self.told("tampered") if one["where"] == "uplink0" and one["what"] != "uplink-gone"], [])

    def told(self, kind):
        return [one for one in (event["unmapped"] for event in self.guard.events()) if one.get("kind") == kind]

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
            with self.guard.stopped():
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
        self.assert_back()
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
        self.assert_back()
        port = self.pour()
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        wait_for(lambda: self.guard.partner(NORD)["edge_dropped_packets"] > 0, 5, "the edge to drop")
        self.assert_passes(SUED, port)

    def test_detaching_while_no_daemon_runs_is_mended_by_the_next(self):
        before = len([one for one in self.told("tampered") if "while no daemon looked" in one["detail"]])
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
        told = [one["where"] for one in self.told("tampered") if "while no daemon looked" in one["detail"]]
        self.assertEqual(sorted(told[before:]), ["connect4", "egress"])
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)

    def test_what_is_mended_is_told_also_by_a_daemon_that_fails_after_it(self):
        """A mount in its way: it cannot pin what comes after the links."""
        before, settle = len(self.of_the_past("detached", "egress")), self.pin("program_settle")
        self.guard.kill()
        bpftool("link", "detach", "pinned", self.pin("link_egress"))
        subprocess.run(["mount", "--bind", settle, settle], check=True)
        try:
            done = self.guard.run_to_end()
        finally:
            subprocess.run(["umount", settle], check=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("program_settle: Device or resource busy", done.stderr)
        self.assertTrue(all(hook["is_attached"] for hook in self.guard.status()["hooks"]))
        self.assertEqual(len(self.of_the_past("detached", "egress")), before + 1)
        self.guard.start()
        wait_for(lambda: self.guard.status()["attachment"]["checked_ms_ago"] < 1000, 5, "a look")
        self.assertEqual(len(self.of_the_past("detached", "egress")), before + 1)
        self.assert_guards()

    def of_the_past(self, what, where):
        return [one for one in self.told("tampered") if (one["what"], one["where"]) == (what, where)
                and "while no daemon looked" in one["detail"]]

    def test_another_hooks_link_under_the_pin_does_not_stand_in_for_it(self):
        """A link that is attached, on the guarded cgroup, with a program of the guard: and egress has none."""
        port = self.pour()
        for is_running in (True, False):
            with self.subTest(is_running=is_running):
                before = len(self.of_the_past("detached", "egress"))
                if is_running:
                    self.guard.process.send_signal(signal.SIGSTOP)
                else:
                    self.guard.kill()
                try:
                    bpftool("link", "detach", "pinned", self.pin("link_egress"))
                    os.unlink(self.pin("link_egress"))
                    pin_again(self.pin("link_ingress"), self.pin("link_egress"))
                finally:
                    if is_running:
                        self.guard.process.send_signal(signal.SIGCONT)
                if is_running:
                    self.assert_put_back("detached", "egress", unjudged=True)
                else:
                    hooks = {hook["name"]: hook["is_attached"] for hook in self.guard.status()["hooks"]}
                    self.assertEqual((hooks["egress"], hooks["ingress"]), (False, True))
                    self.guard.start()
                    wait_for(lambda: len(self.of_the_past("detached", "egress")) == before + 1, 5, "it to be told")
                wait_for(lambda: all(hook["is_attached"] for hook in self.guard.status()["hooks"]), 5, "the hooks")
                self.assertTrue(self.guard.status()["attachment"]["is_whole"])
                self.assert_bounded(self.take("stranger", port, self.stranger()))
                self.assert_passes(NORD, port)

    def test_a_program_replaced_while_no_daemon_runs_is_told_by_the_next(self):
        pinned = self.pin("").rstrip("/") + "-foreign"
        bpftool("prog", "load", self.object, pinned)
        try:
            port, before = self.pour(), len(self.of_the_past("replaced-program", "egress"))
            self.guard.kill()
            replace_program(self.pin("link_egress"), pinned)
            self.guard.start()
            wait_for(lambda: len(self.of_the_past("replaced-program", "egress")) == before + 1, 5, "it to be told")
            self.assert_bounded(self.take("stranger", port, self.stranger()))
            self.assert_passes(NORD, port)
        finally:
            os.unlink(pinned)
        before = len(self.told("tampered"))
        self.guard.kill()
        self.guard.start()  # after a takeover of nothing but what is the guard's, nothing is told
        wait_for(lambda: self.guard.status()["attachment"]["checked_ms_ago"] < 1000, 5, "a look")
        self.assertEqual(len(self.told("tampered")), before)

    def test_what_stands_in_an_edges_place_is_told_by_the_next_daemon(self):
        """Another program behind its link; and under its pin the link of a cgroup's hook, which is attached too."""
        pinned, edge = self.pin("").rstrip("/") + "-foreign", self.pin("link_edge_uplink0")
        bpftool("prog", "load", self.edge_object, pinned)
        self.addCleanup(os.unlink, pinned)

        def take_its_place():
            os.unlink(edge)
            pin_again(self.pin("link_egress"), edge)
        self.guard.cut("partner:" + NORD)
        self.assertEqual((reaches_the_host(self.lab, NORD), reaches_the_host(self.lab, SUED)), (False, True))
        for what, tamper in (("replaced-program", lambda: replace_program(edge, pinned)), ("detached", take_its_place)):
            with self.subTest(what=what):
                before = len(self.of_the_past(what, "uplink0"))
                self.guard.kill()
                tamper()
                self.assertTrue(reaches_the_host(self.lab, NORD))
                self.guard.start()
                wait_for(lambda what=what, before=before: len(self.of_the_past(what, "uplink0")) == before + 1, 5,
                         "it to be told")
                wait_for(lambda: self.guard.status()["attachment"]["is_whole"], 5, "the guard to be whole")
                self.assertEqual((reaches_the_host(self.lab, NORD), reaches_the_host(self.lab, SUED)), (False, True))

    def test_unload_by_another_process_ends_the_daemon_and_is_not_undone(self):
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.assertEqual(self.guard.process.returncode, 0)
        self.assertEqual(self.pins(), [])
        self.guard.start()
        self.assert_guards()


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

    def add_with_another_program(self, name):
        """A pair NAME0, NAME1, of which the first has an XDP program as long as the task that is returned runs."""
        self.in_hub("link", "add", name + "0", "type", "veth", "peer", "name", name + "1")
        self.addCleanup(self.in_hub, "link", "del", name + "0")
        task = self.lab.start(foreign_xdp, name + "0", host="hub")
        wait_for(lambda: "xdp" in self.lab.run(["ip", "-d", "link", "show", name + "0"]).stdout, 5, "the other program")
        return task

    def assert_whole(self, edges):
        wait_for(lambda: self.edges() == edges, 5, "the edges of " + " ".join(edges))
        self.assertEqual((self.guard.status()["attachment"]["is_whole"], self.open_findings()), (True, []))

    def test_an_interface_with_another_name_keeps_its_edge(self):
        """udev names interfaces soon after they came."""
        self.in_hub("link", "add", "early0", "type", "veth", "peer", "name", "early1")
        self.addCleanup(self.in_hub, "link", "del", "early1")
        self.assert_whole({"uplink0": True, "early0": True, "early1": True})
        before = self.lab.run(["ip", "-d", "link", "show", "early0"]).stdout
        self.in_hub("link", "set", "early0", "name", "late0")
        self.assert_whole({"uplink0": True, "late0": True, "early1": True})
        wait_for(lambda: [one for one in self.told("uplink-came", "late0") if "it was early0" in one["detail"]], 5, "it to be told")
        self.assertEqual(self.told("uplink-gone", "early0"), [])
        program = re.search(r"prog/xdp id \d+", before)[0]
        self.assertIn(program, self.lab.run(["ip", "-d", "link", "show", "late0"]).stdout)
        self.restart()
        self.assert_whole({"uplink0": True, "late0": True, "early1": True})
        self.in_hub("link", "set", "late0", "name", "last0")
        self.in_hub("link", "property", "add", "dev", "last0", "altname", "late0")  # as udev leaves the old one
        self.assert_whole({"uplink0": True, "last0": True, "early1": True})
        with self.guard.stopped():  # exchanged, between two looks
            for old, new in (("last0", "aside0"), ("early1", "last0"), ("aside0", "early1")):
                self.in_hub("link", "set", old, "name", new)
        wait_for(lambda: self.told("uplink-came", "last0") and self.told("uplink-came", "early1"), 5, "both to be told")
        self.assert_whole({"uplink0": True, "last0": True, "early1": True})
        self.in_hub("link", "set", "last0", "name", "early0")
        self.assert_whole({"uplink0": True, "early0": True, "early1": True})
        self.guard.kill()
        self.in_hub("link", "set", "early0", "name", "night0")
        self.guard.start(None, *self.run_options)
        self.assert_whole({"uplink0": True, "night0": True, "early1": True})
        self.assertEqual(self.told("uplink-gone", "early0") + self.told("uplink-gone", "early1"), [])
        self.assertEqual([one for name in ("early0", "early1", "late0", "last0", "night0")
                          for one in self.told("tampered", name)], [])

    def test_an_edge_detached_while_no_daemon_runs_is_told_by_the_next(self):
        self.guard.kill()
        bpftool("link", "detach", "pinned", "/sys/fs/bpf/weir/%s/link_edge_uplink0" % self.lab.instance)
        self.assertEqual(self.edges(), {"uplink0": False})
        self.guard.start(None, *self.run_options)
        self.assert_whole({"uplink0": True})
        wait_for(lambda: [one for one in self.told("tampered", "uplink0") if one["what"] == "detached"], 5, "it to be told")

    def test_an_interface_made_anew_between_two_looks_went_and_came(self):
        self.in_hub("link", "add", "twice0", "type", "veth", "peer", "name", "twice1")
        self.addCleanup(self.in_hub, "link", "del", "twice0")
        edges = {"uplink0": True, "twice0": True, "twice1": True}
        self.assert_whole(edges)
        with self.guard.stopped():
            self.in_hub("link", "del", "twice0")
            self.in_hub("link", "add", "twice0", "type", "veth", "peer", "name", "twice1")
        for name in ("twice0", "twice1"):
            wait_for(lambda: len(self.told("uplink-came", name)) == 2, 5, name + " to come again")
            self.assertEqual(len(self.told("uplink-gone", name)), 1)
            self.assertEqual(self.told("tampered", name), [])
        self.assert_whole(edges)

    def test_an_interface_that_comes_while_another_process_has_the_lock_costs_no_look(self):
        self.in_hub("link", "add", "named0", "type", "veth", "peer", "name", "named1")
        self.addCleanup(self.in_hub, "link", "del", "named1")
        self.assert_whole({"uplink0": True, "named0": True, "named1": True})
        with self.guard.held_lock():
            self.in_hub("link", "add", "wait0", "type", "veth", "peer", "name", "wait1")
            self.addCleanup(self.in_hub, "link", "del", "wait0")
            self.in_hub("link", "set", "named0", "name", "renamed0")
            checked = [self.guard.status()["attachment"]["checked_ms_ago"]]

            def is_younger():
                checked.append(self.guard.status()["attachment"]["checked_ms_ago"])
                return checked[-1] < checked[-2]
            for _ in range(3):
                wait_for(is_younger, 5, "a look")
            self.assertEqual((self.guard.status()["attachment"]["is_whole"], self.open_findings()), (True, []))
            self.assertNotIn("wait0", self.edges())
        self.assert_whole({"uplink0": True, "renamed0": True, "named1": True, "wait0": True, "wait1": True})
        self.assertEqual([one for name in ("named0", "renamed0", "wait0") for one in self.told("tampered", name)], [])
        self.assertEqual(self.told("uplink-gone", "named0"), [])

    def test_a_port_of_a_bridge_needs_none(self):
        """Below a device that has an XDP program the kernel allows none, and the guard has to live with it."""
        self.in_hub("link", "add", "bridge0", "type", "bridge")
        self.addCleanup(subprocess.run, ["ip", "-n", self.lab.hosts["hub"].namespace, "link", "del", "bridge0"],
                        stderr=subprocess.DEVNULL, check=False)
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

    def test_an_interface_below_one_that_is_no_bridge_is_told(self):
        """What comes in by it does not all come by the device above."""
        with self.guard.stopped():
            task = self.add_with_another_program("low")
            self.in_hub("link", "add", "link", "low0", "name", "high0", "type", "macvlan")
        wait_for(lambda: self.edges() == {"uplink0": True, "low1": True, "high0": True}, 5, "the device above")
        task.kill()

        def reason():
            found = [one["detail"] for one in self.guard.status()["attachment"]["findings"]
                     if (one["what"], one["where"], one["until"]) == ("no-edge", "low0", None)]
            return found[0] if found else ""
        wait_for(lambda: "a device above it" in reason(), 30, "the reason to be another")
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.in_hub("link", "del", "high0")
        wait_for(lambda: self.edges() == {"uplink0": True, "low0": True, "low1": True}, 30, "the edge")
        self.assertEqual(self.open_findings(), [])

    def test_a_bond_takes_its_ports_with_the_edge_on_all_of_them(self):
        hub = self.lab.hosts["hub"].namespace
        if subprocess.run(["ip", "-n", hub, "link", "add", "bond0", "type", "bond", "mode", "active-backup"], check=False,
                          capture_output=True).returncode:
            self.skipTest("this kernel has no bonds")
        self.addCleanup(self.in_hub, "link", "del", "bond0")
        self.in_hub("link", "add", "port0", "type", "veth", "peer", "name", "port1")
        self.addCleanup(self.in_hub, "link", "del", "port0")
        edges = {"uplink0": True, "bond0": True, "port0": True, "port1": True}
        self.assert_whole(edges)
        self.in_hub("link", "set", "port0", "master", "bond0")
        self.assertIn("master bond0", self.lab.run(["ip", "link", "show", "port0"]).stdout)
        self.restart()
        self.assert_whole(edges)
        self.reload()  # the bond comes first or last
        wait_for(lambda: self.edges().get("bond0"), 5, "the bond's edge")
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.assertEqual(self.open_findings(), [])

    def test_an_interface_with_another_program_is_told(self):
        with self.guard.stopped():
            task = self.add_with_another_program("other")
        for start in (lambda: None, self.restart, self.reload):
            start()
            wait_for(lambda: self.open_findings() == [("no-edge", "other0")], 5, "it to be told")
            self.assertTrue(self.guard.status()["attachment"]["is_whole"])
            self.assertIn("carries another XDP program", self.guard.must("status").stdout)
        task.kill()
        wait_for(lambda: self.edges() == {"uplink0": True, "other0": True, "other1": True}, 30, "the edge")
        self.assertEqual(self.open_findings(), [])


# ---- what bpftool has no word for -----------------------------------------------------------------

BPF_OBJ_PIN, BPF_OBJ_GET, BPF_LINK_UPDATE = 6, 7, 29


def bpf(command, attribute):
    attribute = ctypes.create_string_buffer(attribute, 128)
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall({"x86_64": 321, "aarch64": 280}[os.uname().machine], command, attribute, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf(%d)" % command)
    return result


@contextlib.contextmanager
def opened(path):
    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))
    try:
        yield fd
    finally:
        os.close(fd)


def replace_program(link, program):
    with opened(link) as link_fd, opened(program) as program_fd:
        bpf(BPF_LINK_UPDATE, struct.pack("=IIII", link_fd, program_fd, 0, 0))


def pin_again(pinned, path):
    """What is pinned there, under another name too."""
    with opened(pinned) as fd:
        name = ctypes.create_string_buffer(path.encode())
        bpf(BPF_OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd, 0))
