# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What loosens for a while: an extension of one grant's budget, a pause. Each ends by itself, without a daemon too."""
import json
import time

from case import HUB, KIB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import lasting
from test_signed import Signing, gently

BUDGET = 64 * KIB
MORE = 192 * KIB
FREE = grant("free", "any", PAYER, serves="tcp/7000-7999")
NO_STRANGERS = dict(STRANGERS, serves="deny")
PACKET = 1500


def policy_with(name):
    """A grant of another name has meters of its own."""
    return policy([grant(name, "batch", "class:hospital", ["64KiB/1h"], serves="tcp/7000-7999"), FREE], NO_STRANGERS)


class OverrideCase(LabCase):
    policy = policy_with("small")
    grants = 0

    def setUp(self):
        type(self).grants += 1
        self.small = "small-%d" % self.grants
        self.guard.apply(policy_with(self.small))

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        for override in self.guard.status()["overrides"]:
            self.guard.must("order", "end", override["id"], "--reason", "the test is over")

    def extend(self, target="partner:" + NORD, more=MORE, span="30m"):
        return self.guard.must("extend", target, "--grant", self.small, "--by", "%dB" % more, "--for", span, "--reason",
                               "a test").stdout

    def drained(self, host, port):
        """Bytes that the host gets until its budget is used up: in as many connections as it takes, since the last
        packet of one need not fit where a smaller one does; one that brings nothing may have been slow."""
        got = dry = 0
        while dry < 2:
            one = self.take(host, port, seconds=0.35 * lasting(2))
            got += one
            dry = dry + 1 if one < PACKET else 0
        return got

    def assert_gets(self, host, port, budget):
        """All of the budget, but for headers and what does not fit, and nothing more."""
        got = self.drained(host, port)
        self.assertLessEqual(got, budget)
        self.assertGreaterEqual(got, budget * 0.85 - 2 * PACKET)


class Extend(OverrideCase):
    def test_it_gives_what_it_says_to_whom_it_says(self):
        port = self.pour()
        self.assert_gets(NORD, port, BUDGET)
        self.assert_gets(SUED, port, BUDGET)
        self.assertRegex(self.extend(), r"(?m)^extended +o\d+ grant %s lets pass 192KiB more to partner:%s " % (self.small, NORD))
        self.assert_gets(NORD, port, MORE)
        self.assertLess(self.drained(SUED, port), PACKET, "an extension of somebody else's")
        self.extend("class:hospital", more=BUDGET)
        self.assert_gets(NORD, port, BUDGET)
        self.assert_gets(SUED, port, BUDGET)
        shown = self.guard.must("show", "partner:" + NORD).stdout
        self.assertIn("extended by 256KiB", shown)
        self.assertIn("320KiB in 1h", shown)
        self.assertEqual(self.guard.status()["cuts"], [])

    def assert_given_once(self, first):
        port = self.pour()
        said = self.guard.must_without_answer(first, "extend", "partner:" + NORD, "--grant", self.small, "--by", "%dB" % MORE,
                                              "--for", "30m", "--reason", "a test")
        self.assertIn("no daemon answers", said)
        self.assertEqual([override["more_bytes"] for override in self.guard.status()["overrides"]], [MORE])
        self.assert_gets(NORD, port, BUDGET + MORE)

    def test_what_the_daemon_is_slow_to_answer_is_given_once(self):
        self.assert_given_once("daemon")

    def test_what_the_daemon_is_slow_to_answer_is_not_given_again(self):
        self.assert_given_once("command")

    def test_many_connections_at_once_get_no_more(self):
        """8 over IPv4 and 8 over IPv6, one account."""
        ports = {4: self.pour(), 6: self.pour(family=6)}
        self.extend()
        tasks = [self.lab.start(far.tcp_take, HUB[family], ports[family], None, 3.0, b"go\n", None, host=NORD)
                 for family in (4, 6) for _ in range(8)]
        got = sum(task.result(20)[0] for task in tasks)
        self.assertLessEqual(got, BUDGET + MORE)
        self.assertGreaterEqual(got, (BUDGET + MORE) * 0.8)
        self.assertGreaterEqual(self.take(SUED, ports[4], limit=BUDGET // 2, seconds=5), BUDGET // 2)

    def test_of_what_we_call_over_udp(self):
        self.guard.apply(policy([grant(self.small, "batch", NORD, ["64KiB/1h"], calls="udp/7000-7999"), FREE],
                                NO_STRANGERS))
        sink, address, port = self.sink(NORD, udp=True)
        self.lab.call(far.udp_give, address, port, 1000, 300, host="hub", service="batch")
        wait_for(lambda: sink.bytes > BUDGET * 0.8, 5, "its budget")
        first = sink.bytes
        self.assertLessEqual(first, BUDGET)
        self.extend()
        self.lab.call(far.udp_give, address, port, 1000, 300, host="hub", service="batch")
        wait_for(lambda: sink.bytes > first + MORE * 0.8, 5, "the extension to count")
        self.assertLessEqual(sink.bytes, BUDGET + MORE)

    def test_it_ends_by_itself_also_without_a_daemon(self):
        port = self.pour()
        self.assert_gets(NORD, port, BUDGET)
        self.extend(span="%ds" % lasting(4))
        self.guard.kill()
        self.assertGreater(self.take(NORD, port, seconds=0.7, limit=BUDGET), 0, "the extension did not count")
        time.sleep(lasting(4))
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.assert_passes(PAYER, port)
        self.guard.start()
        self.assertEqual(self.guard.status()["overrides"], [])
        self.assertLess(self.take(NORD, port, seconds=0.7), PACKET)
        listed = json.loads(self.guard.must("order", "list", "--json").stdout)
        self.assertEqual(listed[-1]["record"]["kind"], "override-ended")

    def test_it_outlives_the_daemon_and_the_guard(self):
        port = self.pour()
        self.extend(span="1h")
        self.guard.kill()
        self.guard.start()
        self.assert_gets(NORD, port, BUDGET + MORE)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.guard.start()
        self.assertEqual(len(self.guard.status()["overrides"]), 1)
        self.assertLess(self.drained(NORD, port), PACKET, "its meter was not kept")
        self.extend("class:hospital", more=BUDGET)
        self.assert_gets(NORD, port, BUDGET)

    def test_a_policy_without_its_names_makes_it_void(self):
        port = self.pour()
        self.extend()
        self.guard.apply(policy_with("other"))
        self.assertIn("it changes nothing: the policy does not have it", self.guard.must("status").stdout)
        self.assert_gets(NORD, port, BUDGET)
        self.guard.apply(policy_with(self.small))
        self.assertEqual(len(self.guard.status()["overrides"]), 1)
        self.assert_gets(NORD, port, BUDGET + MORE)

    def test_a_cut_is_above_it(self):
        port = self.pour()
        self.extend()
        self.guard.cut("partner:" + NORD)
        self.addCleanup(self.guard.reopen, "partner:" + NORD)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.assert_passes(PAYER, port)

    def test_what_cannot_be_is_refused(self):
        before = self.guard.status()["overrides"]
        words = ["--by", "1MiB", "--for", "10m", "--reason", "x"]
        for code, told, given in (
                (1, 'did you mean "klinik-nord"', ["partner:klinik-nort", "--grant", self.small, *words]),
                (1, "no grant", ["partner:" + NORD, "--grant", self.small[:-1], *words]),
                (1, "lets nothing pass to", ["partner:" + PAYER, "--grant", self.small, *words]),
                (1, "has no budget", ["partner:" + PAYER, "--grant", "free", *words]),
                (1, "of a partner or of a class", ["all", "--grant", self.small, *words]),
                (1, "of a partner or of a class", ["addr:198.51.100.1", "--grant", self.small, *words]),
                (1, "lasts 1h at most", ["partner:" + NORD, "--grant", self.small, *words[:2], "--for", "61m", "--reason",
                                         "x"]),
                (2, "--for", ["partner:" + NORD, "--grant", self.small, *words[:2], "--reason", "x"]),
                (2, "--by", ["partner:" + NORD, "--grant", self.small, "--by", "0B", *words[2:]])):
            with self.subTest(" ".join(given)):
                done = self.guard.weir("extend", *given)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(told, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(self.guard.status()["overrides"], before)

    def test_it_can_be_ended_early(self):
        port = self.pour()
        self.extend()
        self.assertGreater(self.take(NORD, port, seconds=1, limit=BUDGET + MORE // 4), BUDGET)
        name = self.guard.status()["overrides"][0]["id"]
        self.assertEqual(self.guard.weir("order", "end", "o4096", "--reason", "x").returncode, 1)
        self.assertIn("%s is over" % name, self.guard.must("order", "end", name, "--reason", "enough").stdout)
        self.assertLess(self.take(NORD, port, seconds=0.7), PACKET)
        self.assertIn("enough", self.guard.must("order", "show", name).stdout)


class Pause(OverrideCase):
    def pause(self, *words, span="1h"):
        return self.guard.must("pause", *words, "--for", span, "--reason", "a test").stdout

    def test_of_one_service(self):
        port, other = self.pour(), self.pour("portal")
        self.assertEqual(self.take("stranger", port, self.stranger(), seconds=0.7), 0)
        self.assertIn("PAUSED", self.pause("service:batch"))
        self.assertGreater(self.take("stranger", port, self.stranger(), limit=MIB, seconds=5), 128 * KIB)
        self.assertEqual(self.take("stranger", other, self.stranger(), seconds=0.7), 0)
        self.assertGreater(self.take(NORD, port, limit=4 * BUDGET, seconds=5), 2 * BUDGET)
        self.assertGreater(self.guard.partner(NORD)["would_refuse_packets"], 0)

    def test_a_cut_holds_in_it(self):
        port = self.pour()
        self.pause()
        self.guard.cut("partner:" + NORD)
        self.addCleanup(self.guard.reopen, "partner:" + NORD)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.assertGreater(self.take("stranger", port, self.stranger(), limit=MIB, seconds=5), 128 * KIB)

    def test_a_running_flow_stops_when_it_ends_without_a_daemon(self):
        port = self.pour(send=gently)
        count = far.Count(self.lab, SUED)
        self.pause(span="%ds" % lasting(3))
        self.lab.start(far.tcp_take, HUB[4], port, None, lasting(20), b"go\n", 1 << 40, host=SUED)
        wait_for(lambda: count.tcp_payload > 4 * BUDGET, 3, "the pause to let it pass")
        self.guard.kill()
        time.sleep(lasting(3))
        after = count.tcp_payload
        time.sleep(1)
        self.assertLess(count.tcp_payload - after, PACKET)
        self.assert_passes(PAYER, port)

    def test_what_cannot_be_is_refused(self):
        for told, given in (("one service, or of all", ["partner:" + NORD, "--for", "1h"]),
                            ("a day at most", ["--for", "25h"]),
                            ("no service", ["service:batsch", "--for", "1h"])):
            done = self.guard.weir("pause", *given, "--reason", "x")
            self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
            self.assertIn(told, done.stderr)
        self.assertEqual(self.guard.status()["overrides"], [])


class SignedOverride(OverrideCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.signing = Signing(cls.guard, "alice", "bob")

    def extension(self, *by, target="partner:" + NORD, name=None, more=MORE, span="30m"):
        return self.signing.order("extend", target, "--grant", name or self.small, "--by", "%dB" % more, "--for", span, by=by)

    def test_it_takes_two(self):
        port = self.pour()
        self.assert_gets(NORD, port, BUDGET)
        self.assertIn("takes 2", self.take_order(self.extension("alice")[0], 1))
        self.assertLess(self.take(NORD, port, seconds=0.7), PACKET)
        path, name = self.extension("alice", "bob")
        answer = self.take_order(path)
        self.assertEqual((answer["matched"], answer["override"]["order"]), (1, name))
        self.assertTrue(self.take_order(path)["known"])
        self.assert_gets(NORD, port, MORE)
        self.assertIn("signed by alice, bob", self.guard.must("status").stdout)

    def test_one_that_was_ended_here_does_not_come_again(self):
        port = self.pour()
        path, _ = self.extension("alice", "bob")
        self.take_order(path)
        self.guard.must("order", "end", self.guard.status()["overrides"][0]["id"], "--reason", "enough")
        self.assertIn("takes a new order", self.take_order(path, 1))
        self.assert_gets(NORD, port, BUDGET)

    def test_for_what_this_host_lacks_it_is_kept(self):
        port = self.pour()
        answer = self.take_order(self.extension("alice", "bob", name="elsewhere")[0])
        self.assertEqual((answer["matched"], answer["override"]["grant"]), (0, "elsewhere"))
        self.assert_gets(NORD, port, BUDGET)
        self.assertIn("lasts 1h at most", self.take_order(self.extension("alice", "bob", span="2h")[0], 1))

    def test_pause(self):
        port = self.pour()
        path, _ = self.signing.order("pause", "service:batch", "--for", "%ds" % lasting(4), by=("alice", "bob"))
        self.assertEqual(self.take_order(path)["matched"], 1)
        self.assertGreater(self.take("stranger", port, self.stranger(), limit=MIB, seconds=3), 128 * KIB)
        wait_for(lambda: not self.guard.status()["overrides"], 10, "its end")
        self.assertEqual(self.take("stranger", port, self.stranger(), seconds=0.7), 0)
        self.assertEqual((self.take_order(path)["known"], self.guard.status()["overrides"]), (True, []))
