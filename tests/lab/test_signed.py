# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Orders as signed texts: one principal cuts, two let back, in whatever order and however often they come."""
import hashlib
import json
import os
import time

from case import HUB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import SLOWNESS

GRANTS = [grant("pour", "batch", "any", serves="tcp/7000-7999")]
ALL = "cut@weir,reopen@weir"
GROUP = "berlin"


def gently(connection):
    """So that who counts at the far end keeps up."""
    connection.sendall(bytes(16384))
    time.sleep(0.02)


class Signing:
    """People with keys, and the lists that say what these are good for."""

    def __init__(self, guard, *principals):
        self.guard, self.count = guard, 0
        self.signers, self.lines = guard.lab.path("config", "allowed_signers"), []
        for principal in principals:
            self.allow(principal)

    def key(self, name):
        path = self.guard.lab.path("key-" + name)
        if not os.path.exists(path):
            self.guard.lab.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path])
        return path

    def public(self, name):
        with open(self.key(name) + ".pub", encoding="ascii") as file:
            return " ".join(file.read().split()[:2])

    def allow(self, principal, name=None, namespaces=ALL, more=""):
        self.lines.append('%s namespaces="%s"%s %s' % (principal, namespaces, more, self.public(name or principal)))
        with open(self.signers, "w", encoding="ascii") as file:
            file.write("\n".join(self.lines) + "\n")

    def order(self, kind, *words, by=()):
        """An order signed by the keys of `by`: (its file, its id)."""
        self.count += 1
        path = self.guard.lab.path("order-%d" % self.count)
        self.guard.must("order", "write", kind, *words, "--reason", "incident 4711", "--out", path)
        for name in by:
            self.guard.must("sign", path, "--key", self.key(name))
        with open(path, "rb") as file:
            return path, hashlib.sha256(file.read().split(b"-----BEGIN SSH SIGNATURE")[0]).hexdigest()


class Signed(LabCase):
    policy = policy(GRANTS, STRANGERS)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.signing = signing = Signing(cls.guard, "alice", "bob", "carol")
        signing.allow("alice", "alice-two")
        signing.allow("dora", namespaces="cut@weir")
        signing.allow("late", more=',valid-before="20200101Z"')

    def setUp(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        self.cuts = []

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        for cut in self.cuts:
            self.take_order(self.reopening(cut))
        self.assertEqual(self.guard.cuts(), [])

    def cut(self, *targets, by=("alice",), words=()):
        """Signs a cut that the test's end takes back."""
        path, cut = self.signing.order("cut", *targets, *words, by=by)
        self.cuts.append(cut)
        return path, cut

    def reopening(self, cut, *targets, by=("alice", "bob")):
        return self.signing.order("reopen", *targets, "--cut", cut, by=by)[0]

    def assert_cut(self, host, port):
        self.assertEqual(self.take(host, port, seconds=0.7), 0)

    def test_one_cuts_and_two_let_back(self):
        port = self.pour()
        path, cut = self.cut("partner:" + NORD)
        answer = self.take_order(path)
        self.assertEqual((answer["order"], answer["matched"], answer["known"]), (cut, 1, False))
        again = self.take_order(path)
        self.assertEqual((again["matched"], again["known"]), (1, True))
        self.assert_cut(NORD, port)
        self.assert_passes(SUED, port)
        told = self.guard.cuts()[0]
        self.assertEqual((told["order"], told["by"], told["reason"]), (cut, "signed by alice", "incident 4711"))
        done = self.guard.weir("reopen", "partner:" + NORD, "--reason", "I am root")
        self.assertEqual(done.returncode, 1)
        self.assertIn("takes a signed reopening: weir order write reopen --cut " + cut, done.stderr)
        done = self.guard.weir("reopen", "--order", told["id"], "--reason", "I am root")
        self.assertEqual(done.returncode, 1)
        alone, back = self.signing.order("reopen", "--cut", cut, by=("alice",))
        self.assertIn("takes 2", self.take_order(alone, 1))
        told = [one["unmapped"] for one in self.guard.events() if one["unmapped"].get("order") == back]
        self.assertEqual([(one["kind"], one["order_kind"]) for one in told], [("order-refused", "reopen")])
        self.assertIn("takes 2", told[0]["why"])
        self.assertRegex(self.guard.must("order", "list").stdout, r"reopen +refused +of %s, by .* signed by alice: " % cut)
        self.assertIn("takes 2", self.take_order(self.reopening(cut, by=("alice", "alice-two")), 1))
        self.assertIn("takes 2", self.take_order(self.reopening(cut, by=("alice", "dora")), 1))
        self.assertIn("takes 2", self.take_order(self.reopening(cut, by=("alice", "late")), 1))
        self.assert_cut(NORD, port)
        answer = self.take_order(self.reopening(cut))
        self.assertEqual((answer["matched"], answer["reopened"][0]["how"]), (1, "whole"))
        self.assert_passes(NORD, port)
        answer = self.take_order(path)  # a retained message comes again
        self.assertTrue(answer["known"])
        self.assert_passes(NORD, port)

    def test_running_flows_end_and_the_order_may_come_over_a_pipe(self):
        """As `ssh host weir order apply - < FILE` does it; IPv4 and IPv6, four connections each."""
        path, _ = self.cut("partner:" + NORD)
        ports = {4: self.pour(send=gently), 6: self.pour(family=6, send=gently)}
        count, other = far.Count(self.lab, NORD), far.Count(self.lab, SUED)
        flows = [self.lab.start(far.tcp_take, HUB[family], ports[family], None, 20.0, b"go\n", 1 << 40, host=NORD)
                 for family in (4, 6) for _ in range(4)]
        kept = self.lab.start(far.tcp_take, HUB[4], ports[4], None, 20.0, b"go\n", 4 * MIB * SLOWNESS, host=SUED)
        wait_for(lambda: count.tcp_payload > 4 * MIB and other.tcp_payload > MIB // 4, 20, "the flows to run")
        done = self.lab.run(["sh", "-c", '"$0" order apply - --json --instance "$1" < "$2"', self.guard.program,
                             self.lab.instance, path], env=self.guard.environment)
        after = count.tcp_payload
        self.assertLess(other.tcp_payload, 3 * MIB * SLOWNESS, "the other flow is nearly over: it shows nothing")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreaterEqual(json.loads(done.stdout)["ended"], len(flows))
        for flow in flows:
            self.assertNotEqual(flow.result(10)[1], "limit")
        self.assertLess(count.settle().tcp_payload - after, MIB, "it went on after the cut had answered")
        self.assertEqual(kept.result(30 * SLOWNESS)[1], "limit", "another partner's flow stopped")

    def test_a_dry_run_says_what_would_end_and_ends_nothing(self):
        path, _ = self.signing.order("cut", "partner:" + NORD, "partner:nobody", by=())
        port, count = self.pour(send=gently), far.Count(self.lab, NORD)
        flow = self.lab.start(far.tcp_take, HUB[4], port, None, 20.0, b"go\n", 1 << 40, host=NORD)
        self.addCleanup(flow.kill)
        wait_for(lambda: count.tcp_payload > MIB // 4, 20, "the flow to run")
        said = json.loads(self.guard.must("order", "apply", path, "--dry-run", "--json").stdout)
        self.assertEqual((said["matched"], said["selected"], said["partners"]), (1, 1, [{"name": NORD, "connections": 1}]))
        self.assertIn("signed by 0 principals", said["refused"])
        before = count.tcp_payload
        wait_for(lambda: count.tcp_payload > before + MIB // 4, 20, "the flow to go on")
        self.assert_passes(NORD, port)

    def test_order_of_arrival_makes_no_difference(self):
        port = self.pour()
        path, cut = self.cut("class:hospital", "partner:" + PAYER)
        part, other = self.reopening(cut, "partner:" + NORD), self.reopening(cut, "partner:" + PAYER)
        self.assertEqual(self.take_order(part)["matched"], 0)
        self.take_order(path)
        self.take_order(other)
        for again in (path, part, other):
            self.assertTrue(self.take_order(again)["known"])
        self.assert_passes(NORD, port)
        self.assert_passes(PAYER, port)
        self.assert_cut(SUED, port)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["class:hospital"])

    def test_whole_reopening_before_its_cut(self):
        port = self.pour()
        path, cut = self.cut("all")
        self.take_order(self.reopening(cut))
        self.assertEqual(self.take_order(path)["matched"], 0)
        self.assert_passes(NORD, port)
        self.assertEqual(self.guard.cuts(), [])

    def test_two_cuts_of_one_partner_take_two_reopenings(self):
        port = self.pour()
        first, second = self.cut("partner:" + NORD), self.cut("class:hospital", by=("bob",))
        self.take_order(first[0])
        self.take_order(second[0])
        said = self.guard.must("order", "apply", self.reopening(first[1])).stdout
        self.assertRegex(said, r"(?m)^c\d+ still holds partner:%s: cut class:hospital$" % NORD)
        self.assert_cut(NORD, port)
        told = self.take_order(self.reopening(second[1], "partner:" + NORD, by=("carol", "bob")))
        self.assertEqual(told["holding"], [])
        self.assert_passes(NORD, port)
        self.assert_cut(SUED, port)

    def test_without_a_daemon_and_after_its_return(self):
        port = self.pour()
        self.guard.kill()
        path, cut = self.cut("partner:" + NORD)
        self.take_order(path)
        self.assert_cut(NORD, port)
        self.guard.start()
        self.assert_cut(NORD, port)
        self.assertEqual(self.guard.cuts()[0]["order"], cut)
        self.assertTrue(self.take_order(path)["known"])
        self.guard.must("unload", "--yes")
        self.guard.process.wait(10)
        self.guard.start()  # from the disk alone
        self.assertEqual(self.guard.cuts()[0]["order"], cut)
        self.assert_cut(NORD, port)
        self.guard.kill()
        self.take_order(self.reopening(cut))
        self.assert_passes(NORD, port)

    def test_order_for_other_groups(self):
        host = self.guard.lab.path("host.yaml")
        with open(host, "w", encoding="ascii") as file:
            file.write("weir: 1\ngroups: [%s]\n" % GROUP)
        self.guard.stop()
        self.guard.start(None, "--host", host)
        port = self.pour()
        path, _ = self.signing.order("cut", "all", "--hosts", "hamburg", by=("alice",))
        self.assertFalse(self.take_order(path)["is_for_us"])
        self.assert_passes(NORD, port)
        path, _ = self.cut("partner:" + NORD, words=("--hosts", "hamburg", "--hosts", GROUP))
        self.assertTrue(self.take_order(path)["is_for_us"])
        self.assert_cut(NORD, port)

    def test_name_that_is_not_here_is_cut_when_a_policy_brings_it(self):
        port = self.pour()
        path, _ = self.cut("partner:newcomer")
        self.assertEqual(self.take_order(path)["matched"], 0)
        self.guard.apply(policy(GRANTS, STRANGERS))
        self.assert_passes(NORD, port)
        named = policy(GRANTS, STRANGERS)
        named["partners"]["newcomer"] = named["partners"].pop(NORD)
        self.guard.apply(named)
        self.assert_cut(NORD, port)
        done = self.guard.weir("apply", self.guard.write_policy(policy(GRANTS, STRANGERS), "back.yaml"), "--yes")
        self.assertEqual(done.returncode, 1, "the policy lost the object of a cut")
        self.take_order(self.reopening(self.cuts[0]))
        self.guard.apply(policy(GRANTS, STRANGERS))
        self.assert_passes(NORD, port)

    def test_what_is_not_signed_well_does_nothing(self):
        port = self.pour()
        path, _ = self.signing.order("cut", "partner:" + NORD, by=("stranger",))
        self.assertIn("signed by 0 principals", self.take_order(path, 1))
        path, _ = self.signing.order("cut", "partner:" + SUED, by=("alice",))
        with open(path, encoding="ascii") as file:
            text = file.read()
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace(SUED, NORD))
        self.assertIn("signed by 0 principals", self.take_order(path, 1))
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace("kind: cut", "kind: kut"))
        self.assertRegex(self.take_order(path, 1), r"order-\d+:2:\d+: ")
        with open(self.guard.lab.path("config", "revoked_signers"), "w", encoding="ascii") as file:
            file.write(self.signing.public("alice") + "\n")
        path, _ = self.signing.order("cut", "partner:" + NORD, by=("alice",))
        self.assertIn("signed by 0 principals", self.take_order(path, 1))
        os.unlink(self.guard.lab.path("config", "revoked_signers"))
        os.chmod(self.signing.signers, 0o666)
        self.assertIn("could be changed by others", self.take_order(path, 1))
        os.chmod(self.signing.signers, 0o644)
        self.assert_passes(NORD, port)
        self.assertEqual(self.guard.cuts(), [])

    def test_base_brings_a_policy_and_never_goes_back(self):
        port = self.pour()
        self.signing.allow("base-a", namespaces="base@weir")
        self.signing.allow("base-b", namespaces="base@weir")
        for name, partner in (("first", NORD), ("second", SUED)):
            content = policy([grant("pour", "batch", partner, serves="tcp/7000-7999")], STRANGERS, name=name)
            self.guard.write_policy(json.dumps(content, indent=1) + "\n", name + ".yaml")
        first, second = (self.signing.order("base", "--version", str(number), "--enclose", self.lab.path(name + ".yaml"),
                                            by=("base-a", "base-b"))[0]
                         for number, name in ((1, "first"), (2, "second")))
        self.take_order(first)
        self.assert_passes(NORD, port)
        self.assert_bounded(self.take(SUED, port))
        self.take_order(second)
        self.assert_passes(SUED, port)
        self.assertIn("is not above 2", self.take_order(first, 1))
        self.guard.kill()
        self.guard.start()
        self.assertIn("is not above 2", self.take_order(first, 1))
        self.assertTrue(self.take_order(second)["known"])
        self.assertEqual(self.guard.status()["policy"]["name"], "second")
        self.assertRegex(self.guard.weir("status").stdout, r"(?m)^base +2, issued ")
        self.assertNotIn("ANOTHER POLICY", self.guard.weir("status").stdout)
        self.assert_passes(SUED, port)
        self.guard.apply(policy(GRANTS, STRANGERS))  # as the other tests have it
        self.assertRegex(self.guard.weir("status").stdout, r"(?m)^base +2, issued .*; ANOTHER POLICY IS IN ITS PLACE HERE$")
        self.assertIn("another policy was put in its place", self.take_order(second, 1))
        self.guard.kill()
        self.guard.start()
        self.assertIn("; ANOTHER POLICY IS IN ITS PLACE HERE\n", self.guard.weir("status").stdout)

    def test_journal_has_who_signed(self):
        path, cut = self.cut("partner:" + NORD, by=("alice", "bob"))
        self.take_order(path)
        record = json.loads(self.guard.must("order", "list", "--json").stdout)[-1]["record"]
        self.assertEqual((record["source"], record["body_sha256"]), ("signed", cut))
        self.assertEqual([one["principal"] for one in record["signatures"]], ["alice", "bob"])
        self.take_order(self.signing.order("reopen", "--cut", cut, by=("bob",))[0], 1)
        record = json.loads(self.guard.must("order", "list", "--json").stdout)[-1]["record"]
        self.assertEqual((record["kind"], record["result"], record["order"]), ("reopen", "refused", cut))
