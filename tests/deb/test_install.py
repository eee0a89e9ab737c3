# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
test_install.py - the Debian package in a bare Debian: what it brings, how it is upgraded and removed, and what
becomes of a guard that judges. `make deb` builds it, and fails on what lintian calls an error or a warning.
"""
import os
import pty
import select
import shutil
import tempfile
import time
import unittest

from chroot import TOP, Chroot, missing_tools, run, wait_for

UNITS = ("weir.service", "weir-meters-last.service")
OF_FLEET = "weir-agent.service"  # in the package weir-fleet
WANTS = "etc/systemd/system/sysinit.target.wants"
# What any package leaves that makes a group, or has a unit or a question.
LEFT_BY_TOOLS = ("/etc/.pwd.lock", "/etc/group-", "/etc/gshadow-", "/var/log/", "/var/cache/debconf/",
                 "/var/lib/dpkg/", "/var/lib/systemd/deb-systemd-helper-")


def setUpModule():
    missing = missing_tools()
    if missing:
        raise unittest.SkipTest("not installed: %s (make deps)" % ", ".join(missing))


def with_version(package, version, directory):
    """The same package under another version."""
    content, result = os.path.join(directory, "content"), os.path.join(directory, "weir_%s.deb" % version)
    run("dpkg-deb", "-R", package, content)
    run("sed", "-i", "s/^Version: .*/Version: %s/" % version, os.path.join(content, "DEBIAN", "control"))
    run("dpkg-deb", "-b", content, result)
    shutil.rmtree(content)
    return result


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="weir-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        run("make", "-C", TOP, "deb", "DEB=" + os.path.join(cls.directory, "deb"),
            env=dict(os.environ, DEB_BUILD_OPTIONS="nocheck"))
        cls.version = run("dpkg-parsechangelog", "-S", "Version", "-l",
                          os.path.join(TOP, "packaging", "debian", "changelog")).stdout.strip()
        arch = run("dpkg", "--print-architecture").stdout.strip()
        cls.package = os.path.join(cls.directory, "deb", "weir_%s_%s.deb" % (cls.version, arch))
        cls.fleet = cls.package.replace("weir_", "weir-fleet_")
        cls.older = with_version(cls.package, cls.version + "~older", cls.directory)
        cls.box = Chroot(run("dpkg-deb", "-f", cls.package, "Depends").stdout.strip())
        cls.addClassCleanup(cls.box.down)

    def tearDown(self):
        self.box.take_off()
        if self.box.state():
            self.box.run("dpkg", "--purge", "weir")
        shutil.rmtree(self.box.path("var/lib/weir"), ignore_errors=True)
        shutil.rmtree(self.box.path("etc/weir"), ignore_errors=True)

    def remove(self, *words, **options):
        return self.box.run("dpkg", *(words or ("--remove",)), "weir", **options)

    # ---- what it brings -------------------------------------------------------------------------

    def test_brings_program_units_group_and_configuration(self):
        box = self.box
        box.install(self.package)
        self.assertEqual(box.run("weir", "--version").stdout, "weir %s\n" % self.version)
        for unit in UNITS:
            self.assertTrue(os.path.islink(box.path(WANTS, unit)), unit + " is not enabled")
        self.assertRegex(box.read("etc/group"), r"(?m)^weir:")
        self.assertRegex(box.read("etc/group"), r"(?m)^weir-agent:")
        for path, mode in (("var/lib/weir", 0o750), ("run/weir", 0o755)):
            self.assertEqual(os.stat(box.path(path)).st_mode & 0o7777, mode, path)
        conffiles = box.run("dpkg-query", "-W", "-f", "${Conffiles}", "weir").stdout.split()
        self.assertEqual(conffiles[::2], ["/etc/weir/host.yaml"])
        for path in ("share/man/man8/weir.8.gz", "share/man/man8/weir-cut.8.gz",
                     "share/doc/weir/examples/needs-weir.conf", "share/bash-completion/completions/weir",
                     "share/zsh/vendor-completions/_weir", "share/fish/vendor_completions.d/weir.fish"):
            owner = box.run("dpkg-query", "-S", "/usr/" + path, check=False)
            self.assertEqual(owner.stdout, "weir: /usr/%s\n" % path)

    def test_every_unit_is_there_and_only_two_start_by_themselves(self):
        self.box.install(self.package)
        directory = os.path.join(TOP, "packaging", "systemd")
        units = [name for name in os.listdir(directory) if name.endswith(".service") and name != OF_FLEET]
        for name in units:
            self.assertTrue(os.path.exists(self.box.path("usr/lib/systemd/system", name)), name)
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                self.assertEqual("[Install]" in file.read(), name in UNITS, name)

    def test_what_speaks_mqtt_is_in_a_package_of_its_own(self):
        listed = run("dpkg-deb", "-c", self.fleet).stdout
        for path in ("./usr/libexec/weir/weir-fleet", "/systemd/system/" + OF_FLEET,
                     "./usr/lib/sysusers.d/weir-agent.conf", "./usr/share/doc/weir-fleet/examples/small-ca"):
            self.assertIn(path, listed)
        depends = {package: run("dpkg-deb", "-f", package, "Depends").stdout for package in (self.package, self.fleet)}
        self.assertIn("libmosquitto", depends[self.fleet])
        self.assertIn("weir (= %s)" % self.version, depends[self.fleet])
        self.assertNotIn("libmosquitto", depends[self.package])
        self.assertNotIn("libbpf", depends[self.fleet])
        self.assertRegex(run("dpkg-deb", "-I", self.fleet, "postinst").stdout, r"weir-agent\.service")

    def test_checks_the_example_policies(self):
        self.box.install(self.package)
        examples = "usr/share/doc/weir/examples"
        policies = [name for name in os.listdir(self.box.path(examples))
                    if name.endswith(".yaml") and name != "host.yaml"]
        self.assertGreater(len(policies), 3)
        for name in policies:
            self.box.run("weir", "check", os.path.join("/", examples, name))
        self.box.run("weir", "check", "--host", "/etc/weir/host.yaml")
        self.box.write("/etc/weir/policy.yaml", "weir: 1\nmode: perhaps\n")
        self.assertEqual(self.box.run("weir", "check", "/etc/weir/policy.yaml", check=False).returncode, 1)

    def test_completes_names_of_the_running_guard(self):
        self.box.install(self.package)
        self.box.guard()
        said = self.box.run("bash", "-c", """
            . /usr/share/bash-completion/bash_completion && _completion_loader weir
            compopt() { :; }
            COMP_WORDS=(weir cut "") COMP_CWORD=2 COMP_LINE="weir cut " COMP_POINT=9 COMP_TYPE=9
            _weir && printf '%s\\n' "${COMPREPLY[@]}"
        """).stdout.split()
        self.assertIn("partner:klinik-nord", said)
        self.assertIn("service:batch", said)

    # ---- upgrade --------------------------------------------------------------------------------

    def test_upgrade_keeps_what_the_admin_has_changed(self):
        box = self.box
        box.install(self.older)
        self.assertIn("~older", box.state())
        box.write("/etc/weir/host.yaml", "weir: 1\ngroups: [transfer]\n")
        box.run("systemctl", "disable", UNITS[0])
        box.install(self.package)
        self.assertEqual(box.state(), "install ok installed " + self.version)
        self.assertEqual(box.read("etc/weir/host.yaml"), "weir: 1\ngroups: [transfer]\n")
        self.assertFalse(os.path.islink(box.path(WANTS, UNITS[0])), "enabled against the admin's will")
        self.assertTrue(os.path.islink(box.path(WANTS, UNITS[1])))

    def test_upgrade_leaves_the_guard_on(self):
        box = self.box
        box.install(self.older)
        self.assertTrue(box.leaves())
        box.guard()
        self.assertFalse(box.leaves())
        pins = box.pins()
        box.install(self.package)
        self.assertEqual(box.pins(), pins)
        self.assertFalse(box.leaves())
        box.end_daemon()
        box.guard()
        self.assertFalse(box.leaves())

    # ---- removal --------------------------------------------------------------------------------

    def test_nothing_is_asked_without_a_guard_and_a_purge_leaves_nothing(self):
        before = self.box.files()
        self.box.install(self.package)
        self.box.write("/var/lib/weir/host/events.jsonl", "{}\n")
        self.remove()
        self.assertEqual(self.box.state().split()[:3], ["deinstall", "ok", "config-files"])
        self.assertTrue(os.path.exists(self.box.path("var/lib/weir/host/events.jsonl")))
        said = self.remove("--purge").stdout
        self.assertIn("removing /var/lib/weir: policies, cuts, meters and events", said)
        left = self.box.files() - before
        self.assertEqual([path for path in sorted(left) if not path.startswith(LEFT_BY_TOOLS)], [])
        self.assertEqual(before - self.box.files(), set())

    def test_removal_is_refused_while_a_guard_judges_and_nobody_can_be_asked(self):
        box = self.box
        box.install(self.package)
        box.guard()
        pins = box.pins()
        for words in (("--remove",), ("--purge",)):
            done = self.remove(*words, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("NOT REMOVED", done.stdout)
            self.assertIn("weir unload", done.stdout)
            self.assertEqual(box.state().split()[1:3], ["ok", "installed"])
            self.assertEqual(box.pins(), pins)
            self.assertFalse(box.leaves())
        box.run("weir", "status")

    def test_removal_takes_the_guard_off_if_told_so(self):
        box = self.box
        box.install(self.package)
        box.guard()
        box.end_daemon()
        box.answer("unload")
        self.assertIn("the guard is off", self.remove().stdout)
        self.assertEqual(box.pins(), {})
        self.assertTrue(box.leaves())
        # The answer was for that removal.
        box.install(self.package)
        box.guard()
        self.assertNotEqual(self.remove(check=False).returncode, 0)
        self.assertFalse(box.leaves())

    def test_removal_leaves_the_guard_on_if_told_so(self):
        box = self.box
        box.install(self.package)
        box.guard()
        box.end_daemon()
        pins = box.pins()
        box.answer("keep")
        said = self.remove().stdout
        self.assertIn("THE GUARD OF INSTANCE host GOES ON", said)
        self.assertFalse(os.path.exists(box.path("usr/sbin/weir")))
        self.assertEqual(box.pins(), pins)
        self.assertFalse(box.leaves())
        # Not even a purge takes from the guard what the next weir needs to go on with it.
        self.assertIn("/var/lib/weir stays", self.remove("--purge").stdout)
        self.assertFalse(box.leaves())
        box.install(self.package)
        box.guard()
        self.assertFalse(box.leaves())
        # The way that the message told, for those who want no package.
        box.end_daemon()
        self.assertIn("rm -r /sys/fs/bpf/weir/host", said)
        box.run("rm", "-r", "/sys/fs/bpf/weir/host")
        self.assertTrue(box.leaves())

    def test_removal_is_refused_while_a_ruleset_stands_in(self):
        box = self.box
        box.install(self.package)
        box.guard()
        box.end_daemon()
        box.run("rm", "-r", "/sys/fs/bpf/weir/host")
        self.assertTrue(box.leaves())
        box.run("weir", "without-guard", "on")
        self.assertFalse(box.leaves())
        self.assertIn("NOT REMOVED", self.remove(check=False).stdout)
        self.assertFalse(box.leaves())
        box.answer("keep")
        self.assertIn("nft delete table inet weir-host", self.remove().stdout)
        self.assertIn("/var/lib/weir stays", self.remove("--purge").stdout)
        self.assertFalse(box.leaves())
        box.install(self.package)
        box.answer("unload")
        self.remove()
        self.assertTrue(box.leaves())

    def test_removal_asks(self):
        box = self.box
        box.install(self.package)
        box.guard()
        box.end_daemon()
        self.assertIn("What shall become of the guard?", self.ask("1\n", 1))
        self.assertFalse(box.leaves())
        self.assertIn("3. Let the guard judge until the next boot", self.ask("2\n", 0))
        self.assertTrue(box.leaves())

    def ask(self, answer, code):
        """Removes it at a terminal and gives the answer there; returns what the terminal showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.update(DEBIAN_FRONTEND="teletype", LC_ALL="C.UTF-8", TERM="dumb",
                              PATH="/usr/sbin:/usr/bin:/sbin:/bin")
            os.execvp("chroot", ["chroot", self.box.root, "dpkg", "--remove", "weir"])
        shown = b""
        try:
            has_answered, end = False, time.monotonic() + 60
            while time.monotonic() < end:
                if not select.select([terminal], [], [], 1)[0]:
                    continue
                try:
                    shown += os.read(terminal, 4096)
                except OSError:
                    break  # the other side is closed
                if not has_answered and b"guard?" in shown.split(b"installed")[-1]:
                    os.write(terminal, answer.encode())
                    has_answered = True
        finally:
            os.close(terminal)
            status = os.waitpid(pid, 0)[1]
        self.assertEqual(os.waitstatus_to_exitcode(status), code, shown.decode())
        return shown.decode().replace("\r", "")


if __name__ == "__main__":
    unittest.main()
