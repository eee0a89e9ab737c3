/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_base.c - carries out an order of kind base: the policy that it encloses comes into force,
 * as by any apply, and then its version counts. Who ends between the two leaves the older version:
 * then the same order comes into force once more, and no older one can. One that counts already
 * does not undo what was applied on the host since: that it does not hold is the answer.
 */
#include "user/daemon/taking.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "user/daemon/applying.h"
#include "user/daemon/cutting.h"
#include "user/daemon/in_force.h"

static int source_of(const struct document *document, struct sources *sources)
{
	struct source *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	*sources = (struct sources){source, 1};
	source->text = strndup(document->content, document->content_length);
	source->length = document->content_length;
	if (asprintf(&source->name, "base %" PRIu64, document->version) < 0)
		source->name = NULL;
	return source->text && source->name ? 0 : -ENOMEM;
}

static int apply(struct taking *taking)
{
	const struct document *document = &taking->document;
	const struct order_origin origin = {.id = document->id,
					    .signature = taking->signature,
					    .signature_count = taking->signatures};
	struct apply_request request = {.by = taking->by, .is_agreed = true, .origin = &origin};
	int r = source_of(document, &request.applied.sources);

	if (r == 0)
		r = host_apply(taking->host, &request, taking->reply, taking->problem,
			       taking->details);
	applied_free(&request.applied);
	return r;
}

int take_base(struct taking *taking)
{
	struct host *host = taking->host;
	int r, kept;

	json_put_uint(taking->reply, "version", taking->document.version);
	if (taking->is_known && in_force_base_holds(host))
		return 0;
	if (taking->is_known)
		return tell_problem(taking->problem, DONE_IN_PART,
				    "base %" PRIu64
				    " is the one that counts, but another policy was "
				    "put in its place on the host itself",
				    taking->document.version);
	if (!host->is_daemon)
		return tell_problem(taking->problem, -ESRCH, "no daemon answers");
	r = apply(taking);
	if (r < 0 && r != DONE_IN_PART)
		return r;
	kept = in_force_keep(host, ORDER_BASE, taking->text, taking->length);
	if (kept < 0 && r == 0)
		return tell_problem(taking->problem, DONE_IN_PART,
				    "the policy is in force, but not its version: %s",
				    strerror(-kept));
	return r;
}
