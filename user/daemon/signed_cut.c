/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_cut.c - carries out a signed cut: the kernel, the sockets, the disk, as any cut, without
 * what reopenings let back that came before it.
 */
#include "user/daemon/taking.h"

#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/daemon/cutting.h"
#include "user/order/archive.h"
#include "user/policy/target.h"

/* What of a cut its reopenings let back. */
struct let_back_set {
	bool is_all;
	char **target;
	size_t count;
};

static void let_back_free(struct let_back_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		free(set->target[i]);
	free(set->target);
}

static int let_back_add(const struct document *reopening, void *data)
{
	struct let_back_set *set = data;

	set->is_all |= reopening->targets.count == 0;
	for (size_t i = 0; i < reopening->targets.count; i++) {
		char **target = ARRAY_ADD(set->target, set->count);

		if (!target)
			return -ENOMEM;
		*target = strdup(reopening->targets.item[i]);
		if (!*target)
			return -ENOMEM;
		set->count++;
	}
	return 0;
}

static int read_let_back(const struct taking *taking, struct let_back_set *set)
{
	size_t damaged = 0;
	int r = taking->archive ? archive_reopenings(taking->archive, taking->document.id,
						     let_back_add, set, &damaged)
				: 0;

	if (damaged && !taking->is_dry_run)
		host_tell(
			taking->host, "damaged-state", RECORD_HIGH,
			(struct record_field[]){{"order", taking->document.id, 0}}, 1,
			"%zu reopenings of order %.12s in %s are damaged: what they let back stays "
			"cut",
			damaged, taking->document.id, taking->archive);
	if (r == -ENOMEM)
		return r;
	if (r < 0) /* what cannot be read lets nothing back */
		*set = (struct let_back_set){.target = set->target, .count = set->count};
	return 0;
}

/* What of it is in force, and means something here: as said when it came first. */
static size_t count_matched(const struct taking *taking)
{
	const struct host *host = taking->host;
	struct weir_cut_entry entry;
	size_t count = 0;

	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];

		count += order_is_cut(order) &&
			 order_is_of(order, taking->document.digests.sha256) &&
			 target_resolve(&host->image, order->target, &entry, NULL) == 0;
	}
	return count;
}

/* -errno with `problem` only when `r`, what came of the order, is not worse. */
static int keep(struct taking *taking, int r)
{
	int kept = taking->archive ? archive_keep(taking->archive, &taking->document, taking->text,
						  taking->length)
				   : -ENOENT;

	if (kept < 0 && r == 0)
		return tell_problem(taking->problem, DONE_IN_PART,
				    "the order holds, but its text is not kept: %s",
				    strerror(-kept));
	return r;
}

static struct order_origin origin_of(const struct taking *taking, const struct let_back_set *set)
{
	return (struct order_origin){.body = taking->document.digests.sha256,
				     .id = taking->document.id,
				     .until_ns = taking->document.until_ns,
				     .signature = taking->signature,
				     .signature_count = taking->signatures,
				     .let_back = (const char *const *)set->target,
				     .let_back_count = set->count};
}

static int carry_out_cut(struct taking *taking, const struct let_back_set *set)
{
	const struct document *document = &taking->document;
	const struct order_origin origin = origin_of(taking, set);
	const struct order_request request = {.target = document->targets.item,
					      .target_count = document->targets.count,
					      .reason = document->reason,
					      .by = taking->by,
					      .is_dry_run = taking->is_dry_run,
					      .origin = &origin};

	return host_cut(taking->host, &request, taking->reply, taking->problem);
}

/* All of it was let back before it came. */
static int note_cut(struct taking *taking)
{
	const struct journal_order line = taking_line(taking);

	json_put_uint(taking->reply, "matched", 0);
	if (taking->is_dry_run)
		return 0;
	return journaling_after(taking->host, &line, 1) < 0
		       ? tell_problem(taking->problem, DONE_IN_PART, "the journal lacks the order")
		       : 0;
}

/* A clock that nobody confirmed ends no signed cut. */
static bool is_past_end(const struct taking *taking)
{
	const struct host *host = taking->host;
	uint64_t until_ns = taking->document.until_ns;

	return until_ns && until_ns <= host_wall(host) && !guard_control(host->guard).hours_closed;
}

/* Whether nothing is left of it to cut. */
static bool is_over(const struct taking *taking, const struct let_back_set *set)
{
	const struct document *document = &taking->document;
	const struct order_origin origin = origin_of(taking, set);

	if (set->is_all || is_past_end(taking))
		return true;
	for (size_t i = 0; i < document->targets.count; i++) {
		if (!order_lets_back(&origin, document->targets.item[i]))
			return false;
	}
	return true;
}

/*
 * One that was taken before and holds is done when nothing of it fails any more.
 * One that was taken before and is not in force although it is not over was lost with the state of
 * this host: it is carried out again. So is one that is there and was not kept: who carried it out
 * ended before the end, and it is not known where.
 */
int take_cut(struct taking *taking)
{
	struct let_back_set set = {0};
	int r;

	if (taking->is_known && !taking->is_dry_run && taking_in_force(taking)) {
		json_put_uint(taking->reply, "matched", count_matched(taking));
		return cuts_finish(taking->host, false, taking->problem);
	}
	r = read_let_back(taking, &set);
	if (r == 0 && is_over(taking, &set))
		r = taking->is_known && !taking->is_dry_run
			    ? cuts_finish(taking->host, true, taking->problem)
			    : note_cut(taking);
	else if (r == 0)
		r = carry_out_cut(taking, &set);
	let_back_free(&set);
	if (r != 0 && r != DONE_IN_PART)
		return r;
	return taking->is_known || taking->is_dry_run ? r : keep(taking, r);
}
