# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""FTP: passive and active data connections, and the bounce (S23). vsftpd serves IPv4 on an IPv6 socket."""
import socket

from case import HUB, NORD, STRANGERS, SUED, LabCase, far
from guard import grant, policy


def bounce(hub, target, port, name):
    """Logs in, names somebody else as the data peer, and asks for a file; the server's last words."""
    with socket.create_connection((hub, 21), 5) as control:
        control.settimeout(10)
        lines = control.makefile("rw", newline="\r\n")
        lines.readline()
        said = ""
        for command in ("USER anonymous", "EPRT |%d|%s|%d|" % (2 if ":" in target else 1, target, port),
                        "RETR " + name):
            lines.write(command + "\r\n")
            lines.flush()
            said = lines.readline()
            if said.startswith("150"):
                said = lines.readline()
        return said


class Ftp(LabCase):
    servers = ("ftp",)
    policy = policy([grant("legacy", "ftp", SUED, serves=["tcp/21", "tcp/40000-40100"],
                           calls_back="tcp/1024-65535"),
                     grant("no-active", "ftp", NORD, serves=["tcp/21", "tcp/40000-40100"])], STRANGERS)

    def assert_fetched(self, host, family, passive):
        code, got = far.lftp_get(self.lab, host, "night", HUB[family], passive)
        self.assertEqual((code, got), (0, far.servers_data()))

    def test_passive_mode_passes(self):
        for family in (4, 6):
            with self.subTest(family=family):
                self.assert_fetched(SUED, family, True)

    def test_active_mode_passes_to_the_control_peer(self):
        for family in (4, 6):
            with self.subTest(family=family):
                self.assert_fetched(SUED, family, False)

    def test_active_mode_needs_its_grant(self):
        _, got = far.lftp_get(self.lab, NORD, "night", HUB[4], False)
        self.assertEqual(got, 0)
        self.assert_fetched(NORD, 4, True)

    def test_bounce_to_a_stranger_is_refused(self):
        for family in (4, 6):
            with self.subTest(family=family):
                sink, address, port = self.sink("stranger", family)
                self.lab.call(bounce, HUB[family], address, port, "night", host=SUED)
                self.assertEqual((sink.bytes, sink.connections), (0, 0))
                self.assert_fetched(SUED, family, False)

    def test_bounce_to_another_partner_is_refused(self):
        """It holds no connection to the server at that time."""
        sink, address, port = self.sink(NORD)
        self.lab.call(bounce, HUB[4], address, port, "night", host=SUED)
        self.assertEqual((sink.bytes, sink.connections), (0, 0))
        self.assert_fetched(SUED, 4, False)

    def test_no_call_back_after_the_control_connection_ended(self):
        self.assert_fetched(SUED, 4, False)
        sink, address, port = self.sink(SUED)
        error = self.lab.call(far.connect_error, address, port, host="hub", service="ftp")
        self.assertEqual((error, sink.connections), ("EPERM", 0))

    def test_stranger_gets_no_active_data(self):
        source = self.stranger()
        count = far.Count(self.lab, "stranger", source)
        self.lab.run(["curl", "-s", "-m", "4", "--interface", source, "-P", "-", "-o", "/dev/null",
                      "ftp://%s/night" % HUB[4]], "stranger")
        self.assert_bounded(count.settle().payload, 4096)
        self.assert_fetched(SUED, 4, False)
