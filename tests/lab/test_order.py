# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The journal of the orders: what `weir order` tells, and what anybody can check by hand."""
import hashlib
import json
import os
import re
import subprocess

from case import NORD, STRANGERS, SUED, LabCase
from guard import grant, policy
from lab import TOP

GRANTS = [grant("pour", "batch", "any", serves="tcp/7000-7999")]


def by_hand_of_page():
    """The first example under "BY HAND" in weir-journal(5), as a reader types it."""
    with open(os.path.join(TOP, "user", "man", "weir-journal.5"), encoding="utf-8") as file:
        page = file.read()
    text = re.search(r"^\.Sh BY HAND$.*?^\.Bd -literal.*?\n(.*?)^\.Ed$", page, re.M | re.S).group(1)
    return text.replace("\\e", "\\")


class Journal(LabCase):
    policy = policy(GRANTS, STRANGERS)

    def setUp(self):
        self.path = os.path.join(self.guard.state_dir, self.lab.instance, "journal.jsonl")

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        for cut in self.guard.cuts():
            self.guard.reopen(cut["target"])

    def by_hand(self):
        """The hash of the last line, or None when a line does not fit: with sha256sum and jq, and with hashlib."""
        done = subprocess.run(["sh", "-c", by_hand_of_page()], cwd=os.path.dirname(self.path), stdout=subprocess.PIPE,
                              text=True, check=False)
        prev = "0" * 64
        with open(self.path, "rb") as file:
            for number, line in enumerate(file, 1):
                record = json.loads(line)
                if (record["n"], record["prev"]) != (number, prev):
                    self.assertEqual(done.returncode, 1)
                    return None
                prev = hashlib.sha256(line).hexdigest()
        self.assertEqual((done.returncode, done.stdout.strip()), (0, prev))
        return prev

    def listed(self):
        return json.loads(self.guard.must("order", "list", "--json").stdout)

    def last_cut(self):
        return [order for order in self.listed() if order["record"]["kind"] == "cut" and order["id"][0] == "c"][-1]

    def test_orders_are_listed_and_shown(self):
        self.guard.cut("partner:" + NORD, reason="incident 4711")
        cut = self.last_cut()
        self.assertTrue(cut["in_force"])
        self.assertEqual((cut["record"]["reason"], cut["record"]["by"]["uid"]), ("incident 4711", 0))
        self.assertRegex(self.guard.must("order", "list").stdout,
                         r"(?m)^%s +\S+ \S+  cut +in force  partner:%s, by .*: incident 4711$" % (cut["id"], NORD))
        self.guard.reopen("partner:" + NORD, reason="checked by phone")
        self.assertFalse(self.last_cut()["in_force"])
        shown = self.guard.must("order", "show", cut["id"]).stdout
        self.assertIn("%s is over" % cut["id"], shown)
        self.assertIn("incident 4711", shown)
        self.assertIn("checked by phone", shown)
        self.assertEqual(self.guard.weir("order", "show", "c4096").returncode, 1)
        self.assertEqual(self.guard.weir("order", "shew").returncode, 2)

    def test_refused_order_is_in_the_journal(self):
        self.assertEqual(self.guard.weir("cut", "partner:klinik-nort", "--reason", "x").returncode, 1)
        order = self.listed()[-1]
        self.assertEqual(order["record"]["result"], "refused")
        self.assertIn(NORD, order["record"]["why"])

    def test_without_a_daemon_the_chain_goes_on(self):
        self.guard.cut("partner:" + NORD)
        with open(self.path, "rb") as file:
            lines = len(file.readlines())
        self.guard.stop()
        self.guard.cut("partner:" + SUED, reason="nobody is there")
        self.guard.reopen("partner:" + NORD)
        self.assertEqual([order["line"] for order in self.listed()][-2:], [lines + 1, lines + 2])
        self.assertTrue(self.last_cut()["in_force"])
        self.assertIn("nobody is there", self.guard.must("order", "show", self.last_cut()["id"]).stdout)
        self.assertIsNotNone(self.by_hand())
        self.guard.start()
        self.assertEqual(len(self.listed()), lines + 2, "the daemon found what has its line")
        self.guard.cut("partner:" + NORD)
        self.assertIsNotNone(self.by_hand())

    def test_line_that_was_changed_is_told(self):
        self.guard.cut("partner:" + NORD)
        self.guard.reopen("partner:" + NORD)
        self.assertIsNotNone(self.by_hand())
        with open(self.path, "rb") as file:
            whole = file.read()
        with open(self.path, "r+b") as file:  # who cut it? in place: the daemon has no other file
            file.write(whole.replace(b'"a test"', b'"a jest"', 1))
        self.assertIsNone(self.by_hand())
        done = self.guard.weir("order", "list")
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not hold", done.stderr)
        self.guard.kill()
        self.guard.start()
        aside = self.listed()[0]["record"]
        self.assertEqual(aside["kind"], "set-aside")
        with open(aside["file"], "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), aside["sha256"])
        self.assertIsNotNone(self.by_hand())

    def test_disk_that_takes_no_line_holds_up_no_cut(self):
        port = self.pour()
        os.rename(self.path, self.path + ".away")
        os.mkdir(self.path)
        done = self.guard.weir("cut", "partner:" + NORD, "--reason", "full")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the cut holds", done.stderr)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.assertIn("UNSAVED", self.guard.must("status").stdout)
        self.assertIn("journal", self.guard.weir("reopen", "partner:" + NORD, "--reason", "full").stderr)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0, "it was let back without a line")
        os.rmdir(self.path)
        os.rename(self.path + ".away", self.path)
        self.guard.reopen("partner:" + NORD)
        self.assert_passes(NORD, port)
        with open(self.path, encoding="utf-8") as file:
            self.assertIn("late_ns", file.read())
        self.assertIsNotNone(self.by_hand())


class Gone(LabCase):
    """When no guard is there any more, the state directory still tells."""
    policy = policy(GRANTS, STRANGERS)

    def test_list_after_unload(self):
        self.guard.cut("partner:" + NORD)
        self.guard.must("unload", "--yes")
        listed = json.loads(self.guard.must("order", "list", "--json").stdout)
        self.assertEqual([order["record"]["kind"] for order in listed], ["apply", "cut", "unload"])
        self.assertIn("no guard is loaded", self.guard.must("order", "list").stdout)
