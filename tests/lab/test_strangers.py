# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Answers to who is not listed are bounded (S01, S02, S03, S11, S20); partners are not touched."""
from case import B, HUB, KIB, MIB, NORD, PAYER, STRANGERS, LabCase, far, wait_for
from guard import grant, policy


class Answers(LabCase):
    """What real servers answer to inbound connections."""
    servers = ("sftp", "portal")
    policy = policy([grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
                     grant("documents", "portal", "class:hospital", serves="tcp/443")], STRANGERS)

    def test_web_shell_stops_at_the_budget(self):
        """S01 over IPv4."""
        theft = far.steal(self.lab, "stranger", "night", source=self.stranger(), seconds=4)
        self.assert_all(far.steal(self.lab, NORD, "night"), "night")
        theft.wait()
        self.assertGreater(theft.bytes, 0, "a stranger gets at least a handshake and a small page")
        self.assert_bounded(theft.bytes)

    def test_web_shell_over_ipv6_stops_at_the_budget(self):
        theft = far.steal(self.lab, "stranger", "night", HUB[6], self.stranger(6), seconds=4)
        self.assert_all(far.steal(self.lab, NORD, "night", HUB[6]), "night")
        theft.wait()
        self.assertGreater(theft.bytes, 0)
        self.assert_bounded(theft.bytes)

    def test_sixteen_downloads_at_once_share_one_budget(self):
        source = self.stranger()
        count = far.Count(self.lab, "stranger", source)
        thefts = [far.steal(self.lab, "stranger", "night", source=source, seconds=4) for _ in range(16)]
        self.assert_all(far.steal(self.lab, NORD, "night"), "night")
        for theft in thefts:
            theft.wait()
        self.assert_bounded(sum(theft.bytes for theft in thefts))
        self.assert_bounded(count.settle().payload)

    def test_connection_that_will_be_held_for_long_is_ended(self):
        """A stalled TCP dies slowly; who waits for more than a minute is told at once, and alone."""
        page = "https://%s/" % HUB[4]
        bystander = self.stranger()
        self.assertEqual(far.curl(self.lab, "stranger", page, bystander).wait(), 0)
        theft = far.steal(self.lab, "stranger", "night", source=self.stranger(), seconds=20)
        self.assertIn(theft.wait(), (18, 56), "curl: the transfer ended early, by a reset")
        self.assert_bounded(theft.bytes)
        self.assertEqual(far.curl(self.lab, "stranger", page, bystander).wait(), 0)

    def test_small_page_reaches_a_stranger(self):
        page = far.curl(self.lab, "stranger", "https://%s/" % HUB[4], self.stranger())
        self.assertEqual(page.wait(), 0)
        self.assertGreater(page.bytes, 20)

    def test_valid_login_from_an_unknown_address_stops_at_the_budget(self):
        """S02: the account is good, the address is nobody's."""
        source = self.stranger()
        count = far.Count(self.lab, "stranger", source)
        theft = far.sftp_get(self.lab, "stranger", "night", source=source)
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")
        count.settle(1)
        theft.process.kill()
        self.assert_bounded(count.payload)

    def test_partner_without_a_grant_is_a_stranger(self):
        theft = far.steal(self.lab, PAYER, "night", seconds=4)
        self.assert_all(far.steal(self.lab, NORD, "night"), "night")
        theft.wait()
        self.assert_bounded(theft.bytes)


class Totals(LabCase):
    """Strangers one by one, and all of them together, of any service."""
    TOTAL = 512 * KIB
    policy = policy([grant("any", "any", NORD, serves=["tcp/7000-7999", "udp/7000-7999"])],
                    dict(STRANGERS, total="none"),
                    services={"portal": {"strangers": dict(STRANGERS, total=["512KiB/1h"])}})

    def test_sixteen_connections_share_one_budget(self):
        port = self.pour()
        got = self.lab.call(far.tcp_take_many, HUB[4], port, self.stranger(), 16, 1.5, host="stranger")
        self.assert_passes(NORD, port)
        self.assertGreater(got, B // 4)
        self.assert_bounded(got)

    def test_sixteen_connections_over_ipv6_share_one_budget(self):
        port = self.pour(family=6)
        got = self.lab.call(far.tcp_take_many, HUB[6], port, self.stranger(6), 16, 1.5, host="stranger")
        self.assert_passes(NORD, port, 6)
        self.assertGreater(got, B // 4)
        self.assert_bounded(got)

    def test_two_strangers_have_a_budget_each(self):
        port = self.pour()
        for _ in range(2):
            got = self.take("stranger", port, self.stranger())
            self.assertGreater(got, B // 4)
            self.assert_bounded(got)

    def test_all_strangers_together_stop_at_the_total(self):
        """S03: twelve addresses, each below its own budget, want more than the total."""
        port = self.pour("portal")
        sources = [self.stranger() for _ in range(12)]
        tasks = [self.lab.start(far.tcp_take, HUB[4], port, source, 1.5, host="stranger")
                 for source in sources]
        got = sum(task.result()[0] for task in tasks)
        self.assert_passes(NORD, port)
        self.assertGreater(got, self.TOTAL // 2)
        self.assert_bounded(got, self.TOTAL)

    def test_udp_answers_stop_at_the_budget(self):
        """S11, S20: the stranger spoke first, the answers are datagrams."""
        for family in (4, 6):
            with self.subTest(family=family):
                port = next(self.ports)
                self.lab.start(far.udp_answer, HUB[family], port, 2000, 1000, host="hub", service="batch")
                far.wait_for_udp(self.lab, "hub", port)
                got = self.lab.call(far.udp_take, HUB[family], port, self.stranger(family), host="stranger")
                fair = self.lab.call(far.udp_take, HUB[family], port, far.HOSTS[NORD][0 if family == 4 else 3][0],
                                     host=NORD)
                self.assertGreater(got, B // 2)
                self.assert_bounded(got)
                self.assertEqual(fair, 2000 * 1000)

    def test_slow_theft_stops_at_the_budget(self):
        """S15: a little at a time, on one connection after the other."""
        port, source, got = self.pour(), self.stranger(), 0
        for _ in range(20):
            got += self.take("stranger", port, source, limit=8 * KIB, seconds=0.5)
        self.assert_bounded(got, B + 0)
        self.assert_passes(NORD, port, size=MIB)


class ServiceBudget(LabCase):
    """The ceiling of a service holds for all that it sends, whoever asks."""
    CEILING = 2 * MIB
    policy = policy([grant("any", "any", "any", serves="tcp/7000-7999")],
                    dict(STRANGERS, serves="none", total="none"),
                    services={"portal": {"budget": ["2MiB/1h"]}, "sftp": {"budget": ["128KiB/1h"]}})

    def test_partners_together_stop_at_the_service_budget(self):
        port, other = self.pour("portal"), self.pour("batch")
        tasks = [self.lab.start(far.tcp_take, HUB[4], port, None, 1.5, host=host) for host in (NORD, PAYER)]
        got = sum(task.result()[0] for task in tasks)
        self.assert_passes(NORD, other)
        self.assertGreater(got, self.CEILING // 4)
        self.assert_bounded(got, self.CEILING)

    def test_strangers_stop_at_the_service_budget(self):
        port, other = self.pour("sftp"), self.pour("batch")
        got = self.lab.call(far.tcp_take_many, HUB[4], port, self.stranger(), 16, 1.5, host="stranger")
        self.assert_passes(NORD, other)
        self.assertGreater(got, 0)
        self.assert_bounded(got, 128 * KIB)


class Severed(LabCase):
    """A stranger's breach severs that one; letting one service's back lets back nobody else's."""
    policy = policy([grant("any", "any", NORD, serves="tcp/7000-7999")], dict(STRANGERS, on_breach="sever"))

    def is_severed(self, service):
        return [cut for cut in self.guard.cuts() if cut["target"] == "strangers@service:" + service]

    def test_one_service_is_let_back_alone(self):
        source = {service: self.stranger() for service in ("batch", "portal")}
        port = {service: self.pour(service) for service in source}
        for service in source:
            self.assert_bounded(self.take("stranger", port[service], source[service]))
            wait_for(lambda: self.is_severed(service), 5, "the latch of " + service)
        self.guard.must("reopen", "strangers@service:batch", "--reason", "back")
        self.assertFalse(self.is_severed("batch"))
        self.assertTrue(self.is_severed("portal"))
        self.assertEqual(self.take("stranger", port["portal"], source["portal"]), 0)
