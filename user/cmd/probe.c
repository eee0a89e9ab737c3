/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * probe.c - `weir probe`: what this kernel can do, found by trying.
 */
#include <string.h>

#include "user/base/cleanup.h"
#include "user/cmd/cmd.h"
#include "user/kernel/guard.h"

static const char *answer_of(const struct probe *probe)
{
	if (probe->is_there)
		return "yes";
	return probe->is_required ? "MISSING" : "no";
}

static int run(const struct arguments *arguments)
{
	_cleanup_free_ struct probe *probe = NULL;
	size_t count, missing = 0;
	int r = guard_probe(&probe, &count);

	if (r < 0)
		return command_refuse(arguments, "cannot try: %s", strerror(-r));
	for (size_t i = 0; i < count; i++) {
		printf("%-8s %-34s %s%s%s%s\n", answer_of(&probe[i]), probe[i].what, probe[i].why,
		       probe[i].detail[0] ? " (" : "", probe[i].detail,
		       probe[i].detail[0] ? ")" : "");
		missing += probe[i].is_required && !probe[i].is_there;
	}
	if (missing)
		return command_refuse(arguments, "%zu of what weir needs %s missing", missing,
				      missing == 1 ? "is" : "are");
	return CMD_DONE;
}

const struct command command_probe = {
	.name = "probe",
	.arguments = "",
	.help = "Tell what this kernel can do, found by trying",
	.options = {{NULL, NULL, NULL, false}},
	.run = run,
};
