# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Orders: cut and reopen, of every kind of target, with the lifeline above them (S24)."""
import json
import os

from case import HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, pause, wait_for
from guard import grant, policy

GRANTS = [grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
          grant("pour", "batch", "any", serves=["tcp/7000-7999", "udp/7000-7999"], **{"class": ["bulk"]}),
          grant("side", "portal", "any", serves="tcp/7000-7999")]
CLASSES = {"batch": {"class": ["exchange"]}, "portal": {"class": ["members"]}}


class Targets(LabCase):
    """Each target stops what it names, and nothing else; reopen lets it back."""
    servers = ("admin", "sftp")
    policy = policy(GRANTS, dict(STRANGERS, serves=["1GiB/1h"], total="none"), services=CLASSES)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.batch, cls.portal = cls.pour(cls, "batch"), cls.pour(cls, "portal")

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")

    def got(self, host, port=None):
        """Does a partner get data now?"""
        return self.take(host, port or self.batch, limit=64 * KIB, seconds=1) >= 64 * KIB

    def assert_cut_and_back(self, target, stopped, alive):
        for host, port in stopped + alive:
            self.assertTrue(self.got(host, port), "before the cut")
        self.guard.cut(target)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], [target])
        for host, port in stopped:
            self.assertEqual(self.take(host, port, seconds=0.7), 0, "%s after cut %s" % (host, target))
        for host, port in alive:
            self.assertTrue(self.got(host, port), "%s was cut by %s" % (host, target))
        self.guard.reopen(target)
        for host, port in stopped:
            self.assertTrue(self.got(host, port), "%s after reopen %s" % (host, target))
        self.assertEqual(self.guard.cuts(), [])

    def test_partner(self):
        self.assert_cut_and_back("partner:" + NORD, [(NORD, self.batch), (NORD, self.portal)],
                                 [(SUED, self.batch)])

    def test_service(self):
        self.assert_cut_and_back("service:batch", [(NORD, self.batch), (SUED, self.batch)],
                                 [(NORD, self.portal)])

    def test_class_of_a_partner(self):
        self.assert_cut_and_back("class:hospital", [(NORD, self.batch), (SUED, self.portal)],
                                 [(PAYER, self.batch)])

    def test_class_of_a_service(self):
        self.assert_cut_and_back("class:members", [(NORD, self.portal)], [(NORD, self.batch)])

    def test_class_of_a_grant(self):
        self.assert_cut_and_back("class:bulk", [(NORD, self.batch)], [(NORD, self.portal)])

    def test_grant(self):
        self.assert_cut_and_back("grant:side", [(NORD, self.portal)], [(NORD, self.batch)])

    def test_strangers(self):
        self.assert_cut_and_back("strangers", [("stranger", self.batch)], [(NORD, self.batch)])

    def test_address(self):
        """Also when a partner's prefix is longer than the one that is cut, or the other way round."""
        self.assert_cut_and_back("addr:198.51.100.0/27", [(NORD, self.batch), (SUED, self.batch)],
                                 [(PAYER, self.batch)])
        self.assert_cut_and_back("addr:198.51.100.34/32", [(PAYER, self.batch)], [(NORD, self.batch)])

    def test_partner_at_a_service(self):
        self.assert_cut_and_back("partner:%s@service:batch" % NORD, [(NORD, self.batch)],
                                 [(NORD, self.portal), (SUED, self.batch)])

    def test_class_at_a_service(self):
        self.assert_cut_and_back("class:hospital@service:portal", [(NORD, self.portal), (SUED, self.portal)],
                                 [(NORD, self.batch), (PAYER, self.portal)])

    def test_all_with_the_lifeline_alive(self):
        self.assertTrue(self.got(NORD))
        self.guard.cut("all")
        for host in (NORD, PAYER, "stranger"):
            self.assertEqual(self.take(host, self.batch, seconds=0.7), 0)
        for family in (4, 6):
            self.assertEqual(far.ssh(self.lab, "admin", "echo alive", far.ADMIN[family]).stdout, "alive\n")
        self.guard.reopen("all")
        self.assertTrue(self.got(NORD))

    def test_lifeline_is_for_its_prefix_alone(self):
        """S27: a partner does not get through the admins' door."""
        self.guard.cut("all")
        self.assertEqual(far.ssh(self.lab, "admin", "echo alive").stdout, "alive\n")
        self.assertNotEqual(far.ssh(self.lab, NORD, "echo alive", far.ADMIN[4], timeout=4).stdout, "alive\n")

    def test_one_partner_reopened_out_of_all(self):
        self.guard.cut("all")
        self.guard.reopen("partner:" + NORD)
        self.assertTrue(self.got(NORD))
        self.assertEqual(self.take(SUED, self.batch, seconds=0.7), 0)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["all"])
        self.guard.reopen("all")
        self.assertTrue(self.got(SUED))

    def test_reopened_part_of_a_class_stays_cut_by_another_order(self):
        self.guard.cut("class:hospital")
        self.guard.cut("service:batch")
        order = [cut["id"] for cut in self.guard.cuts() if cut["target"] == "class:hospital"][0]
        said = self.guard.reopen("partner:" + NORD, "--order", str(order))
        self.assertEqual(self.take(NORD, self.batch, seconds=0.7), 0)
        self.assertTrue(self.got(NORD, self.portal))
        self.assertIn("service:batch", said.stdout)

    def test_cut_for_a_while_ends_by_itself(self):
        self.guard.cut("partner:" + NORD, "--for", "3s")
        self.assertEqual(self.take(NORD, self.batch, seconds=0.7), 0)
        self.assertTrue(self.got(SUED))
        wait_for(lambda: self.got(NORD), 10, "the cut to end")

    def test_dry_run_cuts_nothing(self):
        task = self.lab.start(far.tcp_take, HUB[4], self.batch, None, 3, b"go\n", None, host=NORD)
        said = self.guard.must("cut", "partner:" + NORD, "--dry-run", "--reason", "a test")
        self.assertTrue(said.stdout.strip())
        self.assertEqual(self.guard.cuts(), [])
        self.assertEqual(task.result()[1], "limit")

    def test_unknown_name_is_refused_with_a_near_one(self):
        done = self.guard.weir("cut", "partner:klinik-nort", "--reason", "a test")
        self.assertEqual(done.returncode, 1)
        self.assertIn(NORD, done.stderr)
        self.assertEqual(self.guard.cuts(), [])

    def test_two_targets_in_one_order(self):
        self.guard.cut("partner:" + NORD, "partner:" + SUED)
        for host in (NORD, SUED):
            self.assertEqual(self.take(host, self.batch, seconds=0.7), 0)
        self.assertTrue(self.got(PAYER))

    def kinds(self):
        return [line["record"]["kind"] for line in json.loads(self.guard.must("order", "list", "--json").stdout)]

    def test_a_cut_that_the_daemon_is_slow_to_answer_is_one_order(self):
        for first in ("daemon", "command"):
            with self.subTest(first=first):
                before = self.kinds().count("cut")
                said = self.guard.must_without_answer(first, "cut", "partner:" + NORD, "partner:" + SUED, "--reason", "a test")
                self.assertIn("no daemon answers", said)
                cuts = self.guard.cuts()
                self.assertEqual([cut["target"] for cut in cuts], ["partner:" + NORD, "partner:" + SUED])
                self.assertEqual(["cut %s: %s" % (cut["id"], cut["target"]) for cut in cuts], said.splitlines()[:2])
                self.assertEqual(self.kinds().count("cut"), before + 2)
                self.assertEqual([self.take(host, self.batch, seconds=0.7) for host in (NORD, SUED)], [0, 0])
                self.guard.cut("partner:" + NORD)  # again, and no repetition of the other
                self.assertEqual(len(self.guard.cuts()), 3)
                self.guard.reopen("partner:" + NORD)
                self.guard.reopen("partner:" + SUED)
                self.assertTrue(self.got(NORD))

    def test_a_reopening_that_is_given_up_undoes_no_later_cut(self):
        self.guard.cut("partner:" + NORD)
        self.guard.must_without_answer("command", "reopen", "partner:" + NORD, "--reason", "a test",
                                       between=lambda: self.guard.cut("partner:" + NORD))
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["partner:" + NORD])
        self.assertEqual(self.take(NORD, self.batch, seconds=0.7), 0)


class MidTransfer(LabCase):
    """S24: an order in the middle of a download; the application sees an error at once."""
    servers = ("sftp",)
    policy = policy(GRANTS, STRANGERS, services=CLASSES)

    def tearDown(self):
        self.guard.weir("reopen", "partner:" + NORD, "--reason", "the test is over")

    def check(self, family):
        victim = far.sftp_get(self.lab, NORD, "big", HUB[family], kbits=400000)
        other = far.sftp_get(self.lab, SUED, "night", HUB[family], kbits=80000)
        count = far.Count(self.lab, NORD)
        wait_for(lambda: victim.bytes > 8 * MIB, 20, "the download to run")
        said = self.guard.cut("partner:" + NORD).stdout
        after = count.tcp_payload
        code = victim.wait(5)
        self.assertNotIn(code, (0, -9), "the client was not told at once")
        count.settle()
        self.assertLess(count.tcp_payload - after, MIB, "it went on after the cut had answered")
        self.assertLess(victim.bytes, os.path.getsize(self.lab.path("data", "big")))
        self.assertRegex(said, r"[1-9]\d* (connection|socket)")
        self.assert_all(other, "night")
        self.assertNotEqual(far.sftp_get(self.lab, NORD, "night", HUB[family]).wait(4), 0)
        self.guard.reopen("partner:" + NORD)
        self.assert_all(far.sftp_get(self.lab, NORD, "night", HUB[family]), "night")

    def test_download_over_ipv4(self):
        self.check(4)

    def test_download_over_ipv6(self):
        self.check(6)

    def test_server_goes_on_after_a_cut(self):
        """No listening socket is ended."""
        port = self.pour()
        self.assert_passes(NORD, port)
        self.guard.cut("partner:" + NORD)
        self.assert_passes(SUED, port)
        self.guard.reopen("partner:" + NORD)
        self.assert_passes(NORD, port)


class Observe(LabCase):
    """In observe nothing is refused but what is cut."""
    policy = policy(GRANTS, STRANGERS, mode="observe", services=CLASSES)

    def test_cut_holds_in_observe_mode(self):
        port = self.pour()
        source = self.stranger()
        self.assertGreater(self.take("stranger", port, source, limit=MIB), 512 * KIB)
        self.guard.cut("partner:" + NORD)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.guard.cut("addr:%s/32" % source)
        self.assertEqual(self.take("stranger", port, source, seconds=0.7), 0)
        self.assert_passes(SUED, port)


class ObservedParts(LabCase):
    """A service or a grant that is still being learnt; cuts hold all the same."""
    policy = policy([grant("learnt", "batch", NORD, ["64KiB/1h"], mode="observe", serves="tcp/7000-7999"),
                     grant("pour", "batch", SUED, serves="tcp/7000-7999"),
                     grant("side", "portal", NORD, ["64KiB/1h"], serves="tcp/7000-7999")], STRANGERS,
                    services={"portal": {"mode": "observe"}})

    def test_service_in_observe_refuses_nothing_but_a_cut(self):
        port, other = self.pour("portal"), self.pour("batch")
        self.assert_passes(NORD, port)
        self.assert_bounded(self.take("stranger", other, self.stranger()))
        self.guard.cut("partner:" + NORD)
        self.assertEqual(self.take(NORD, port, seconds=0.7), 0)
        self.guard.reopen("partner:" + NORD)

    def test_grant_in_observe_decides_nothing(self):
        """Without it the partner is a stranger here."""
        port = self.pour("batch")
        self.assert_bounded(self.take(NORD, port))
        self.assert_passes(SUED, port)


class Calls(LabCase):
    """A cut ends what we called too, and stops the next call."""
    policy = policy([grant("archive", "batch", STORE, calls=["tcp/443", "udp/443"]),
                     grant("other", "batch", PAYER, calls="tcp/443")], STRANGERS)

    def test_running_call_is_ended(self):
        sink, address, port = self.sink(STORE, port=443)
        task = self.lab.start(far.tcp_give, address, port, 1 << 40, host="hub", service="batch")
        wait_for(lambda: sink.bytes > MIB, 10, "the call to run")
        self.guard.cut("partner:" + STORE)
        pause(0.3)
        got = sink.bytes
        with self.assertRaises(OSError):
            task.result(5)
        self.assertEqual(sink.bytes, got)
        self.assertEqual(self.lab.call(far.connect_error, address, port, host="hub", service="batch"), "EPERM")
        other, address, port = self.sink(PAYER, port=443)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, MIB, host="hub", service="batch"), MIB)
        self.assertEqual(other.bytes, MIB)
