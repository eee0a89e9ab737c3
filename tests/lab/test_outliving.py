# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A policy goes back by itself from under a cut: what was cut stays cut at the far end, by whatever words."""
import os
import time

from case import KIB, NORD, PAYER, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import SLOWNESS
from test_signed import Signing

OPEN = {"serves": ["2GiB/10m"], "calls": "deny", "total": ["4GiB/1h"], "on_breach": "hold"}  # whoever is not cut gets some


def without(content, section, *names):
    return dict(content, **{section: {name: keys for name, keys in content[section].items() if name not in names}})


BASE = without(policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999")], OPEN), "partners", PAYER)
WITH_PAYER = policy([grant("pour", "batch", [NORD, SUED, PAYER], serves="tcp/7000-7999")], OPEN, name="more")


class TheWayBackCase(LabCase):
    policy = BASE

    def setUp(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        for cut in self.guard.cuts():
            if "stands_for" not in cut:
                self.guard.must("reopen", "--order", cut["id"], "--reason", "anew")
        self.guard.apply(BASE)
        self.assertEqual(self.guard.cuts(), [])
        self.port = self.pour()

    def try_policy(self, content, seconds):
        """For so long, and as much longer as all else takes on this machine."""
        path = self.guard.write_policy(content, "more.yaml")
        self.guard.must("apply", path, "--yes", "--confirm", str(seconds * SLOWNESS))

    def wait_back(self, seconds=10):
        wait_for(lambda: self.guard.status()["policy"]["name"] == "lab", seconds, "to go back", 0.1)

    def assert_cut(self, *hosts):
        for host in hosts:
            self.assertEqual(self.take(host, self.port), 0, "it was cut")

    def words(self):
        return sorted(cut["target"] for cut in self.guard.cuts())

    def boot_again(self):
        """As after a reboot: no guard is on."""
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.guard.start()


class TheWayBack(TheWayBackCase):
    def test_partner_that_the_older_policy_lacks_stays_cut(self):
        self.assert_passes(PAYER, self.port)
        self.try_policy(WITH_PAYER, 4)
        self.assert_passes(PAYER, self.port)
        self.guard.cut("partner:" + PAYER)
        self.assert_cut(PAYER)
        refused = self.guard.weir("rollback")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("cuts partner:payer, which this policy does not have", refused.stderr)
        self.wait_back()
        self.assert_cut(PAYER)
        self.assert_passes(NORD, self.port)
        self.assertEqual(self.words(), ["addr:198.51.100.32/28", "addr:2001:db8:3::/64", "partner:payer"])
        said = self.guard.must("status").stdout
        self.assertRegex(said, r"c\d+ addr:198\.51\.100\.32/28 since .* by guard: a test\n +stands for c\d+: ends with it")
        self.assertRegex(said, r"partner:payer .*\n +covers nothing: the policy does not have it")
        told = [event for event in self.guard.events() if event["unmapped"]["kind"] == "cut-outlives"]
        self.assertEqual(sorted(event["unmapped"]["target"] for event in told[-2:]),
                         ["addr:198.51.100.32/28", "addr:2001:db8:3::/64"])
        self.assertTrue(all(event["severity"] == "High" for event in told))
        self.assertRegex(self.guard.must("order", "list").stdout, r"c\d+ .*cut +in force +addr:198\.51\.100\.32/28.*: a test")
        self.guard.kill()
        self.guard.start()
        self.assert_cut(PAYER)
        self.boot_again()
        self.assert_cut(PAYER)
        self.assertEqual(len(self.words()), 3)
        self.guard.reopen("partner:" + PAYER)
        self.assertEqual(self.words(), [])
        self.assert_passes(PAYER, self.port)

    def test_service_stays_cut_by_the_name_that_it_has_there(self):
        night = without(policy([grant("pour", "night", [NORD, SUED], serves="tcp/7000-7999")], OPEN, name="night",
                               services={"night": {"cgroup": "system.slice/batch.service"}}), "services", "batch")
        self.try_policy(night, 5)
        self.assert_passes(NORD, self.port)
        self.guard.cut("service:night")
        self.assert_cut(NORD)
        self.wait_back()
        self.assert_cut(NORD, SUED)
        self.assertEqual(self.words(), ["service:batch", "service:night"])
        self.guard.reopen("service:night")
        self.assert_passes(NORD, self.port)

    def test_service_without_a_name_there_stays_cut_with_all_that_has_none(self):
        unnamed = without(BASE, "services", "batch")
        unnamed["grants"] = []
        self.guard.apply(dict(unnamed, grants=[grant("pour", "sftp", NORD, serves="tcp/7000-7999")]))
        self.assert_passes(NORD, self.port)  # as one that has none
        self.try_policy(dict(BASE, name="more"), 4)
        self.guard.cut("service:batch")
        self.assert_cut(NORD)
        self.wait_back()
        self.assert_cut(NORD)
        self.assertEqual(self.words(), ["service:batch", "service:other"])
        self.port = self.pour("sftp")
        self.assert_passes(NORD, self.port)

    def test_class_and_grant_that_the_older_policy_lacks_stay_cut(self):
        more = policy([grant("pour", "batch", [NORD, PAYER], serves="tcp/7000-7999"),
                       grant("extra", "batch", SUED, serves="tcp/7000-7999")], OPEN, name="more",
                      partners={PAYER: {"class": ["suspect"]}})
        for target, cut in (("class:suspect", PAYER), ("grant:extra", SUED)):
            self.try_policy(more, 4)
            self.guard.cut(target)
            self.assert_cut(cut)
            self.wait_back()
            self.assert_cut(cut)
            self.assert_passes(NORD, self.port)
            self.guard.reopen(target)
            self.assert_passes(cut, self.port)

    def test_cut_that_loses_nothing_gets_no_other(self):
        self.try_policy(WITH_PAYER, 4)
        self.guard.cut("partner:" + SUED)
        self.guard.cut("class:hospital@service:batch")
        self.wait_back()
        self.assertEqual(self.words(), ["class:hospital@service:batch", "partner:" + SUED])
        self.assert_cut(SUED, NORD)

    def test_what_a_breach_severed_stays_severed(self):
        """By itself a latch goes by its account alone, which the older policy does not have."""
        severs = grant("metered", "batch", PAYER, ["256KiB/1h"], serves="tcp/7000-7999", on_breach="sever")
        metered = policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999"), severs], OPEN, name="more")
        for is_after_reboot in (False, True):
            self.try_policy(metered, 5)
            self.assertLessEqual(self.take(PAYER, self.port), 256 * KIB)
            wait_for(lambda: [cut for cut in self.guard.cuts() if cut["by"] == "guard"], 5, "the latch")
            self.assert_cut(PAYER)
            if is_after_reboot:
                self.boot_again()
            self.wait_back()
            self.assert_cut(PAYER)
            self.assert_passes(NORD, self.port)
            words = [what + "@service:batch" for what in ("addr:198.51.100.32/28", "addr:2001:db8:3::/64", "partner:payer")]
            self.assertEqual([word for word in self.words() if "payer" in word or "addr" in word], words)
            said = self.guard.must("status").stdout
            self.assertRegex(said, r"partner:payer@service:batch since .* by guard: severed: grant metered")
            self.guard.reopen("partner:payer@service:batch")
            self.assert_passes(PAYER, self.port)
            self.guard.apply(metered)
            self.guard.reopen("grant:metered")
            self.guard.apply(BASE)

    def test_end_comes_while_no_daemon_runs(self):
        for is_after_reboot in (False, True):
            self.try_policy(WITH_PAYER, 3)
            end = time.monotonic() + 3 * SLOWNESS
            self.guard.cut("partner:" + PAYER)
            if is_after_reboot:
                self.boot_again()
            else:
                self.guard.kill()
                time.sleep(max(0, end - time.monotonic()) + 0.5)
                self.assert_cut(PAYER)
                self.guard.start()
            self.assertEqual(self.guard.status()["policy"]["name"], "lab")
            self.assertFalse(os.path.exists(os.path.join(self.guard.state_dir, self.lab.instance, "trial.json")))
            self.assert_cut(PAYER)
            self.assertEqual(len(self.words()), 3)
            self.guard.kill()
            self.guard.start()
            self.assert_cut(PAYER)
            self.assertEqual(len(self.words()), 3)
            self.assert_passes(NORD, self.port)
            self.guard.reopen("partner:" + PAYER)
            self.assert_passes(PAYER, self.port)

    def test_trial_whose_texts_are_damaged_is_read_from_those_that_are_kept(self):
        self.try_policy(WITH_PAYER, 60)
        self.guard.cut("partner:" + PAYER)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        with open(os.path.join(self.guard.state_dir, self.lab.instance, "trial.json"), "r+b") as file:
            file.readline()
            file.truncate(file.tell() + 20)
        self.guard.start()
        self.assertEqual(self.guard.status()["policy"]["name"], "lab")
        self.assert_cut(PAYER)
        self.assertEqual(len(self.words()), 3)
        self.assert_passes(NORD, self.port)

    def test_trial_that_cannot_be_read_any_more_is_told(self):
        """Nobody knows then what the cut covered."""
        self.try_policy(WITH_PAYER, 60)
        self.guard.cut("partner:" + PAYER)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        with open(os.path.join(self.guard.state_dir, self.lab.instance, "trial.json"), "w", encoding="utf-8") as file:
            file.write("{}\n")
        self.guard.start()
        self.assertEqual(self.words(), ["partner:payer"])
        self.assertRegex(self.guard.must("status").stdout, "covers nothing: the policy does not have it")
        self.assertRegex(self.guard.must("order", "list").stdout, r"cut-void +accepted +partner:payer")
        told = [event for event in self.guard.events() if event["unmapped"]["kind"] == "cut-without-object"]
        self.assertEqual(told[-1]["severity"], "High")


class UnderASignedCut(TheWayBackCase):
    """What stands for it is signed as it is: no local reopening ends it, and two people's does."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.signing = Signing(cls.guard, "alice", "bob")

    def cut(self, *words):
        path, cut = self.signing.order("cut", *words, by=("alice",))
        return path, cut, self.take_order(path)

    def reopening(self, cut, *targets, by=("alice", "bob")):
        return self.signing.order("reopen", *targets, "--cut", cut, by=by)[0]

    def test_it_stays_until_two_people_let_it_back(self):
        self.try_policy(WITH_PAYER, 4)
        self.assert_passes(PAYER, self.port)
        path, cut, answer = self.cut("partner:" + PAYER)
        self.assertEqual(answer["matched"], 1)
        self.assert_cut(PAYER)
        self.wait_back()
        self.assert_cut(PAYER)
        self.assert_passes(NORD, self.port)
        words = ["addr:198.51.100.32/28", "addr:2001:db8:3::/64", "partner:payer"]
        self.assertEqual(self.words(), words)
        self.assertEqual({one["order"] for one in self.guard.cuts()}, {cut})
        for one in self.guard.cuts():
            for target in (("--order", one["id"]), (one["target"],)):
                done = self.guard.weir("reopen", *target, "--reason", "I am root")
                self.assertEqual(done.returncode, 1, target)
        self.assertEqual(self.words(), words)
        again = self.take_order(path)  # brokers keep it, and agents hand it over again
        self.assertTrue(again["known"])
        self.assertEqual(self.words(), words)
        self.boot_again()
        self.assertEqual(self.words(), words)
        self.assert_cut(PAYER)
        self.assertIn("takes 2", self.take_order(self.reopening(cut, by=("alice",)), 1))
        self.assert_cut(PAYER)
        self.take_order(self.reopening(cut))
        self.assertEqual(self.words(), [])
        self.assert_passes(PAYER, self.port)
        self.take_order(path)  # what was reopened stays open, whatever comes again
        self.assertEqual(self.words(), [])
        self.assert_passes(PAYER, self.port)

    def test_let_back_by_the_name_that_it_was_cut_by(self):
        self.try_policy(WITH_PAYER, 4)
        _, cut, _ = self.cut("partner:" + PAYER, "partner:" + NORD)
        self.wait_back()
        self.assert_cut(PAYER, NORD)
        self.take_order(self.reopening(cut, "partner:" + PAYER))
        self.assertEqual(self.words(), ["partner:" + NORD])
        self.assert_passes(PAYER, self.port)
        self.assert_cut(NORD)
        self.take_order(self.reopening(cut))
        self.assert_passes(NORD, self.port)

    def test_one_with_an_end_ends_with_all_that_stands_for_it(self):
        self.try_policy(WITH_PAYER, 3)
        _, cut, _ = self.cut("partner:" + PAYER, "--for", "%ds" % (9 * SLOWNESS))
        self.wait_back()
        self.assert_cut(PAYER)
        self.assertEqual({one["order"] for one in self.guard.cuts()}, {cut})
        wait_for(lambda: not self.guard.cuts(), 15, "the cut's end")
        self.assert_passes(PAYER, self.port)

    def test_the_end_comes_while_no_daemon_runs(self):
        self.try_policy(WITH_PAYER, 3)
        _, cut, answer = self.cut("partner:" + PAYER)
        self.assertEqual(answer["matched"], 1, "the trial was over already")
        self.boot_again()
        self.assertEqual(self.guard.status()["policy"]["name"], "lab")
        self.assert_cut(PAYER)
        self.assertEqual({one["order"] for one in self.guard.cuts()}, {cut})
        self.assertEqual(len(self.words()), 3)
        self.assertEqual(self.guard.weir("reopen", "partner:" + PAYER, "--reason", "I am root").returncode, 1)
        self.take_order(self.reopening(cut))
        self.assert_passes(PAYER, self.port)


class BackToNoPolicy(LabCase):
    """The first policy that was ever tried goes back to none: under which nothing is a lifeline, but a cut holds."""
    servers = ("admin",)

    def setUp(self):
        for name in ("applied.json", "lifeline.json"):
            self.assertFalse(os.path.exists(self.path(name)))
        self.begin()
        self.port, self.other = self.pour(), self.pour("portal")

    def tearDown(self):
        self.guard.stop()
        self.guard.must("unload", "--yes")
        for name in os.listdir(self.path("")):
            if os.path.isfile(self.path(name)):
                os.unlink(self.path(name))

    def path(self, name):
        return os.path.join(self.guard.state_dir, self.lab.instance, name)

    def begin(self):
        """Without --policy."""
        with open(self.guard.log, "ab") as log:
            self.guard.process = self.lab.spawn(self.guard.run_words(), stdout=log, stderr=log,
                                                env=self.guard.environment)
        wait_for(lambda: self.guard.weir("status").returncode == 0, 60, "weir to judge", 0.05)

    def begin_again(self, is_after_reboot):
        if is_after_reboot:
            self.guard.stop()
            self.guard.must("unload", "--yes")
        else:
            self.guard.kill()
        self.begin()

    def assert_admin_is_there(self):
        for family in (4, 6):
            self.assertEqual(far.ssh(self.lab, "admin", "echo alive", far.ADMIN[family]).stdout, "alive\n")

    def assert_cut(self, host, port):
        self.assertEqual(self.take(host, port), 0, "it was cut")

    def test_the_admins_outlive_a_cut(self):
        """And nobody else is cut with the service: it keeps its name."""
        self.guard.must("apply", self.guard.write_policy(WITH_PAYER, "more.yaml"), "--yes", "--confirm", str(4 * SLOWNESS))
        self.assert_passes(NORD, self.port)
        self.guard.cut("service:batch")
        self.assert_admin_is_there()
        wait_for(lambda: self.guard.status()["policy"]["name"] == "none", 10, "to go back", 0.1)
        for is_after_reboot in (None, False, True):
            if is_after_reboot is not None:
                self.begin_again(is_after_reboot)
            status = self.guard.status()
            self.assertEqual((status["policy"]["name"], status["mode"]), ("none", "observe"))
            self.assert_cut(NORD, self.port)
            self.assert_admin_is_there()
            self.assert_passes(PAYER, self.other)
        self.guard.cut("all")
        self.assert_cut(PAYER, self.other)
        self.assert_admin_is_there()
        self.guard.reopen("all")
        self.guard.reopen("service:batch")
        self.assert_passes(NORD, self.port)

    def test_the_end_comes_while_no_daemon_runs(self):
        self.guard.must("apply", self.guard.write_policy(WITH_PAYER, "more.yaml"), "--yes", "--confirm", "60")
        self.guard.cut("all")
        self.begin_again(is_after_reboot=True)
        self.assertEqual(self.guard.status()["policy"]["name"], "none")
        self.assert_cut(NORD, self.port)
        self.assert_admin_is_there()
        self.guard.reopen("all")
        self.assert_passes(NORD, self.port)

    def test_a_damaged_lifeline_is_told(self):
        self.guard.must("apply", self.guard.write_policy(WITH_PAYER, "more.yaml"), "--yes", "--confirm", "60")
        self.guard.must("rollback")
        self.assertEqual(self.guard.status()["policy"]["name"], "none")
        with open(self.path("lifeline.json"), "w", encoding="utf-8") as file:
            file.write("{}\n")
        self.begin_again(is_after_reboot=True)
        self.assertIn("lifeline.json", self.guard.must("events").stdout)
        self.assert_passes(NORD, self.port)
