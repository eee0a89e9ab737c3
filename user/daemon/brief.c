/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* brief.c - what a host tells its fleet of itself. */
#include "user/daemon/brief.h"

#include <string.h>

#include "user/daemon/in_force.h"

static size_t count_cuts(const struct orders *orders)
{
	size_t count = 0;

	for (size_t i = 0; i < orders->count; i++)
		count += order_is_cut(&orders->item[i]);
	return count;
}

int host_brief(struct host *host, struct json_out *reply, char **problem)
{
	int r = host_refresh_orders(host);

	if (r < 0)
		return tell_problem(problem, r, "cannot read the orders: %s", strerror(-r));
	json_put_text(reply, "instance", host->instance);
	json_put_text(reply, "policy", host->digest);
	in_force_put(host, reply);
	json_put_uint(reply, "cuts", count_cuts(&host->orders));
	json_put_bool(reply, "clock_is_trusted", !guard_control(host->guard).hours_closed);
	json_open(reply, "groups", '[');
	for (size_t i = 0; host->config && i < host->config->groups.count; i++)
		json_put_text(reply, NULL, host->config->groups.item[i].text);
	json_close(reply, ']');
	return 0;
}
