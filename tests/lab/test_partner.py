# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A prefix that counts as a partner's for a while: strangers' addresses become klinik-nord's, and strangers' again."""
import json
import time

from case import HOSTS, HUB, KIB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, wait_for
from guard import LIFELINE, PARTNERS, grant, policy
from lab import lasting
from test_signed import Signing, gently

BUDGET = 256 * KIB
PACKET = 1500
NOTHING = dict(STRANGERS, serves="deny")
FREE = grant("free", "any", PAYER, serves=["tcp/7000-7999", "udp/7000-7999"])


def policy_with(name, **keys):
    """NORD gets BUDGET on one port range, and all it likes on another. A grant of another name has meters of its own."""
    grants = [grant(name, "batch", NORD, ["256KiB/1h"], serves="tcp/7000-7499"),
              grant(name + "-wide", "portal", NORD, serves=["tcp/7000-7999", "udp/7000-7999"], calls="tcp/7000-7999"), FREE]
    return policy(grants, NOTHING, **keys)


def _send_from(source, address, port):
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        for _ in range(5):
            client.sendto(bytes(1000), (address, port))


def _half(connection):
    connection.sendall(bytes(BUDGET // 2))
    raise OSError("that was all")


class PartnerCase(LabCase):
    policy = policy_with("small")
    count = 0

    def setUp(self):
        type(self).count += 1
        self.content = policy_with("small-%d" % self.count)
        self.guard.apply(self.content)
        self.home = self.stranger()

    def tearDown(self):
        if self.guard.process.poll() is not None:
            self.guard.start()
        for override in self.guard.status()["overrides"]:
            self.guard.must("order", "end", override["id"], "--reason", "the test is over")
        self.assertEqual(self.guard.cuts(), [])

    def add(self, prefix=None, partner=NORD, span="30m"):
        """Adds a prefix, or the test's own stranger; its id."""
        said = self.guard.must("partner", "add", partner, prefix or self.home, "--for", span, "--reason", "they moved").stdout
        self.assertRegex(said, r"(?m)^added +o\d+ \S+ counts as partner:%s until " % partner)
        return said.split()[1]

    def get(self, port, source=None, **options):
        return self.take("stranger", port, source or self.home, seconds=0.7, **options)

    def drained(self, take):
        """What is got until the budget is used up, in as many connections as that takes."""
        got = 0
        for _ in range(12):
            one = take()
            got += one
            if one < PACKET:
                break
        return got


class Add(PartnerCase):
    def test_it_gets_nothing_before_and_bytes_after(self):
        port, six = self.pour("portal"), self.pour("portal", family=6)
        address6 = self.stranger(6)
        self.assertEqual((self.get(port), self.get(six, address6, family=6)), (0, 0))
        self.add()
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertEqual(self.get(port, self.stranger()), 0, "another address of the same host")
        self.assertEqual(self.get(six, address6, family=6), 0)
        self.add("2001:db8:bad::/48")
        self.assertGreater(self.get(six, address6, family=6, limit=MIB), 256 * KIB)
        self.assert_passes(PAYER, port)

    def test_over_udp_and_where_we_call(self):
        port = next(self.ports)
        self.lab.start(far.udp_answer, HUB[4], port, 50, 1000, host="hub", service="portal")
        far.wait_for_udp(self.lab, "hub", port)

        def answers():
            return self.lab.call(far.udp_take, HUB[4], port, self.home, 0.7, host="stranger")
        sink = far.Sink(self.lab, "stranger", self.home, port, False, 0)
        self.addCleanup(sink.task.kill)

        def call():
            return self.lab.call(far.connect_error, self.home, port, 1.0, host="hub", service="portal")
        self.assertEqual((answers(), call()), (0, "EPERM"))
        name = self.add()
        self.assertGreater(answers(), 40000)
        self.assertIsNone(call())
        self.guard.must("order", "end", name, "--reason", "they moved back")
        self.assertEqual((answers(), call()), (0, "EPERM"))

    def test_it_ends_by_itself_also_without_a_daemon(self):
        port = self.pour("portal", send=gently)
        count = far.Count(self.lab, "stranger", self.home)
        self.add(span="%ds" % lasting(4))
        self.lab.start(far.tcp_take, HUB[4], port, self.home, lasting(20), b"go\n", 1 << 40, host="stranger")
        wait_for(lambda: count.tcp_payload > 256 * KIB, 3, "it to count")
        self.guard.kill()
        before = count.tcp_payload
        wait_for(lambda: count.tcp_payload > before, 3, "it to go on without a daemon")
        after = count.settle(1.0).tcp_payload
        self.assertEqual(self.get(port), 0)
        self.assertLess(count.tcp_payload - after, PACKET, "a running connection went on")
        self.assert_passes(PAYER, port)
        self.guard.start()
        self.assertEqual(self.guard.status()["overrides"], [])
        self.assertEqual(self.get(port), 0)
        listed = json.loads(self.guard.must("order", "list", "--json").stdout)
        self.assertEqual(listed[-1]["record"]["kind"], "override-ended")

    def test_a_running_connection_of_before_gets_on(self):
        """It was refused; its next packet is judged anew."""
        port = self.pour("portal", send=gently)
        count = far.Count(self.lab, "stranger", self.home)
        name = self.add()
        self.lab.start(far.tcp_take, HUB[4], port, self.home, 30, b"go\n", 1 << 40, host="stranger")
        wait_for(lambda: count.tcp_payload > 64 * KIB, 3, "it to count")
        self.guard.must("order", "end", name, "--reason", "too early")
        before = count.settle().tcp_payload
        self.add()
        wait_for(lambda: count.tcp_payload > before + 64 * KIB, 10, "it to count again")

    def test_the_budget_is_the_partners(self):
        some, port = self.pour(send=_half), self.pour()
        self.add()
        first = self.take(NORD, some, seconds=2)
        self.assertEqual(first, BUDGET // 2)
        got = self.drained(lambda: self.get(port))
        self.assertLessEqual(first + got, BUDGET)
        self.assertGreaterEqual(first + got, BUDGET * 0.85 - 2 * PACKET)
        self.assertLess(self.take(NORD, port, seconds=0.7), PACKET)
        before = self.guard.partner(NORD)["sent_bytes"]
        wide = self.pour("portal")
        size = self.get(wide, limit=MIB)
        self.assertGreaterEqual(self.guard.partner(NORD)["sent_bytes"] - before, size)

    def test_a_cut_is_above_it(self):
        port = self.pour("portal")
        self.add("203.0.113.128/26")
        for target in ("partner:" + NORD, "addr:" + self.home, "addr:203.0.113.0/24", "class:hospital", "all"):
            with self.subTest(target):
                self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
                dropped = self.guard.partner(NORD).get("edge_dropped_packets", 0)
                self.guard.cut(target)
                self.assertEqual(self.get(port), 0)
                self.assertGreater(self.guard.partner(NORD)["edge_dropped_packets"], dropped, "not counted as the partner's")
                self.guard.reopen(target)
        self.guard.cut("partner:" + NORD)
        self.guard.reopen("addr:" + self.home)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertEqual(self.get(port, self.stranger()), 0)
        self.guard.reopen("partner:" + NORD)

    def test_what_a_cut_lets_back_ends_with_it_at_the_edge_too(self):
        """All is cut but the partner. When the address is a stranger's again what it sends dies before the stack, daemon
        or not, though it passed a moment ago."""
        port = next(self.ports)
        sink = far.Sink(self.lab, "hub", HUB[4], port, True, 0)
        self.addCleanup(sink.task.kill)

        def arrives():
            before = sink.bytes
            self.lab.call(_send_from, self.home, HUB[4], port, host="stranger")
            time.sleep(0.2)
            return sink.bytes - before
        self.assertEqual(arrives(), 5000)
        self.guard.cut("all")
        self.assertEqual(arrives(), 0)
        self.guard.reopen("partner:" + NORD)
        self.assertEqual(arrives(), 0)
        self.add(span="%ds" % lasting(4))
        self.assertEqual(arrives(), 5000)
        self.guard.kill()
        self.assertEqual(arrives(), 5000)
        wait_for(lambda: arrives() == 0, 10, "its end")
        self.guard.start()
        self.assertEqual(arrives(), 0)
        self.guard.reopen("all")
        self.assertEqual(arrives(), 5000)

    def test_a_dry_run_and_a_cut_name_the_partner(self):
        port = self.pour("portal", send=gently)
        self.add()
        self.lab.start(far.tcp_take, HUB[4], port, self.home, 20, b"go\n", 1 << 40, host="stranger")
        self.assertRegex(self.guard.must("cut", "addr:" + self.home, "--dry-run").stdout, "would stop 1 partners: " + NORD)
        wait_for(lambda: "%s (1 connections)" % NORD in self.guard.must("cut", "partner:" + NORD, "--dry-run").stdout, 5,
                 "its connection")
        self.assertIn("1 connections ended", self.guard.cut("partner:" + NORD).stdout)
        self.guard.reopen("partner:" + NORD)

    def test_it_is_told(self):
        name = self.add("203.0.113.128/26")
        who = self.guard.must("who", self.home).stdout
        self.assertIn("%s: partner %s (class hospital)" % (self.home, NORD), who)
        self.assertRegex(who, r"(?m)^added +%s 203\.0\.113\.128/26 counts as partner:%s until .*they moved$" % (name, NORD))
        asked = json.loads(self.guard.must("who", self.home, "--json").stdout)
        self.assertEqual((asked["is"], asked["prefix"], asked["added"]["id"]), ("partner", None, name))
        self.assertIn("no partner, a stranger", self.guard.must("who", "203.0.113.200").stdout)
        for words in (("show", "partner:" + NORD), ("show", "addr:" + self.home), ("status",)):
            self.assertRegex(self.guard.must(*words).stdout, r"(?m)^added +%s 203" % name)
        self.assertNotIn("added", self.guard.must("show", "partner:" + SUED).stdout)
        self.assertRegex(self.guard.must("order", "show", name).stdout, r"(?m)^  prefix +203\.0\.113\.128/26$")
        record = json.loads(self.guard.must("order", "list", "--json").stdout)[-1]["record"]
        self.assertEqual((record["kind"], record["prefix"], record["targets"]),
                         ("partner-add", "203.0.113.128/26", ["partner:" + NORD]))

    def test_without_a_daemon(self):
        port = self.pour("portal")
        self.guard.kill()
        self.assertIn("no daemon answers", self.guard.must("partner", "add", NORD, self.home, "--for", "1h", "--reason", "x").stdout)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        name = self.guard.status()["overrides"][0]["id"]
        self.assertIn("partner " + NORD, self.guard.weir("who", self.home).stdout)
        self.guard.must("order", "end", name, "--reason", "x")
        self.assertEqual(self.get(port), 0)
        self.guard.start()
        self.assertEqual(self.get(port), 0)

    def test_it_outlives_the_daemon_and_the_guard(self):
        port = self.pour("portal")
        self.add(span="1h")
        self.guard.kill()
        self.guard.start()
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.guard.start()
        self.assertEqual(self.guard.status()["overrides"][0]["prefix"], self.home)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertEqual(self.get(port, self.stranger()), 0)

    def test_it_can_be_ended_early(self):
        port = self.pour("portal")
        name = self.add()
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertIn("%s is over: partner:%s" % (name, NORD), self.guard.must("order", "end", name, "--reason", "back").stdout)
        self.assertEqual(self.get(port), 0)
        self.assert_passes(PAYER, port)

    def test_of_two_the_longer_counts(self):
        port = self.pour("portal")
        self.add(span="%ds" % lasting(3))
        self.add("203.0.113.128/25", span="1h")
        wait_for(lambda: len(self.guard.status()["overrides"]) == 1, 10, "the end of the first")
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)


class Void(PartnerCase):
    """A policy comes that says something else."""

    def tearDown(self):
        self.guard.apply(self.content)
        super().tearDown()

    def assert_void(self, content, why):
        port = self.pour("portal")
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        name = self.guard.status()["overrides"][0]["id"]
        told = "%s (partner-add partner:%s) changes nothing under it: %s" % (name, NORD, why)
        path = self.guard.write_policy(content, "next.yaml")
        self.assertIn(told, self.guard.must("apply", path, "--dry-run").stdout)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertIn(told, self.guard.apply(content).stdout)
        self.assertEqual(self.get(port), 0)
        self.assertIn("it changes nothing: " + why, self.guard.must("status").stdout)
        self.assertNotIn("partner " + NORD, self.guard.must("who", self.home).stdout)
        self.assertNotIn("changes nothing", self.guard.apply(self.content).stdout)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)

    def test_without_the_partner(self):
        self.add()
        content = policy([FREE], NOTHING)
        del content["partners"][NORD]
        self.assert_void(content, 'the policy has no partner "%s"' % NORD)

    def test_it_gives_a_part_of_the_prefix_to_another(self):
        """Then nothing of the prefix is added, also where the policy says nothing of it."""
        self.add("203.0.113.128/26")
        other = "203.0.113.190"
        content = policy_with("other", partners={SUED: {"addresses": PARTNERS[SUED]["addresses"] + [other]}})
        self.assert_void(content, "203.0.113.128/26 overlaps %s of partner %s" % (other, SUED))

    def test_it_has_a_lifeline_in_the_prefix(self):
        self.add("203.0.113.128/26")
        more = {"service": "admin", "serves": "tcp/22", "to": ["203.0.113.188/31"], "why": "a new jump host"}
        self.assert_void(policy_with("other", lifeline=LIFELINE + [more]),
                         "203.0.113.128/26 covers 203.0.113.188/31 of the lifeline")

    def test_the_partner_has_it_by_the_policy(self):
        port = self.pour("portal")
        self.add()
        content = policy_with("other", partners={NORD: {"addresses": PARTNERS[NORD]["addresses"] + ["203.0.113.128/26"]}})
        self.assertIn("%s is %s's by the policy" % (self.home, NORD), self.guard.apply(content).stdout)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)


class Refused(PartnerCase):
    def test_what_cannot_be_is_refused(self):
        self.add("203.0.113.128/28")
        before = self.guard.status()["overrides"]
        words = ["--for", "1h", "--reason", "x"]
        for code, told, given in (
                (1, 'did you mean "klinik-nord"', ["klinik-nort", "203.0.113.200"]),
                (1, "is too much: at least /16 of IPv4", [NORD, "172.16.0.0/15"]),
                (1, "is too much: at least /16 of IPv4", [NORD, "0.0.0.0/0"]),
                (1, "is too much: at least /32 of IPv6", [NORD, "2001:db8::/31"]),
                (1, "is too much: at least /32 of IPv6", [NORD, "::/0"]),
                (1, "bits set to the right", [NORD, "203.0.113.200/24"]),
                (1, "loopback", [NORD, "127.0.0.0/24"]),
                (1, "multicast", [NORD, "239.1.1.1"]),
                (1, "link-local", [NORD, "fe80::1"]),
                (1, "loopback, or mapped", [NORD, "::1"]),
                (1, "overlaps 198.51.100.16/28 of partner klinik-sued", [NORD, "198.51.100.16"]),
                (1, "overlaps 198.51.100.16/28 of partner klinik-sued", [NORD, "198.51.100.0/24"]),
                (1, "overlaps 2001:db8:2::/64 of partner klinik-sued", [NORD, "2001:db8:2::/48"]),
                (1, "198.51.100.3 is klinik-nord's by the policy", [NORD, "198.51.100.3"]),
                (1, "covers 192.0.2.0/28 of the lifeline", [NORD, "192.0.2.0/26"]),
                (1, "covers 2001:db8:a::/64 of the lifeline", [NORD, "2001:db8:a::/64"]),
                (1, "203.0.113.0/25 covers 203.0.113.10, this host's own", [NORD, "203.0.113.0/25"]),
                (1, "covers 2001:db8:f::10, this host's own", [NORD, "2001:db8:f::/64"]),
                (1, "overlaps 203.0.113.128/28, which", [SUED, "203.0.113.130"]),
                (1, "overlaps 203.0.113.128/28, which", [SUED, "203.0.113.128/26"]),
                (1, "added to one partner", ["partner:%s@service:batch" % NORD, "203.0.113.200"]),
                (2, "neither an address nor a prefix", [NORD, "203.0.113.300"]),
                (2, "neither an address nor a prefix", [NORD, "nord.example"]),
                (2, "a PARTNER and a PREFIX", [NORD])):
            with self.subTest(" ".join(given)):
                done = self.guard.weir("partner", "add", *given, *words)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(told, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for code, told, given in ((1, "30 days at most", ["--for", "31d", "--reason", "x"]), (2, "--for", ["--reason", "x"]),
                                  (2, "--reason", ["--for", "1h"]), (1, "reason", ["--for", "1h", "--reason", ""])):
            done = self.guard.weir("partner", "add", NORD, "203.0.113.200", *given)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            self.assertIn(told, done.stderr)
        self.assertEqual(self.guard.weir("partner", "take", NORD, "203.0.113.200").returncode, 2)
        self.assertEqual(self.guard.status()["overrides"], before)

    def test_no_more_than_there_is_room_for(self):
        """The strictest limit is the kernel's walk; what is in force stays so."""
        port = self.pour("portal")
        for i in range(64):
            self.guard.must("partner", "add", NORD, "203.0.113.%d" % (100 + i), "--for", "1h", "--reason", "x")
        done = self.guard.weir("partner", "add", NORD, "203.0.113.200", "--for", "1h", "--reason", "x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no room", done.stderr)
        self.assertGreater(self.get(port, HOSTS["stranger"][0][20], limit=MIB), 256 * KIB)


class SignedAdd(PartnerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.signing = Signing(cls.guard, "alice", "bob")
        cls.signing.allow("carol", namespaces="cut@weir")

    def addition(self, *by, target="partner:" + NORD, prefix=None, span="30m"):
        return self.signing.order("partner-add", target, "--prefix", prefix or self.home, "--for", span, by=by)

    def test_it_takes_two(self):
        port = self.pour("portal")
        for by in (("alice",), ("alice", "carol")):
            self.assertIn("takes 2", self.take_order(self.addition(*by)[0], 1))
            self.assertEqual(self.get(port), 0)
        path, name = self.addition("alice", "bob")
        said = self.guard.must("order", "verify", path, "--signers", self.signing.signers).stdout
        self.assertIn("lets %s count as partner:%s" % (self.home, NORD), said)
        answer = self.take_order(path)
        self.assertEqual((answer["matched"], answer["override"]["order"], answer["override"]["prefix"]), (1, name, self.home))
        self.assertTrue(self.take_order(path)["known"])
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
        self.assertIn("signed by alice, bob", self.guard.must("status").stdout)
        self.guard.must("order", "end", self.guard.status()["overrides"][0]["id"], "--reason", "enough")
        self.assertIn("takes a new order", self.take_order(path, 1))
        self.assertEqual(self.get(port), 0)

    def test_a_signed_cut_holds_against_a_local_one(self):
        """One person at the host takes no address out of what two have to let back."""
        port = self.pour("portal")

        def cut_and_back(target, *back):
            path, cut = self.signing.order("cut", target, by=("alice",))
            self.take_order(path)
            if back:
                self.take_order(self.signing.order("reopen", *back, "--cut", cut, by=("alice", "bob"))[0])
            return lambda: self.take_order(self.signing.order("reopen", "--cut", cut, by=("alice", "bob"))[0])
        for words in (("strangers",), ("all", "partner:" + NORD), ("addr:203.0.113.128/25", "class:hospital")):
            with self.subTest(" ".join(words)):
                reopen = cut_and_back(*words)
                done = self.guard.weir("partner", "add", NORD, self.home, "--for", "1h", "--reason", "x")
                self.assertEqual((done.returncode, "a signed cut of " + words[0] in done.stderr), (1, True), done.stderr)
                self.assertEqual(self.get(port), 0)
                self.take_order(self.addition("alice", "bob")[0])
                self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
                self.guard.must("order", "end", self.guard.status()["overrides"][0]["id"], "--reason", "enough")
                reopen()
                name = self.add()
                self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
                reopen = cut_and_back(*words)
                self.assertEqual(self.get(port), 0, "a cut that came later")
                self.assertRegex(self.guard.must("status").stdout, r"it changes nothing: c\d+, a signed cut of %s, holds it" % words[0])
                reopen()
                self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
                self.guard.must("order", "end", name, "--reason", "enough")
        reopen = cut_and_back("strangers@service:batch")
        self.assertEqual(self.guard.weir("partner", "add", NORD, self.home, "--for", "1h", "--reason", "x").returncode, 1)
        reopen()
        for target in ("partner:" + NORD, "all", "service:portal"):
            reopen = cut_and_back(target)
            self.guard.must("order", "end", self.add(), "--reason", "it stays cut")
            self.assertEqual(self.get(port), 0)
            reopen()

    def test_what_cannot_be_is_refused_too(self):
        for told, options in (("too much", {"prefix": "10.0.0.0/8"}), ("overlaps", {"prefix": "198.51.100.16/29"}),
                              ("lifeline", {"prefix": "192.0.2.0/28"}), ("own address", {"prefix": HUB[4]}),
                              ("30 days", {"span": "40d"})):
            self.assertIn(told, self.take_order(self.addition("alice", "bob", **options)[0], 1))
        self.assertEqual(self.guard.status()["overrides"], [])

    def test_for_a_partner_that_this_host_lacks_it_is_kept(self):
        port = self.pour("portal")
        answer = self.take_order(self.addition("alice", "bob", target="partner:elsewhere")[0])
        self.assertEqual((answer["matched"], answer["override"]["has_object"]), (0, False))
        self.assertEqual(self.get(port), 0)
        content = policy([grant("late", "portal", "elsewhere", serves="tcp/7000-7999"), FREE], NOTHING,
                         partners={"elsewhere": {"addresses": ["192.0.2.200"]}})
        self.guard.apply(content)
        self.assertGreater(self.get(port, limit=MIB), 256 * KIB)
