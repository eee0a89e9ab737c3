# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The host's own configuration: uplinks, groups, sinks. The interfaces are those of the lab's hub."""
import json

from case import MIB, PAYER, STRANGERS, SUED, LabCase
from guard import grant, policy


class HostConfig(LabCase):
    content = policy([grant("free", "batch", [SUED, PAYER], serves="tcp/7000-7999")], STRANGERS)

    def tearDown(self):
        if self.guard.process and self.guard.process.poll() is None:
            self.guard.must("unload", "--yes")
            self.guard.process.wait(10)

    def config(self, *lines):
        path = self.lab.path("host.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(("weir: 1",) + lines) + "\n")
        return path

    def edges(self):
        return sorted(hook["where"] for hook in self.guard.status()["hooks"] if hook["name"] == "edge")

    def assert_cut_at_the_edge(self):
        """What a cut partner sends dies before the stack: only XDP counts it there."""
        port = self.pour()
        self.guard.cut("partner:" + PAYER)
        self.assertEqual(self.take(PAYER, port, seconds=0.5), 0)
        self.assertGreater(self.guard.partner(PAYER)["edge_dropped_packets"], 0)
        self.assert_passes(SUED, port, size=MIB)
        self.guard.reopen("partner:" + PAYER)

    def test_named_uplinks_groups_and_sink(self):
        path = self.config("uplinks: [uplink0]", "groups: [transfer, berlin]", "sinks: [journald]")
        self.guard.start(self.content, "--host", path, uplink=None)
        self.assertEqual(self.edges(), ["uplink0"])
        self.assertEqual(self.guard.status()["host"], {"groups": ["transfer", "berlin"]})
        self.assertIn("transfer, berlin", self.guard.weir("status").stdout)
        self.assert_cut_at_the_edge()
        lines = [line for line in self.guard.words().splitlines() if line.startswith("<")]
        messages = [json.loads(line[3:])["message"] for line in lines]
        self.assertTrue([text for text in messages if "partner:payer, by root" in text], messages)
        self.assertEqual(messages, [event["message"] for event in self.guard.events()][-len(messages):])

    def test_every_interface_when_none_is_named(self):
        self.guard.start(self.content, "--host", self.config(), uplink=None)
        self.assertIn("uplink0", self.edges())
        self.assertNotIn("lo", self.edges())
        self.assert_cut_at_the_edge()

    def test_command_line_comes_first(self):
        self.guard.start(self.content, "--host", self.config("uplinks: [no-such0]"))
        self.assertEqual(self.edges(), ["uplink0"])

    def test_bad_file_starts_nothing(self):
        for lines, said in ((("uplinks: [lo]",), "host.yaml:2:11: loopback is no uplink"),
                            (("uplink: [uplink0]",), "host.yaml:2:1: unknown key \"uplink\"")):
            done = self.guard.run_to_end("--host", self.config(*lines), uplink=None)
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
            self.assertFalse(self.guard.is_pinned())
        done = self.guard.run_to_end("--host", self.lab.path("none.yaml"), uplink=None)
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.yaml: No such file", done.stderr)
        done = self.guard.weir("check", self.config("sinks: [jornald]"), "--host")
        self.assertEqual(done.returncode, 1)
        self.assertIn("did you mean \"journald\"?", done.stderr)
