# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A policy changes in one switch, and a bad one changes nothing."""
import copy
import json
import time

from case import B, HUB, KIB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import SLOWNESS, lasting

GRANTS = [grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
          grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999"),
          grant("metered", "batch", PAYER, ["4MiB/1h"], serves="tcp/7000-7999")]
POLICY = policy(GRANTS, STRANGERS)


class Apply(LabCase):
    policy = POLICY

    def setUp(self):
        self.guard.apply(POLICY)

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")

    def test_hundred_policies_under_a_flow_lose_nothing(self):
        port = self.pour()
        source = self.stranger()
        before = self.guard.partner(NORD)
        theft = far.Count(self.lab, "stranger", source)
        flow = self.lab.start(_take_until_told, HUB[4], port, self.lab.path("enough"), host=NORD)
        puller = self.lab.start(_pull, HUB[4], port, source, self.lab.path("enough"), host="stranger")
        since = time.monotonic()
        for number in range(100):
            changed = copy.deepcopy(POLICY)
            changed["name"] = "lab-%d" % number
            changed["partners"]["extra-%d" % number] = {"addresses": ["192.0.2.%d/32" % (96 + number)]}
            self.guard.apply(changed)
        took = time.monotonic() - since
        open(self.lab.path("enough"), "w", encoding="utf-8").close()
        got, longest = flow.result(30)
        puller.result(30)
        after = self.guard.partner(NORD)
        self.assertEqual(after["refused_packets"] - before["refused_packets"], 0)
        self.assertGreater(got, 50 * MIB)
        self.assertLess(longest, 0.5 * SLOWNESS, "the flow stalled (%.1f s for 100 policies)" % took)
        self.assert_bounded(theft.settle().tcp_payload)
        self.assertEqual(self.guard.status()["policy"]["name"], "lab-99")

    def test_meters_survive_a_new_policy(self):
        port = self.pour()
        first = self.take(PAYER, port, limit=MIB)
        self.guard.apply(dict(POLICY, name="another"))
        second = self.take(PAYER, port)
        self.assertGreater(first, 0)
        self.assertLessEqual(first + second, 4 * MIB)
        self.assert_passes(NORD, port)

    def test_cuts_survive_a_new_policy(self):
        port = self.pour()
        self.guard.cut("partner:" + NORD)
        changed = copy.deepcopy(POLICY)
        changed["partners"] = dict([("aaa", {"addresses": ["192.0.2.99/32"]})] + list(changed["partners"].items()))
        changed["grants"].insert(0, grant("aaa", "batch", "aaa", serves="tcp/9"))
        self.guard.apply(changed)
        self.assertEqual(self.take(NORD, port), 0)
        self.assert_passes(SUED, port)

    def test_running_flow_is_judged_by_the_new_policy(self):
        port = self.pour()
        count = far.Count(self.lab, SUED)
        task = self.lab.start(far.tcp_take, HUB[4], port, None, lasting(60), b"go\n", 1 << 40, host=SUED)
        wait_for(lambda: count.tcp_payload > 4 * MIB, 10, "the flow")
        began = time.time_ns()
        self.guard.apply(policy([grant("pour", "batch", NORD, serves="tcp/7000-7999")], STRANGERS))
        applied = time.time_ns()
        last = count.settle().laden_ns
        self.assertGreater(last, began, "the flow ended before")
        self.assertLess(last, applied + 50 * 10**6 * SLOWNESS)
        task.kill()
        self.assert_passes(NORD, port)

    def test_bad_policy_leaves_the_old_one_in_force(self):
        port = self.pour()
        digest = self.guard.status()["policy"]["digest"]
        for number, bad in enumerate((dict(POLICY, surprise=True), "weir: 1\nname: [", "", "\0",
                                      dict(POLICY, grants=GRANTS + [GRANTS[0]]))):
            with self.subTest(number=number):
                done = self.guard.weir("apply", self.guard.write_policy(bad, "bad.yaml"), "--yes")
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, r"bad.yaml:\d+:\d+: ")
                self.assertEqual(self.guard.status()["policy"]["digest"], digest)
        self.assert_passes(NORD, port)
        self.assert_bounded(self.take("stranger", port, self.stranger()))

    def test_policy_without_the_object_of_a_cut_is_refused(self):
        self.guard.cut("partner:" + PAYER)
        without = copy.deepcopy(POLICY)
        del without["partners"][PAYER]
        without["grants"] = [one for one in GRANTS if one["partner"] != PAYER]
        done = self.guard.weir("apply", self.guard.write_policy(without, "without.yaml"), "--yes")
        self.assertEqual(done.returncode, 1)
        self.assertIn(PAYER, done.stderr)
        port = self.pour()
        self.assertEqual(self.take(PAYER, port), 0)
        self.assert_passes(NORD, port)

    def test_dry_run_applies_nothing(self):
        digest = self.guard.status()["policy"]["digest"]
        self.guard.must("apply", self.guard.write_policy(dict(POLICY, name="dry"), "dry.yaml"), "--dry-run")
        self.assertEqual(self.guard.status()["policy"]["digest"], digest)

    def test_difference_is_told_before_it_is_done(self):
        more = policy([GRANTS[0], GRANTS[1], grant("metered", "batch", PAYER, ["16MiB/1h"], serves="tcp/7000-7999")],
                      dict(STRANGERS, serves=["32KiB/10m"]), name="lab")
        said = self.guard.must("apply", self.guard.write_policy(more, "more.yaml"), "--dry-run").stdout
        self.assertRegex(said, r"(?m)^  looser +grant metered: budget 4MiB/1h -> 16MiB/1h, 12MiB more in any 1h$")
        self.assertRegex(said, r"(?m)^  tighter +strangers: .*32KiB less in any 10m$")
        self.assertLess(said.index("looser"), said.index("tighter"))
        said = self.guard.must("apply", self.guard.write_policy(POLICY, "same.yaml"), "--dry-run").stdout
        self.assertIn("nothing changes", said)
        renamed = policy([GRANTS[0], GRANTS[1], grant("billed", "batch", PAYER, ["4MiB/1h"], serves="tcp/7000-7999")],
                         STRANGERS)
        said = self.guard.must("apply", self.guard.write_policy(renamed, "renamed.yaml"), "--dry-run").stdout
        self.assertRegex(said, r"looser +grant metered has the name billed now: its meters start afresh")

    def test_every_policy_is_kept_and_can_come_back(self):
        port = self.pour()
        without = policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="without-nord")
        first = self.guard.status()["policy"]["digest"]
        self.guard.apply(without)
        second = self.guard.status()["policy"]["digest"]
        self.guard.apply(dict(POLICY, name="third"))
        listed = {one["digest"]: one for one in json.loads(self.guard.must("policy", "list", "--json").stdout)}
        self.assertEqual(listed[second]["name"], "without-nord")
        self.assertTrue(listed[second]["is_previous"])
        self.assertFalse(listed[first]["is_in_force"])
        said = self.guard.must("policy", "diff", first[:8], second[:8]).stdout
        self.assertRegex(said, r"grant metered is removed: batch to payer")
        self.assertIn("without-nord", self.guard.must("policy", "show", second[:12]).stdout)
        self.guard.must("rollback", second[:8])
        self.assert_bounded(self.take(NORD, port))
        self.assert_passes(SUED, port)
        for word, says in ((first[:3], "4 to 64"), ("0123456789", "was ever applied"), ("../../x", "is no policy")):
            done = self.guard.weir("rollback", word)
            self.assertEqual(done.returncode, 1)
            self.assertIn(says, done.stderr)
        self.assertEqual(self.guard.status()["policy"]["digest"], second)

    def test_trial_goes_on_over_a_kill_and_then_goes_back(self):
        port = self.pour()
        without = policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="on-trial")
        path = self.guard.write_policy(without, "trial.yaml")
        self.guard.must("apply", path, "--yes", "--confirm", "600")
        self.guard.kill()
        self.assertEqual(self.guard.status()["policy"]["name"], "on-trial")
        self.guard.start()
        self.assertGreater(self.guard.status()["policy"]["trial_seconds_left"], 500)
        self.assert_bounded(self.take(NORD, port))
        self.guard.must("rollback")
        self.assert_passes(NORD, port)
        self.guard.must("apply", path, "--yes", "--confirm", "3")
        self.guard.kill()
        wait_for(lambda: self.guard.status()["policy"]["trial_seconds_left"] == 0, 10, "the end of the trial")
        self.assertEqual(self.guard.weir("confirm").returncode, 3)
        self.guard.start()  # 0: less than a second
        wait_for(lambda: self.guard.status()["policy"]["name"] == "lab", 2, "the policy to go back")
        self.assertNotEqual(self.guard.weir("confirm").returncode, 0)
        self.assert_passes(NORD, port)

    def test_confirmed_trial_stays_over_a_kill(self):
        port = self.pour()
        without = policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="kept")
        self.guard.must("apply", self.guard.write_policy(without, "kept.yaml"), "--yes", "--confirm", "600")
        self.guard.kill()
        self.guard.start()
        self.guard.must("confirm")
        self.guard.kill()
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["name"], "kept")
        self.assertNotIn("trial_seconds_left", self.guard.status()["policy"])
        self.assert_bounded(self.take(NORD, port))

    def test_trial_that_outlived_its_guard_does_not_count(self):
        """As after a reboot: no guard is on, but trial.json is there."""
        without = policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="lost")
        self.guard.must("apply", self.guard.write_policy(without, "lost.yaml"), "--yes", "--confirm", "600")
        self.guard.kill()
        self.guard.must("unload", "--yes")
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["name"], "lab")
        port = self.pour()
        self.assert_passes(NORD, port)

    def test_applied_policy_counts_for_the_next_daemon(self):
        changed = policy([grant("pour", "batch", SUED, serves="tcp/7000-7999")], STRANGERS, name="second")
        self.guard.apply(changed)
        self.guard.stop()
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["name"], "second")
        port = self.pour()
        self.assert_bounded(self.take(NORD, port), B)
        self.assert_passes(SUED, port)


def _take_until_told(address, port, flag):
    """Takes at full speed until a file appears: (bytes, the longest pause in s)."""
    import os
    import socket
    with socket.socket(far.family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect((address, port))
        client.sendall(b"go\n")
        got, longest, last = 0, 0.0, time.monotonic()
        while not os.path.exists(flag):
            part = client.recv(1 << 18)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
            if not part:
                raise OSError("the flow ended")
            got += len(part)
        return got, longest


def _pull(address, port, source, flag):
    """A stranger that tries again and again until a file appears."""
    import os
    while not os.path.exists(flag):
        far.tcp_take(address, port, source, 0.3)
