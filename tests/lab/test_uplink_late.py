# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""An uplink that the host's configuration names and that is made after the guard: a bond at a boot, say."""
import subprocess

from case import NORD, STRANGERS, SUED, LabCase, wait_for
from guard import grant, policy
from test_daemon import foreign_xdp
from test_tamper import reaches_the_host

POLICY = policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999")], STRANGERS)


class LateUplink(LabCase):
    def setUp(self):
        self.name_uplinks("uplink0")

    def tearDown(self):
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)

    def name_uplinks(self, *names):
        with open(self.lab.path("host.yaml"), "w", encoding="utf-8") as file:
            file.write("weir: 1\nuplinks: [%s]\n" % ", ".join(names))

    def start(self):
        self.guard.start(POLICY, "--host", self.lab.path("host.yaml"), uplink=None)

    def open_findings(self):
        return [(one["what"], one["where"]) for one in self.guard.status()["attachment"]["findings"] if one["until"] is None]

    def told(self, kind):
        return [one for one in (event["unmapped"] for event in self.guard.events()) if one.get("kind") == kind]

    def edges(self):
        return {hook["where"]: hook["is_attached"] for hook in self.guard.status()["hooks"] if hook["name"] == "edge"}

    def start_without(self):
        """It guards, and tells whoever started it, `weir status` and the events what it waits for."""
        self.start()
        line = "uplink-gone at uplink0: no such interface; it gets the edge when it comes"
        self.assertIn(line, self.guard.words())
        self.assertIn("no such interface", self.guard.must("status").stdout)
        self.assertEqual(self.open_findings(), [("uplink-gone", "uplink0")])
        self.assertTrue([event for event in self.guard.events() if line in event["message"]])
        self.assertEqual((self.guard.status()["attachment"]["is_whole"], self.edges()), (True, {}))

    def assert_edge(self):
        """What a cut partner sends dies before the stack, and nothing is amiss."""
        wait_for(lambda: self.edges().get("uplink0"), 5, "the edge")
        wait_for(lambda: not self.open_findings(), 5, "the end of what was amiss")
        self.assertTrue([one for one in self.told("uplink-came") if one["where"] == "uplink0"])
        self.guard.cut("partner:" + NORD)
        self.assertEqual((reaches_the_host(self.lab, NORD), reaches_the_host(self.lab, SUED)), (False, True))
        port = self.pour()
        self.assertEqual(self.take(NORD, port, seconds=1), 0)
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(SUED, port)
        self.guard.reopen("partner:" + NORD)

    def test_it_gets_the_edge_when_it_comes(self):
        self.lab.remake_uplink(self.start_without)
        self.assert_edge()
        self.assertEqual([one for one in self.told("tampered") if one["what"] != "uplink-gone"], [])
        self.lab.remake_uplink(lambda: wait_for(self.open_findings, 5, "it to be missed"))
        self.assert_edge()

    def test_another_daemon_waits_for_it_too(self):
        def start_twice():
            self.start_without()
            self.guard.kill()
            self.start_without()
        self.lab.remake_uplink(start_twice)
        self.assert_edge()

    def test_one_that_cannot_have_it_is_told_and_leaves_the_guard_whole(self):
        def in_hub(*words):
            subprocess.run(["ip", "-n", self.lab.hosts["hub"].namespace, *words], check=True)
        self.name_uplinks("uplink0", "late0")
        self.start()
        self.assertEqual(self.open_findings(), [("uplink-gone", "late0")])
        with self.guard.stopped():
            in_hub("link", "add", "late0", "type", "veth", "peer", "name", "late1")
            self.addCleanup(in_hub, "link", "del", "late0")
            task = self.lab.start(foreign_xdp, "late0", host="hub")
            wait_for(lambda: "xdp" in self.lab.run(["ip", "-d", "link", "show", "late0"]).stdout, 5, "the other program")
        wait_for(lambda: self.open_findings() == [("no-edge", "late0")], 5, "it to be told")
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.assertIn("carries another XDP program", self.guard.must("status").stdout)
        self.guard.kill()
        self.start()  # what the first daemon went without stops no other one
        wait_for(lambda: self.open_findings() == [("no-edge", "late0")], 5, "it to be told again")
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        task.kill()
        wait_for(lambda: self.edges() == {"uplink0": True, "late0": True}, 30, "the edge")
        self.assert_edge()
