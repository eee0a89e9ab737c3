# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The way back in stages: nothing before its stage, a share of the budget while it is watched, cut again on a breach."""
import hashlib
import json
import os
import signal
import time

from case import HUB, NORD, PAYER, STRANGERS, SUED, KIB, LabCase, far, wait_for
from guard import grant, policy
from test_four_eyes import Clock
from test_signed import Signing

BUDGET = 1024 * KIB
SHARE = 256 * KIB  # 25 % of it
LITTLE = 64 * KIB
NO_STRANGERS = dict(STRANGERS, serves="deny")
TARGETS = {NORD: "partner:" + NORD, SUED: "partner:" + SUED, PAYER: "partner:" + PAYER}


def stage(name, *hosts, **keys):
    return dict({"name": name, "targets": [TARGETS[host] for host in hosts]}, **keys)


def plan(*stages, **keys):
    return dict({"weir-plan": 1, "name": "back", "reason": "incident 4711", "stages": list(stages)}, **keys)


def a_little(connection):
    """And no more: what nobody takes is used of a budget too."""
    connection.sendall(bytes(LITTLE))
    raise BrokenPipeError


def drip(connection):
    connection.sendall(bytes(KIB))
    time.sleep(0.05)


class PlanCase(LabCase):
    """Each test has grants, and so meters, of its own."""
    runs = 0

    @classmethod
    def prepare(cls):
        cls.policy = cls.policy_of("none")

    @staticmethod
    def policy_of(name):
        return policy([grant("hospitals-" + name, "batch", "class:hospital", ["1MiB/1h"], serves="tcp/7000-7999"),
                       grant("payers-" + name, "batch", PAYER, ["1MiB/1h"], serves="tcp/7000-7999")], NO_STRANGERS)

    def setUp(self):
        type(self).runs += 1
        self.guard.apply(self.policy_of(str(self.runs)))
        self.port, self.little = self.pour(), self.pour(send=a_little)
        self.guard.cut("all")

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        if self.plan():
            self.guard.must("plan", "abort", "--reason", "the test is over")
        for cut in self.guard.cuts():
            if "stands_for" not in cut:  # it ends with the other
                self.guard.must("reopen", "--order", cut["id"], "--reason", "the test is over")

    # ---- the plan -------------------------------------------------------------------------------

    def start(self, content):
        return self.guard.must("plan", "start", self.guard.write_policy(content, "plan.yaml"))

    def next(self, *words):
        return self.guard.must("plan", "next", *words)

    def refused(self, *words, code=1):
        done = self.guard.weir("plan", *words)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def plan(self):
        return json.loads(self.guard.must("plan", "status", "--json").stdout)["plan"]

    def states(self):
        return [one["state"] for one in self.plan()["stages"]]

    def wait_state(self, index, state, seconds=15):
        wait_for(lambda: (self.plan() or {"stages": [{"state": "over"}] * 9})["stages"][index]["state"] == state, seconds,
                 "stage %d to be %s" % (index, state))

    # ---- the far end ----------------------------------------------------------------------------

    def gets(self, host, limit=None):
        """Bytes that reach the host in one connection that sends without end."""
        return self.take(host, self.port, seconds=0.7 if limit is None else 5, limit=limit)

    def assert_open(self, host):
        self.assertEqual(self.take(host, self.little, seconds=5), LITTLE)

    def assert_gets_the_share(self, host):
        """But for headers, and the packet of up to 64 KiB that did not fit."""
        got = self.gets(host)
        self.assertLessEqual(got, SHARE)
        self.assertGreater(got, SHARE - 80 * KIB)

    def assert_cut(self, *hosts):
        for host in hosts:
            self.assertEqual(self.gets(host), 0, host)


class Stages(PlanCase):
    def test_stage_by_stage(self):
        self.start(plan(stage("first", NORD, watch="2s", budget="25%"), stage("second", SUED, watch="2s"), stage("last", PAYER)))
        self.assert_cut(NORD, SUED, PAYER)
        self.assertIn("stage first is watched", self.next().stdout and self.refused("next"))
        self.assert_open(NORD)
        self.assert_cut(SUED, PAYER)
        self.wait_state(0, "done")
        self.assertEqual(self.states(), ["done", "next", "later"])
        self.assertEqual(self.guard.status()["overrides"], [])
        self.next()
        self.assert_open(SUED)
        self.assert_cut(PAYER)
        self.wait_state(1, "done")
        self.next()
        wait_for(lambda: not self.plan(), 10, "the plan to end")
        for host in (NORD, SUED, PAYER):
            self.assert_open(host)
        self.assertIn("no plan is under way", self.refused("next"))

    def test_the_share_is_all_that_passes_and_a_breach_cuts_again(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED, watch="1h")))
        self.next()
        shown = self.guard.must("status").stdout
        self.assertRegex(shown, r"(?m)^probation o\d+ partner:klinik-nord: 25 % of each grant's budget by ")
        self.assertRegex(shown, r"(?m)^plan +back: stage first watched until ")
        self.assertIn("on probation: 25 % of it", self.guard.must("show", TARGETS[NORD]).stdout)
        self.assert_gets_the_share(NORD)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD, SUED)
        told = self.guard.must("plan", "status").stdout
        self.assertIn("refused: hospitals-%d, service batch, partner klinik-nord" % self.runs, told)
        self.assertEqual(self.guard.status()["overrides"], [])
        kinds = [line["record"]["kind"] for line in json.loads(self.guard.must("order", "list", "--json").stdout)]
        self.assertEqual(kinds[-5:], ["probation", "reopen", "plan-next", "cut", "plan-breach"])

    def test_all_of_the_budget_passes_once_the_watch_is_over(self):
        self.start(plan(stage("first", NORD, watch="2s", budget="25%"), stage("second", SUED)))
        self.next()
        self.assert_open(NORD)
        self.wait_state(0, "done")
        self.assertGreater(self.gets(NORD), SHARE * 2)
        self.assertEqual(self.states(), ["done", "next"])

    def test_a_breach_that_only_tells(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%", on_breach="tell"), stage("second", SUED)))
        self.next()
        self.assert_gets_the_share(NORD)
        wait_for(lambda: [event for event in self.guard.events() if "plan-breach" in str(event)], 10, "the event")
        self.assertEqual(self.states(), ["watched", "later"])

    def test_what_was_used_before_counts(self):
        self.guard.reopen("all")
        self.assertGreaterEqual(self.gets(NORD, 2 * SHARE), 2 * SHARE)
        self.guard.cut("all")
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.assertIn("leaves it 256KiB: its first packet would be a breach", self.refused("next"))
        self.assert_cut(NORD)
        self.assertEqual((self.states(), self.guard.status()["overrides"]), (["next", "later"], []))

    def test_abort_cuts_the_stage_again_and_leaves_what_passed(self):
        self.start(plan(stage("first", NORD), stage("second", SUED, watch="1h", budget="50%")))
        self.next()
        self.wait_state(0, "done")
        self.next()
        self.assert_open(SUED)
        self.assertIn("stays open", self.guard.must("plan", "abort", "--reason", "enough").stdout)
        self.assert_open(NORD)
        self.assert_cut(SUED, PAYER)
        self.assertEqual((self.plan(), self.guard.status()["overrides"]), (None, []))

    def test_what_somebody_cuts_meanwhile_does_not_pass(self):
        """Its watch begins anew when it is open again."""
        self.start(plan(stage("first", NORD, watch="3s", budget="25%"), stage("second", SUED)))
        self.next()
        self.guard.cut(TARGETS[NORD])
        self.wait_state(0, "held", 3)
        time.sleep(4)
        self.assertEqual(self.states(), ["held", "later"])
        self.assert_cut(NORD, SUED)
        self.guard.reopen(TARGETS[NORD])
        self.wait_state(0, "watched", 3)
        self.assert_open(NORD)
        self.assertEqual(len(self.guard.status()["overrides"]), 1)
        self.wait_state(0, "done")

    def test_a_running_flow_that_somebody_cuts_is_no_breach(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.next()
        port = self.pour(send=drip)
        count = far.Count(self.lab, NORD)
        self.addCleanup(count.stop)
        flow = self.lab.start(far.tcp_take, HUB[4], port, None, 3.0, b"go\n", None, host=NORD)
        wait_for(lambda: count.tcp_payload > 0, 5, "the flow to run")
        self.guard.cut(TARGETS[NORD])
        self.wait_state(0, "held", 3)
        self.assertGreater(flow.result()[0], 0)
        time.sleep(2)
        self.assertEqual(self.states(), ["held", "later"])

    def test_a_pause_hides_no_breach(self):
        """While all of a service is only observed, more than the share passes; then the stage is closed."""
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.next()
        self.guard.must("pause", "service:batch", "--for", "10m", "--reason", "x")
        self.assertGreater(self.gets(NORD, SHARE + LITTLE), SHARE)
        self.wait_state(0, "cut again")
        self.assertIn("over, in observe", self.guard.must("plan", "status").stdout)
        self.assert_cut(NORD)
        for one in self.guard.status()["overrides"]:
            self.guard.must("order", "end", one["id"], "--reason", "the test is over")

    def test_an_extension_does_not_widen_a_share(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%", on_breach="tell"), stage("second", SUED)))
        self.next()
        self.guard.must("extend", TARGETS[NORD], "--grant", "hospitals-%d" % self.runs, "--by", "1MiB", "--for", "30m", "--reason", "x")
        self.assert_gets_the_share(NORD)
        for one in self.guard.status()["overrides"]:
            if one["kind"] == "extend":
                self.guard.must("order", "end", one["id"], "--reason", "the test is over")

    def test_another_policy_does_not_take_its_targets_away(self):
        """Of a stage under way nobody could cut them again."""
        self.start(plan(stage("first", NORD, SUED, watch="1h", budget="25%"), stage("second", PAYER)))
        self.next()
        without = self.policy_of(str(self.runs))
        without["partners"] = {name: keys for name, keys in without["partners"].items() if name != SUED}
        path = self.guard.write_policy(without, "without.yaml")
        done = self.guard.weir("apply", path, "--yes")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("lets partner:klinik-sued back, which this policy does not have", done.stderr)
        self.assert_gets_the_share(NORD)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD, SUED)

    def test_what_a_trial_took_along_keeps_nothing_open(self):
        """The policy that was on trial had a partner that the one before it has not."""
        trial = self.policy_of(str(self.runs))
        trial["partners"] = dict(trial["partners"], moving={"addresses": ["203.0.113.192/30"]})
        self.guard.must("apply", self.guard.write_policy(trial, "trial.yaml"), "--yes", "--confirm", "4")
        first = stage("first", NORD, watch="8s", budget="25%")
        first["targets"] += ["partner:moving"]
        self.start(plan(first, stage("second", SUED)))
        self.next()
        self.assertIn("which this policy does not have", self.guard.weir("rollback").stderr)
        wait_for(lambda: "trial_seconds_left" not in self.guard.status()["policy"], 10, "the trial to end")
        self.assertEqual(sorted(cut["target"] for cut in self.guard.cuts() if cut["by"] == "guard"),
                         ["addr:203.0.113.192/30", "partner:moving"], "what nobody could cut again is open")
        self.assert_open(NORD)
        time.sleep(9)
        self.assertEqual(self.states(), ["watched", "later"], "what is gone passed")
        self.assert_gets_the_share_less(LITTLE)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD)

    def assert_gets_the_share_less(self, used):
        self.assertLessEqual(self.gets(NORD), SHARE - used)

    def test_a_probation_is_the_plans(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.next()
        name = self.guard.status()["overrides"][0]["id"]
        done = self.guard.weir("order", "end", name, "--reason", "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("is of the plan that is under way", done.stderr)
        self.assertLessEqual(self.gets(NORD), SHARE)


class Preconditions(PlanCase):
    def test_evidence(self):
        self.start(plan(stage("first", NORD, evidence="required"), stage("second", SUED)))
        self.assertIn("--evidence REF", self.refused("next"))
        self.assertIn("without control characters", self.refused("next", "--evidence", "a\nb"))
        self.assert_cut(NORD)
        self.next("--evidence", "ticket 815")
        self.assert_open(NORD)
        listed = json.loads(self.guard.must("order", "list", "--json").stdout)
        self.assertEqual([line["record"].get("evidence") for line in listed if line["record"]["kind"] == "plan-next"][-1],
                         "ticket 815")

    def test_who_is_refused_names_no_evidence(self):
        self.start(plan(stage("first", NORD, approvals=2, evidence="required", watch="1h"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", "--evidence", "ticket 815", login=1001).returncode, 0)
        for uid in (1001, 4294967295):
            self.assertEqual(self.guard.weir("plan", "next", "--evidence", "nothing", login=uid).returncode, 1)
            self.assertEqual(self.plan()["stages"][0]["evidence_given"], "ticket 815")
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        listed = json.loads(self.guard.must("order", "list", "--json").stdout)
        self.assertEqual([line["record"].get("evidence") for line in listed if line["record"]["kind"] == "plan-next"][-1],
                         "ticket 815")

    def test_who_could_not_begin_it_has_not_approved_it(self):
        """Also not on the disk. No room for a probation: there are 512 pauses."""
        self.start(plan(stage("first", NORD, approvals=2, watch="1h", budget="25%"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        for _ in range(512):
            self.guard.must("pause", "service:portal", "--for", "1h", "--reason", "to fill it")
        done = self.guard.weir("plan", "next", login=1002)
        self.assertIn("there is no room for the probations", done.stderr)
        self.assert_cut(NORD)
        self.guard.kill()
        self.guard.start()
        self.assertEqual((self.states()[0], len(self.plan()["stages"][0]["approved"])), ("next", 1))
        for pause in self.guard.status()["overrides"]:
            self.guard.must("order", "end", pause["id"], "--reason", "the test is over")
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        self.assert_open(NORD)

    def test_a_probation_that_is_not_on_the_disk_begins_nothing(self):
        self.start(plan(stage("first", NORD, approvals=2, watch="1h", budget="25%"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        path = os.path.join(self.guard.state_dir, self.lab.instance, "orders.json.copy")
        os.remove(path)
        os.mkdir(path)
        try:
            self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 1)
            self.assertEqual((self.states()[0], len(self.plan()["stages"][0]["approved"])), ("next", 1))
            self.assert_cut(NORD)
        finally:
            os.rmdir(path)
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        self.assert_open(NORD)

    def test_what_is_cut_later_was_not_approved(self):
        self.start(plan(stage("first", NORD, approvals=2, watch="1h"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        self.guard.cut(TARGETS[SUED])
        self.guard.cut("class:hospital")
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        self.assert_cut(NORD)
        self.guard.cut(TARGETS[SUED])
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        self.assert_open(NORD)

    def test_approvals_are_of_different_logins(self):
        self.start(plan(stage("first", NORD, approvals=2, watch="1h"), stage("second", SUED)))
        for login, code, told in ((-1, 1, "of somebody who logged in"), (1001, 0, ""), (1001, 1, "it takes somebody else")):
            done = self.guard.weir("plan", "next", login=login)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertIn(told, done.stderr)
        self.assert_cut(NORD)
        self.guard.kill()
        approved = self.guard.status()["plan"]["stages"][0]["approved"]
        self.assertEqual([one["by"] for one in approved], ["root(0) login uid 1001"])
        self.guard.start()
        self.assert_cut(NORD)
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        self.assert_open(NORD)
        self.assertEqual(len(self.plan()["stages"][0]["approved"]), 2)

    def test_under_four_eyes_a_stage_takes_two(self):
        self.guard.apply(dict(self.policy_of("eyes-%d" % self.runs), four_eyes=True))
        self.start(plan(stage("first", NORD, watch="1h"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        self.assert_cut(NORD)
        self.assertEqual(self.guard.weir("plan", "next", login=1002).returncode, 0)
        self.assert_open(NORD)
        self.guard.must("plan", "abort", "--reason", "enough")
        lax = self.guard.write_policy(self.policy_of(str(self.runs)), "lax.yaml")
        for uid, code in ((1001, 1), (1002, 0)):
            self.assertEqual(self.guard.weir("apply", lax, "--yes", login=uid).returncode, code)

    def test_what_a_signed_order_cut_waits_for_a_signed_reopening(self):
        signing = Signing(self.guard, "alice", "bob")
        path, cut = signing.order("cut", TARGETS[NORD], by=("alice",))
        self.guard.must("order", "apply", path)
        self.start(plan(stage("first", NORD, SUED, watch="1h", budget="25%"), stage("second", PAYER)))
        self.next()
        self.assertEqual(self.states(), ["held", "later"])
        self.assertIn("weir order write reopen --cut " + cut, self.guard.must("plan", "status").stdout)
        self.assert_cut(NORD)
        self.assert_open(SUED)
        path, _ = signing.order("reopen", "--cut", cut, by=("alice", "bob"))
        self.guard.must("order", "apply", path)
        self.wait_state(0, "watched")
        self.assert_gets_the_share(NORD)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD, SUED)

    def test_a_plan_with_faults_changes_nothing(self):
        for told, content in (
                ('no partner "klinik-nort"', plan({"name": "first", "targets": ["partner:klinik-nort"]})),
                ('stands in a stage already', plan(stage("a", NORD), stage("b", NORD))),
                ('needs "watch"', plan(stage("a", NORD, budget="10%"))),
                ('nothing of "addr:198.51.100.1" can be watched', plan({"name": "a", "targets": ["addr:198.51.100.1"], "watch": "1h"})),
                ('of "strangers" there is no share', plan({"name": "a", "targets": ["strangers"], "watch": "1h", "budget": "10%"})),
                ('unknown key "budgets"', plan(stage("a", NORD, budgets="10%"))),
                ('"targets" is missing', plan({"name": "first"}))):
            with self.subTest(told):
                error = self.refused("start", self.guard.write_policy(content, "bad.yaml"))
                self.assertRegex(error, r"(?m)bad\.yaml:\d+:\d+: .*" + told)
        self.assertIsNone(self.plan())
        shown = self.guard.must("plan", "start", self.guard.write_policy(plan(stage("a", NORD, budget="10%", watch="1h")),
                                                                         "good.yaml"), "--dry-run").stdout
        self.assertIn("watched for 1h with 9.96 % of each budget", shown)
        self.assertIsNone(self.plan())
        self.start(plan(stage("a", NORD)))
        self.assertIn("plan back is under way", self.refused("start", self.guard.policy_file.replace("policy.yaml", "good.yaml")))


class Late(PlanCase):
    """Nobody waits a quarter of an hour here: the daemon's clocks are set ahead."""

    @classmethod
    def prepare(cls):
        super().prepare()
        cls.clock = Clock(cls.guard)

    def test_an_approval_counts_for_a_quarter_of_an_hour(self):
        """Also over a restart of the daemon; who relied on it is told, and begins nothing."""
        self.start(plan(stage("first", NORD, approvals=2, watch="1h"), stage("second", SUED)))
        self.assertEqual(self.guard.weir("plan", "next", login=1001).returncode, 0)
        told = self.guard.must("plan", "status").stdout
        self.assertIn("approved by root(0) login uid 1001, which counts until ", told)
        self.guard.kill()
        self.guard.start()
        self.assertEqual(len(self.plan()["stages"][0]["approved"]), 1)
        self.clock.passes(15 * 60)
        told = self.guard.must("plan", "status").stdout
        self.assertRegex(told, r"approved by root\(0\) login uid 1001 at .*, which is over, and does not count")
        done = self.guard.weir("plan", "next", login=1002)
        self.assertEqual((done.returncode, len(done.stderr.splitlines())), (1, 1), done.stderr)
        self.assertIn("stage first does not begin: the approval by root(0) login uid 1001 is over", done.stderr)
        events = self.guard.must("events").stdout
        self.assertIn("the approval by root(0) login uid 1001 is over: it counts for 15m", events)
        self.assert_cut(NORD)
        for login in (1002, 1001):
            self.assert_cut(NORD)
            self.assertEqual(self.guard.weir("plan", "next", login=login).returncode, 0)
        self.assert_open(NORD)


class Restarts(PlanCase):
    def test_a_breach_while_no_daemon_runs_is_seen_by_the_next(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.next()
        self.guard.kill()
        self.assert_gets_the_share(NORD)
        self.guard.start()
        self.wait_state(0, "cut again")
        self.assert_cut(NORD)

    def test_the_longest_plan_is_there_after_a_restart(self):
        path = self.guard.write_policy(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)), "long.yaml")
        with open(path, "a", encoding="ascii") as file:
            file.write("\n" * ((1 << 20) - file.tell()))
        self.guard.must("plan", "start", path)
        self.next()
        self.guard.kill()
        self.guard.start()
        self.assertEqual(self.states(), ["watched", "later"])
        with open(path, "a", encoding="ascii") as file:
            file.write("\n")
        self.assertIn("at most 1048576 bytes", self.refused("start", path, "--dry-run"))

    def test_it_goes_on_after_the_guard_was_off(self):
        self.start(plan(stage("first", NORD, watch="10m", budget="25%"), stage("second", SUED)))
        self.next()
        self.assert_open(NORD)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.guard.start()
        self.assertEqual(self.states()[1], "later")
        self.assertLessEqual(self.gets(NORD) + LITTLE, SHARE)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD, SUED)

    def test_killed_while_it_opens_it_is_cut_again(self):
        """At many moments of `next`: afterwards the stage is watched, or closed and waits."""
        seen = set()
        for moment in range(12):
            self.start(plan(stage("first", NORD, SUED, watch="1h", budget="25%"), stage("second", PAYER)))
            next_one = self.lab.spawn([self.guard.program, "plan", "next", "--instance", self.lab.instance],
                                      env=self.guard.environment)
            time.sleep(moment * 0.004)
            os.kill(self.guard.process.pid, signal.SIGKILL)
            self.guard.process.wait()
            next_one.wait()
            self.guard.start()
            state = self.states()[0]
            seen.add(state)
            self.assertIn(state, ("next", "watched", "cut again"))
            probations = [one["target"] for one in self.guard.status()["overrides"]]
            if state == "watched":
                self.assertEqual(sorted(probations), sorted([TARGETS[NORD], TARGETS[SUED]]))
                self.assert_open(NORD)
            else:
                self.assert_cut(NORD, SUED)
            self.guard.must("plan", "abort", "--reason", "once more")
            self.assert_cut(NORD, SUED)
            self.assertEqual(self.guard.status()["overrides"], [])
            self.guard.apply(self.policy_of("%d-%d" % (self.runs, moment)))
        self.assertIn("next", seen)

    def test_a_damaged_file_lets_nothing_back(self):
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))
        self.next()
        self.guard.stop()
        path = os.path.join(self.guard.state_dir, self.lab.instance, "plan.json")
        with open(path, "r+b") as file:
            file.seek(40)
            file.write(b"x")
        self.guard.start()
        self.assertIsNone(self.plan())
        self.assert_cut(SUED)
        self.assertIn("plan.json", self.guard.must("events").stdout)
        self.assertLessEqual(self.gets(NORD), SHARE)
        name = self.guard.status()["overrides"][0]["id"]
        self.guard.must("order", "end", name, "--reason", "the plan is lost")
        self.assertGreater(self.gets(NORD), SHARE)


class Full(PlanCase):
    """No order finds room any more, but what cuts a stage again."""

    def setUp(self):
        super().setUp()
        self.start(plan(stage("first", NORD, watch="1h", budget="25%"), stage("second", SUED)))

    def tearDown(self):
        """The guard goes, and the orders with it."""
        self.guard.stop()
        self.guard.must("unload", "--yes")
        for name in ("orders.json", "orders.json.copy", "plan.json"):
            os.unlink(self.path(name)) if os.path.exists(self.path(name)) else None
        self.guard.start()

    def path(self, name):
        return os.path.join(self.guard.state_dir, self.lab.instance, name)

    def fill(self):
        for number, count in enumerate((200,) * 15 + (20,) * 3 + (1,) * 20):
            done = self.guard.weir("cut", *["addr:192.88.%d.%d" % (number, i) for i in range(count)], "--reason", "to fill it")
        self.assertIn("there is no room for more cuts", done.stderr)

    def test_a_full_table_keeps_no_stage_open(self):
        self.next()
        self.fill()
        self.assert_gets_the_share(NORD)
        self.wait_state(0, "cut again")
        self.assert_cut(NORD)
        self.assertIn("no room", self.refused("next"))
        self.assert_cut(NORD)

    def test_interrupted_it_is_cut_again_once_there_is_room(self):
        self.fill()
        self.guard.stop()
        with open(self.path("plan.json"), encoding="utf-8") as file:
            kept = file.readline().replace('"phase":"waits"', '"phase":"opens"')
        with open(self.path("plan.json"), "w", encoding="utf-8") as file:
            file.write(kept + '{"sha256":"%s"}\n' % hashlib.sha256(kept.encode()).hexdigest())
        self.guard.start()
        self.assertEqual(self.states(), ["interrupted", "later"])
        self.assertIn("stage first: there is no room for more cuts", self.guard.must("events").stdout[-2000:])
        self.assertIn("has to be cut again first", self.refused("next"))
        self.guard.must("reopen", "--order", self.guard.cuts()[-1]["id"], "--reason", "room")
        self.wait_state(0, "cut again", 5)
        self.assert_cut(NORD)
