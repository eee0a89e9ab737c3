# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A policy is in force for a while, and then the guard goes back by itself."""
import json
import os
import time

from case import NORD, PAYER, STRANGERS, SUED, LabCase, wait_for
from guard import grant, policy
from lab import SLOWNESS

POLICY = policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999"),
                 grant("metered", "batch", PAYER, ["4MiB/1h"], serves="tcp/7000-7999")], STRANGERS)


class ForAWhile(LabCase):
    """An emergency profile: only klinik-sued may fetch, and then the guard goes back by itself."""
    policy = POLICY

    def setUp(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        if "interim" in self.guard.status()["policy"]:
            self.guard.must("rollback")
        self.guard.apply(POLICY)
        self.path = self.guard.write_policy(
            policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="emergency"), "emergency.yaml")
        self.port = self.pour()

    def apply(self, span="1h"):
        return self.guard.must("apply", self.path, "--yes", "--for", span, "--reason", "incident 4711").stdout

    def interim(self):
        return self.guard.status()["policy"].get("interim")

    def assert_emergency(self):
        """At the far ends: one gets no more than a stranger does, the other all."""
        self.assert_bounded(self.take(NORD, self.port))
        self.assert_passes(SUED, self.port)

    def assert_normal(self):
        self.assert_passes(NORD, self.port)
        self.assert_passes(SUED, self.port)
        self.assertEqual(self.guard.status()["policy"]["name"], "lab")

    def state(self, name):
        return os.path.join(self.guard.state_dir, self.lab.instance, name)

    def boot_again(self, seconds):
        """As after a reboot: no guard is on, and the boot times are of another boot. Of the span `seconds` are left."""
        self.guard.stop()
        self.guard.must("unload", "--yes")
        with open(self.state("trial.json"), encoding="utf-8") as file:
            about, texts = file.read().split("\n", 1)
        about = json.loads(about)
        end_ns = time.time_ns() + int(seconds * 1e9)
        about.update(trial_boot="0" * 36, trial_until_ns=1, until_ns=end_ns)
        with open(self.state("trial.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(about) + "\n" + texts)
        self.guard.start()
        return end_ns

    def assert_ends(self, end_ns):
        """At the wall's time `end_ns`, to the second, however long the answer took."""
        most = (end_ns - time.time_ns()) / 1e9
        left = self.interim()["seconds_left"]
        self.assertLessEqual(left, most + 2)
        self.assertGreaterEqual(left, (end_ns - time.time_ns()) / 1e9 - 2)

    def test_it_ends_by_itself_also_when_the_daemon_was_killed(self):
        self.assert_normal()
        began = time.monotonic()
        self.apply("1m")
        self.assert_emergency()
        self.assertEqual(self.interim()["back_to"]["name"], "lab")
        self.guard.kill()
        self.assert_emergency()
        self.assertEqual(self.interim()["reason"], "incident 4711")
        self.guard.start()
        self.assert_emergency()
        self.assertRegex(self.guard.must("status").stdout, r"in force for a while: goes back at .*, in \d+s, to lab \(\w+\): incident 4711")
        wait_for(lambda: self.interim() is None, 70, "the end", 0.2)
        self.assertGreater(time.monotonic() - began, 58)
        self.assertLess(time.monotonic() - began, 65 * SLOWNESS)
        self.assert_normal()
        kinds = [event["unmapped"]["kind"] for event in self.guard.events()]
        self.assertLess(kinds.index("interim"), kinds.index("interim-ending"))
        self.assertLess(kinds.index("interim-ending"), len(kinds) - 1 - kinds[::-1].index("rollback"))
        said = self.guard.must("order", "list").stdout
        self.assertRegex(said, r"interim +accepted +policy emergency .*: incident 4711")
        self.assertRegex(said, r"interim-over +accepted +policy lab")

    def test_its_end_comes_while_no_daemon_runs(self):
        self.apply("1m")
        self.guard.kill()
        wait_for(lambda: self.interim()["seconds_left"] == 0, 70, "the end", 0.5)
        self.assert_emergency()  # who would take it back?
        self.assertIn("IN FORCE FOR A WHILE THAT ENDED", self.guard.weir("status").stdout)
        self.guard.start()
        wait_for(lambda: self.interim() is None, 5, "to go back")
        self.assert_normal()

    def test_reboot_neither_ends_nor_prolongs_it(self):
        self.apply()
        end_ns = self.boot_again(600)
        self.assert_emergency()
        self.assert_ends(end_ns)
        self.guard.kill()  # from here on the boot's own clock counts
        self.guard.start()
        self.assert_ends(end_ns)
        self.boot_again(-1)
        self.assertIsNone(self.interim())
        self.assert_normal()
        self.assertFalse(os.path.exists(self.state("trial.json")))

    def test_rollback_goes_back_at_once_and_confirm_keeps_it(self):
        self.apply()
        self.guard.must("rollback")
        self.assert_normal()
        self.guard.kill()
        self.guard.start()
        self.assert_normal()
        self.apply()
        self.assertIn("kept: policy emergency", self.guard.must("confirm").stdout)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.guard.start()
        self.assertIsNone(self.interim())
        self.assertEqual(self.guard.status()["policy"]["name"], "emergency")
        self.assert_emergency()
        self.guard.must("rollback")
        self.assert_normal()

    def test_guard_that_was_taken_off_comes_back_with_it(self):
        self.apply()
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.assert_passes(NORD, self.port)  # nothing is in force
        self.guard.start()
        self.assert_emergency()
        self.assertIsNotNone(self.interim())

    def test_cuts_outlive_both_switches(self):
        self.guard.cut("partner:" + SUED)
        self.apply()
        self.assertEqual(self.take(SUED, self.port), 0)
        self.guard.must("rollback")
        self.assertEqual(self.take(SUED, self.port), 0)
        self.assert_passes(NORD, self.port)
        self.guard.reopen("partner:" + SUED)
        self.assert_passes(SUED, self.port)

    def test_bad_words_change_nothing(self):
        for words, code, says in ((["--for", "1h"], 2, "--reason is missing"), (["--reason", "x"], 2, "goes with --for"),
                                  (["--for", "59s", "--reason", "x"], 2, "1m to 30d"), (["--for", "31d", "--reason", "x"], 2, "1m to 30d"),
                                  (["--for", "soon", "--reason", "x"], 2, "1m to 30d"),
                                  (["--for", "1h", "--reason", "x", "--confirm", "60"], 2, "exclude"),
                                  (["--for", "1h", "--reason", ""], 1, "a reason")):
            done = self.guard.weir("apply", self.path, "--yes", *words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(self.guard.status()["policy"]["name"], "lab")
        self.guard.must("apply", self.path, "--yes", "--for", "1h", "--reason", "x", "--dry-run")
        self.assert_normal()
