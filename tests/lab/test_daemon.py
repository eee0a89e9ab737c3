# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What is in the kernel outlives the daemon; and a daemon that cannot start attaches nothing."""
import ctypes
import glob
import os
import signal
import socket
import struct
import subprocess

from case import B, HOSTS, HUB, KIB, MIB, NORD, PAYER, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy

POLICY = policy([grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
                 grant("pour", "batch", ["klinik-nord", "klinik-sued"], serves="tcp/7000-7999"),
                 grant("metered", "batch", PAYER, ["4MiB/1h"], serves="tcp/7000-7999"),
                 grant("latched", "portal", PAYER, ["1MiB/1h"], on_breach="sever", serves="tcp/7000-7999"),
                 grant("side", "portal", SUED, serves="tcp/7000-7999")], STRANGERS)


class Killed(LabCase):
    """kill -9 of the daemon; each test leaves a new one behind."""
    servers = ("sftp",)
    policy = POLICY

    def setUp(self):
        if self.guard.process.poll() is not None:
            self.guard.start()

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")

    def test_budget_holds_without_the_daemon(self):
        port = self.pour()
        self.guard.kill()
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)

    def test_meter_goes_on_through_a_new_daemon(self):
        port = self.pour()
        first = self.take(PAYER, port, limit=MIB)
        self.guard.kill()
        second = self.take(PAYER, port, limit=MIB, seconds=1)
        self.guard.start()
        third = self.take(PAYER, port)
        self.assertGreater(first, 0)
        self.assertLessEqual(first + second + third, 4 * MIB)
        self.assert_passes(NORD, port)
        self.assertLessEqual(first + second + third + self.take(PAYER, port), 4 * MIB)

    def test_latch_holds_through_a_new_daemon(self):
        port = self.pour("portal")
        self.assertLessEqual(self.take(PAYER, port), MIB)
        self.guard.kill()
        self.assertEqual(self.take(PAYER, port), 0)
        self.guard.start()
        self.assertEqual(self.take(PAYER, port), 0)
        self.assertTrue([cut for cut in self.guard.cuts() if "latched" in cut["target"]])
        self.assert_passes(SUED, port)

    def test_cut_holds_through_a_new_daemon(self):
        port = self.pour()
        self.guard.cut("partner:" + NORD)
        self.guard.kill()
        self.assertEqual(self.take(NORD, port), 0)
        self.guard.start()
        self.assertEqual(self.take(NORD, port), 0)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["partner:" + NORD])
        self.assert_passes(SUED, port)
        self.guard.reopen("partner:" + NORD)
        self.assert_passes(NORD, port)

    def test_cut_and_reopen_work_without_the_daemon(self):
        port = self.pour()
        self.guard.kill()
        self.guard.cut("partner:" + NORD)
        self.assertEqual(self.take(NORD, port), 0)
        self.assert_passes(SUED, port)
        self.assertEqual(self.guard.weir("status").returncode, 3)
        self.assertEqual([cut["target"] for cut in self.guard.cuts()], ["partner:" + NORD])
        self.guard.reopen("partner:" + NORD)
        self.assert_passes(NORD, port)

    def test_restarted_service_is_recognised_without_the_daemon(self):
        old = os.stat(self.lab.cgroup_of("sftp")).st_ino
        self.guard.kill()
        self.lab.restart_service("sftp")
        self.assertNotEqual(os.stat(self.lab.cgroup_of("sftp")).st_ino, old)
        source = self.stranger()
        count = far.Count(self.lab, "stranger", source)
        theft = far.sftp_get(self.lab, "stranger", "night", source=source)
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")
        count.settle(0.7)
        theft.process.kill()
        self.assert_bounded(count.payload)
        error = self.lab.call(far.connect_error, self.lab.hosts["stranger"].v4, 443, host="hub", service="sftp")
        self.assertEqual(error, "EPERM")

    def test_flow_survives_the_daemon_and_its_successor(self):
        download = far.sftp_get(self.lab, NORD, "night", kbits=60000)
        wait_for(lambda: download.bytes > MIB, 10, "the download to run")
        self.guard.kill()
        self.guard.start()
        self.assert_all(download, "night")
        self.assertEqual(self.guard.partner(NORD)["refused_packets"], 0)
        self.assert_bounded(self.take("stranger", self.pour(), self.stranger()))

    def test_not_one_packet_unjudged_while_a_daemon_takes_over(self):
        """A stranger pulls all the time while daemons die and come."""
        port, source = self.pour(), self.stranger()
        count = far.Count(self.lab, "stranger", source)
        self.assert_passes(SUED, port)
        for _ in range(3):
            task = self.lab.start(far.tcp_take_many, HUB[4], port, source, 8, 1.0, host="stranger")
            self.guard.kill()
            self.guard.start()
            task.result()
        self.assertGreater(count.settle().tcp_payload, 0)
        self.assert_bounded(count.tcp_payload)

    def test_orderly_end_leaves_the_guard_on(self):
        port = self.pour()
        self.guard.stop()
        self.assertTrue(self.guard.is_pinned())
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)


class Unload(LabCase):
    policy = POLICY

    def test_unload_takes_the_guard_off(self):
        port, source = self.pour(), self.stranger()
        self.assert_bounded(self.take("stranger", port, source))
        self.guard.stop()
        self.guard.must("unload", "--yes")
        self.assertFalse(self.guard.is_pinned())
        self.assertGreater(self.take("stranger", port, source, limit=MIB), B)


class Refuses(LabCase):
    """`weir run` that cannot guard: one clear line, exit 1, nothing attached, nothing pinned."""

    def tearDown(self):
        for path in self.mounted:
            subprocess.run(["umount", "-l", path], check=False)
        if self.guard.is_pinned():
            self.guard.weir("unload", "--yes")

    def setUp(self):
        self.mounted = []
        self.guard.policy_file = self.guard.write_policy(POLICY)

    def assert_refuses(self, *words, names, **options):
        done = self.guard.run_to_end("--policy", self.guard.policy_file, *words, **options)
        self.assertEqual(done.returncode, 1, done.stderr)
        lines = done.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, "not one clear line:\n" + done.stderr)
        self.assertRegex(lines[0], names)
        self.assert_nothing_attached()

    def assert_nothing_attached(self):
        self.assertFalse(self.guard.is_pinned(), "something stayed pinned")
        port = self.pour()
        self.assertGreater(self.take("stranger", port, limit=MIB), B, "something judges")
        sink, address, port = self.sink("stranger")
        self.assertEqual(self.lab.call(far.tcp_give, address, port, KIB, host="hub", service="portal"), KIB)
        shown = self.lab.run(["ip", "-d", "link", "show", "uplink0"]).stdout
        if not self.foreign:
            self.assertNotIn("xdp", shown)

    foreign = False

    def test_missing_interface(self):
        self.assert_refuses(uplink="uplink9", names="uplink9")

    def test_missing_cgroup(self):
        self.assert_refuses(cgroup=self.lab.cgroup + "/no-such", names="no-such")

    def test_missing_policy(self):
        self.guard.policy_file = self.lab.path("no-such.yaml")
        self.assert_refuses(names="no-such.yaml")

    def test_bad_policy(self):
        """Each fault has a line of its own here."""
        path = self.guard.write_policy(dict(POLICY, surprise=1))
        done = self.guard.run_to_end("--policy", path)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"policy.yaml:\d+:\d+: .*surprise")
        self.assert_nothing_attached()

    def test_foreign_xdp_program(self):
        task = self.lab.start(foreign_xdp, "uplink0", host="hub")
        wait_for(lambda: "xdp" in self.lab.run(["ip", "-d", "link", "show", "uplink0"]).stdout, 5, "the foreign program")
        self.foreign = True
        try:
            self.assert_refuses(names="uplink0")
            self.assertTrue(task.is_running())
            self.assertIn("xdp", self.lab.run(["ip", "-d", "link", "show", "uplink0"]).stdout)
        finally:
            task.kill()
            self.foreign = False

    def test_full_disk(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", self.guard.state_dir], check=True)
        self.mounted.append(self.guard.state_dir)
        try:
            with open(os.path.join(self.guard.state_dir, "filler"), "wb") as file:
                while True:
                    file.write(bytes(4096))
                    file.flush()
        except OSError:
            pass
        self.assert_refuses(names="[Nn]o space|full")

    def test_second_daemon_is_refused_and_the_first_goes_on(self):
        self.guard.start()
        done = self.guard.run_to_end("--policy", self.guard.policy_file)
        self.assertEqual((done.returncode, len(done.stderr.strip().splitlines())), (1, 1), done.stderr)
        self.assertEqual(self.guard.weir("status").returncode, 0)
        port = self.pour()
        self.assert_bounded(self.take("stranger", port, self.stranger()))
        self.assert_passes(NORD, port)
        self.guard.stop()

    def test_stale_socket_is_no_hindrance(self):
        stale = os.path.join(self.guard.run_dir, self.lab.instance + ".sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(stale)
        self.guard.start()
        self.assert_bounded(self.take("stranger", self.pour(), self.stranger()))
        self.guard.stop()
        self.assertEqual(self.guard.weir("status").returncode, 3)


class DiskFullLater(LabCase):
    policy = POLICY

    def test_cut_takes_effect_although_the_disk_is_full(self):
        """Kernel first, then disk: the order holds, and the command says what is wrong."""
        port = self.pour()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", self.guard.state_dir], check=True)
        try:
            try:
                with open(os.path.join(self.guard.state_dir, "filler"), "wb") as file:
                    while True:
                        file.write(bytes(4096))
                        file.flush()
            except OSError:
                pass
            done = self.guard.weir("cut", "partner:" + NORD, "--reason", "a test")
            self.assertTrue(done.stderr.strip(), "the full disk was not told")
            self.assertEqual(self.take(NORD, port), 0)
            self.assert_passes(SUED, port)
        finally:
            subprocess.run(["umount", "-l", self.guard.state_dir], check=False)


class NoStateDirectory(LabCase):
    policy = POLICY

    def test_cut_without_a_daemon_takes_effect(self):
        """A disk that fails may be why there is none."""
        port = self.pour()
        state = os.path.join(self.guard.state_dir, self.lab.instance)
        self.guard.kill()
        os.rename(state, state + ".away")
        with open(state, "wb"):
            pass
        done = self.guard.weir("cut", "addr:" + HOSTS[NORD][0][0], "--reason", "a test")
        self.assertIn("not saved", done.stderr)
        self.assertEqual(self.take(NORD, port), 0)
        self.assert_passes(SUED, port)
        self.assertEqual(self.guard.weir("status").returncode, 3)
        os.unlink(state)
        os.rename(state + ".away", state)
        self.guard.start()
        self.assertEqual(len(self.guard.cuts()), 1)


def foreign_xdp(interface):
    """Attaches `return XDP_PASS` through a link and keeps it."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xb7, 0, 0, 2, 0x95, 0, 0, 0))
    text = ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(struct.pack("<IIQQIIQII", 6, 2, ctypes.addressof(code),
                                                         ctypes.addressof(text), 0, 0, 0, 0, 0), 144)
    program = libc.syscall(321, 5, attributes, 128)
    if program < 0:
        raise OSError(ctypes.get_errno(), "BPF_PROG_LOAD")
    attributes = ctypes.create_string_buffer(struct.pack("<IIII", program, socket.if_nametoindex(interface),
                                                         37, 0), 144)  # BPF_XDP
    if libc.syscall(321, 28, attributes, 128) < 0:
        raise OSError(ctypes.get_errno(), "BPF_LINK_CREATE")
    signal.pause()


class Leftovers(LabCase):
    """The lab itself: what a killed one leaves is gone after the next start."""

    def test_killed_lab_is_removed_by_the_next(self):
        import lab
        task = self.lab.start(_raise_and_die, host="hub")
        pid = task.pid
        with self.assertRaises(lab.LabError) as died:
            task.result(20)
        self.assertTrue(self.left_by(pid), "the killed lab left nothing to remove: %s" % died.exception)
        lab.remove_leftovers()
        self.assertEqual(self.left_by(pid), [])
        self.assertTrue(os.path.isdir(self.lab.cgroup))

    @staticmethod
    def left_by(pid):
        import lab
        return [path for pattern in ("/run/netns/weir-%d-*", "/tmp/weir-lab-%d-*",
                                     lab.cgroup_mount() + "/weir-lab-%d-*")
                for path in glob.glob(pattern % pid)]


def _raise_and_die():
    import lab
    lab.Lab._alive.clear()
    lab.Lab().up()
    os.kill(os.getpid(), signal.SIGKILL)
