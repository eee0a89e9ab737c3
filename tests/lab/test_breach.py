# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a breach of an approved partner's budget does: hold, sever, alert; ceilings; hours (S22)."""
import copy
import datetime

from case import HUB, KIB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, pause, wait_for
from guard import grant, policy
from lab import SLOWNESS

DAYS = "Mon-Sun"


def clock(minutes):
    """HH:MM in UTC, `minutes` from now."""
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return then.strftime("%H:%M")


class Hold(LabCase):
    policy = policy([grant("short", "batch", NORD, ["1MiB/10s"], serves="tcp/7000-7999"),
                     grant("two", "portal", NORD, ["256KiB/10s", "512KiB/1h"], serves="tcp/7000-7999"),
                     grant("free", "any", SUED, serves="tcp/7000-7999"),
                     grant("free-sued-v2", "batch", PAYER, ["4MiB/1h"], on_breach="hold",
                           serves="tcp/7000-7999")], STRANGERS)

    def test_held_flow_resumes_when_it_fits_again(self):
        port = self.pour()
        self.assert_passes(SUED, port)
        count = far.Count(self.lab, NORD)
        task = self.lab.start(far.tcp_take, HUB[4], port, None, 25, b"go\n", 3 * MIB // 2, host=NORD)
        pause(5)
        first = count.tcp_payload
        got, how = task.result(60)
        self.assertLessEqual(first, MIB)
        self.assertGreater(first, MIB // 4)
        self.assertEqual((how, got >= 3 * MIB // 2), ("limit", True), "the held flow did not resume")

    def test_longer_window_holds_when_the_short_one_is_free_again(self):
        port = self.pour("portal")
        self.assertLessEqual(self.take(NORD, port), 256 * KIB)
        pause(11)
        got = self.take(NORD, port)
        self.assertGreater(got, 64 * KIB)
        pause(11)
        self.assertLessEqual(self.take(NORD, port), 256 * KIB - got + 256 * KIB)
        self.assert_passes(SUED, port)

    def test_upload_by_a_partner_whose_budget_is_used_up_passes(self):
        """S25: what comes in is no outflow."""
        port = self.pour()
        got = self.take(PAYER, port)
        self.assertLessEqual(got, 4 * MIB)
        self.assertGreater(got, MIB)
        server = far.Sink(self.lab, "hub", HUB[4], next(self.ports), service="batch")
        size = 100 * MIB
        self.assertEqual(self.lab.call(_upload, HUB[4], server.port, size, host=PAYER, timeout=60), size)
        wait_for(lambda: server.bytes == size, 30, "the upload to arrive")


def _upload(address, port, size):
    """Sends without waiting for an answer, which the budget would refuse."""
    import socket
    with socket.socket(far.family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(20)
        client.connect((address, port))
        left = size
        while left:
            left -= client.send(far.CHUNK[:left])
    return size


class Sever(LabCase):
    servers = ("sftp",)
    LIMIT = 4 * MIB
    policy = policy([grant("claims", "sftp", PAYER, ["4MiB/1h"], on_breach="sever", serves="tcp/22"),
                     grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
                     grant("ten", "batch", PAYER, ["1MiB/10s"], on_breach="sever", serves="tcp/7000-7999"),
                     grant("v6", "portal", PAYER, ["1MiB/1h"], on_breach="sever", serves="tcp/7000-7999"),
                     grant("datagrams", "batch", NORD, ["1MiB/1h"], on_breach="sever",
                           serves=["udp/7000-7999", "tcp/7000-7999"]),
                     grant("free", "any", SUED, serves="tcp/7000-7999")], STRANGERS)

    def severed(self, name):
        return [cut for cut in self.guard.cuts() if name in cut["target"]]

    def test_stolen_login_is_severed_at_the_budget(self):
        """S22: the client sees the end at once, and no new connection gets data."""
        theft = far.sftp_get(self.lab, PAYER, "night")
        code = theft.wait(15)
        self.assertNotIn(code, (0, -9), "the client was not told")
        self.assertLessEqual(theft.bytes, self.LIMIT)
        self.assertGreater(theft.bytes, 0)
        again = far.sftp_get(self.lab, PAYER, "night")
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")
        again.wait(5)
        self.assertEqual(again.bytes, 0)

    def test_severed_stays_until_reopened(self):
        """Under another policy too, in which everything has another number."""
        port = self.pour()
        self.assertLessEqual(self.take(PAYER, port), MIB)
        wait_for(lambda: self.severed("ten"), 5, "the guard's own cut to be listed")
        pause(11)  # its window is over
        self.assertEqual(self.take(PAYER, port), 0)
        changed = copy.deepcopy(self.policy)
        changed["partners"] = dict([("aaa", {"addresses": ["192.0.2.99/32"]})], **changed["partners"])
        changed["grants"].insert(0, grant("aaa", "batch", "aaa", serves="tcp/9"))
        self.guard.apply(changed)
        self.assertTrue(self.severed("ten"))
        self.assertEqual(self.take(PAYER, port), 0)
        self.assert_passes(SUED, port)
        self.guard.reopen("grant:ten")
        self.assertGreater(self.take(PAYER, port), 0)

    def test_severed_over_ipv6(self):
        port = self.pour("portal", 6)
        self.assertLessEqual(self.take(PAYER, port, family=6), MIB)
        self.assertEqual(self.take(PAYER, port, family=6), 0)
        self.assert_passes(SUED, port, 6)

    def test_datagrams_do_not_trip_sever(self):
        """Only an established TCP connection can: a spoofed datagram must not."""
        port = next(self.ports)
        self.lab.start(far.udp_answer, HUB[4], port, 3000, 1000, host="hub", service="batch")
        far.wait_for_udp(self.lab, "hub", port)
        got = self.lab.call(far.udp_take, HUB[4], port, far.HOSTS[NORD][0][0], host=NORD)
        self.assertLessEqual(got, MIB)
        self.assertGreater(got, MIB // 2)
        self.assertEqual(self.severed("datagrams"), [])


class Alert(LabCase):
    policy = policy([grant("told", "batch", NORD, ["1MiB/1h"], on_breach="alert", serves="tcp/7000-7999"),
                     grant("both", "portal", NORD, ["1MiB/1h"], on_breach="alert", serves="tcp/7000-7999"),
                     grant("held", "batch", PAYER, ["1MiB/1h"], serves="tcp/7000-7999")], STRANGERS,
                    services={"portal": {"budget": ["4MiB/1h"]}})

    def test_alert_never_refuses(self):
        port = self.pour()
        self.assertLessEqual(self.take(PAYER, port), MIB)
        count = far.Count(self.lab, NORD)
        self.assert_passes(NORD, port, size=16 * MIB)
        self.assertEqual(self.guard.partner(NORD)["refused_packets"], 0)
        self.assertGreaterEqual(count.settle().tcp_payload, 16 * MIB)

    def test_other_budgets_hold_beside_an_alert(self):
        port = self.pour("portal")
        got = self.take(NORD, port)
        self.assertGreater(got, MIB)
        self.assertLessEqual(got, 4 * MIB)

    def test_breach_is_told_as_an_event(self):
        port = self.pour()
        self.take(NORD, port, limit=4 * MIB)
        told = wait_for(lambda: [event for event in self.guard.events() if "told" in str(event)], 5, "an event")
        self.assertTrue(all(event["class_uid"] == 4001 for event in told))


class PartnerBudget(LabCase):
    policy = policy([grant("a", "batch", "any", serves="tcp/7000-7999"),
                     grant("b", "portal", "any", serves="tcp/7000-7999")], STRANGERS,
                    partners={NORD: {"budget": ["2MiB/1h"]}})

    def test_partner_budget_holds_over_all_services(self):
        ports = [self.pour("batch"), self.pour("portal", 6)]
        tasks = [self.lab.start(far.tcp_take, HUB[family], port, None, 1.5, host=NORD)
                 for family, port in zip((4, 6), ports)]
        got = sum(task.result()[0] for task in tasks)
        self.assertGreater(got, MIB // 2)
        self.assert_bounded(got, 2 * MIB)
        self.assert_passes(SUED, ports[0])


class Hours(LabCase):
    policy = policy([grant("closed", "batch", NORD, serves="tcp/7000-7999", zone="UTC",
                           hours="%s %s-%s" % (DAYS, clock(120), clock(180))),
                     grant("open", "batch", SUED, serves="tcp/7000-7999", zone="UTC",
                           hours="%s %s-%s" % (DAYS, clock(-60), clock(60)))], STRANGERS)

    def test_out_of_hours_a_partner_is_a_stranger(self):
        port = self.pour()
        self.assert_bounded(self.take(NORD, port))
        self.assert_passes(SUED, port)


class Closing(LabCase):
    """The kernel closes the hours by itself, in the middle of a flow, with the daemon dead."""

    def test_hours_end_in_mid_flow_without_the_daemon(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        minutes = (1 if now.second < 40 else 2) + (2 if SLOWNESS > 1 else 0)
        self.guard.start(policy([
            grant("closing", "batch", NORD, serves="tcp/7000-7999", zone="UTC",
                  hours="%s %s-%s" % (DAYS, clock(-60), clock(minutes))),
            grant("open", "batch", SUED, serves="tcp/7000-7999")], STRANGERS))
        port = self.pour(send=_slowly)
        self.guard.kill()
        end = (now + datetime.timedelta(minutes=minutes)).replace(second=0, microsecond=0)
        count = far.Count(self.lab, NORD)
        task = self.lab.start(far.tcp_take, HUB[4], port, None, 4, host=NORD)
        left = (end - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        pause(left - 2)
        before = count.tcp_payload
        self.assertGreater(before, 8 * KIB, "open hours passed nothing")
        pause(2.5)
        closed = count.tcp_payload
        self.assert_bounded(task.result(30)[0] - closed)
        self.assert_passes(SUED, self.pour(), size=MIB)


def _slowly(connection):
    import time
    connection.sendall(bytes(8192))
    time.sleep(0.02)
