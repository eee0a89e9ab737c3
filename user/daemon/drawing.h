/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * drawing.h - extensions that one person alone answers for: out of the reserve of their grant.
 *
 * It is counted for each meter that an extension reaches, since each gets that much more; and for
 * the reserve's span, also when the extension was ended early. An extension that two answer for
 * draws nothing.
 */
#ifndef WEIR_DRAWING_H
#define WEIR_DRAWING_H

#include "user/daemon/host.h"
#include "user/daemon/overriding.h"
#include "user/order/reserve.h"

struct drawing {
	const char *grant;
	struct weir_limit reserve;
	uint64_t bytes; /* that the extension takes of it */
	struct reserve_state state;
};

/* How the extension stands to the reserve of its grant. False: the grant has none here, or it is no
 * extension; then `drawing` is untouched. */
bool drawing_look(const struct host *host, const struct override_request *request,
		  struct drawing *drawing);
bool drawing_fits(const struct drawing *drawing);
/* Of one that does not fit, how much is left, and when there is room for it: "the reserve of grant
 * g (5GiB in 7d) has ..."; malloc'd, NULL without memory. */
char *drawing_words(const struct drawing *drawing);

/* Into the orders that are to be saved, and what counts no more out of them. `order`: id of the
 * extension. 0 or -errno with `problem`. */
int drawing_note(const struct host *host, const struct override_request *request,
		 const struct drawing *drawing, uint64_t order, struct orders *orders,
		 char **problem);

/* "reserves": those that something was drawn from. */
void drawing_put(const struct host *host, struct json_out *reply);

#endif
