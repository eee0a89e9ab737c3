/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * order.c - `weir order`: orders as signed texts, and what was ordered on this host.
 */
#include "user/cmd/order.h"

#include "user/cmd/verbs.h"

static const struct verb verbs[] = {
	{"verify", order_verify, {"--signers", "--revoked", "--policy", "--at", "--version"}},
	{"write",
	 order_write,
	 {"--reason", "--for", "--until", "--hosts", "--cut", "--grant", "--by", "--prefix",
	  "--version", "--enclose", "--out"}},
	{"apply", order_apply, {"--dry-run", "--json"}},
	{"end", order_end, {"--reason"}},
	{"list", order_list, {"--json"}},
	{"show", order_show, {"--json"}},
};

static int run(const struct arguments *arguments)
{
	return verbs_run(arguments, verbs, sizeof(verbs) / sizeof(verbs[0]));
}

const struct command command_order = {
	.name = "order",
	.arguments = "verify FILE | write KIND [TARGET]... | apply FILE | end ID | list | show ID",
	.help = "Write, check and carry out signed orders; list what was ordered here",
	.least = 1,
	.most = CMD_MANY,
	.options =
		{
			{"--signers", "FILE",
			 "verify: who may sign (left out: /etc/weir/allowed_signers)", false},
			{"--revoked", "FILE",
			 "verify: which keys do not count (left out: "
			 "/etc/weir/revoked_signers, if there)",
			 false},
			{"--policy", "FILE", "verify: the policy that it would meet", false},
			{"--at", "TIME", "verify: 2027-03-01T20:00 in the host's zone; else now",
			 false},
			{"--version", "NUMBER",
			 "verify: of what is in force, 0 when nothing is; write: of what it brings",
			 false},
			{"--reason", "TEXT", "write, end: why (required)", false},
			{"--for", "SPAN", "write: how long, from now on", false},
			{"--until", "TIME", "write: or until when, as --at", false},
			{"--hosts", "GROUP",
			 "write: only for hosts of this group (may be repeated)", true},
			{"--cut", "ID", "write reopen: the signed cut that it lets back from",
			 false},
			{"--grant", "NAME", "write extend: by which grant", false},
			{"--by", "SIZE", "write extend: how much more", false},
			{"--prefix", "PREFIX",
			 "write partner-add: which addresses, of partner:NAME", false},
			{"--enclose", "FILE",
			 "write: the policy of a base, the allowed_signers of signers", false},
			{"--out", "FILE", "write: into a new file (left out: standard output)",
			 false},
			{"--dry-run", NULL,
			 "apply: tell whom a cut would stop here and what it would end, and do "
			 "nothing",
			 false},
			{"--json", NULL, "apply, list, show: as JSON", false},
			{NULL, NULL, NULL, false},
		},
	.run = run,
};
