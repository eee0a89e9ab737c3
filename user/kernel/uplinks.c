/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * uplinks.c - where any interface is an uplink: those that come get the edge, those that go are
 * forgotten. Neither is tampering, and one that cannot have the edge leaves the guard whole, since
 * egress judges all the same. So it is with one that is named and was not there at the start.
 */
#include "user/kernel/keep.h"

#include <errno.h>

enum { PAUSE_LOOKS = 10 }; /* those that have none are tried again together */

static struct kept_link *edge_of(struct keep *keep, const char *ifname)
{
	for (size_t i = 0; i < keep->count; i++) {
		if (!keep->link[i].hook && !strcmp(keep->link[i].ifname, ifname))
			return &keep->link[i];
	}
	return NULL;
}

static bool has_edge(const struct keep *keep, uint32_t ifindex)
{
	for (size_t i = 0; i < keep->count; i++) {
		const struct kept_link *link = &keep->link[i];

		if (!link->hook && link->id && link->ifindex == ifindex)
			return true;
	}
	return false;
}

/* ---- going, and other names ------------------------------------------------------------------ */

/* An interface with the edge is known by its index: a name may be another's by now, or an altname.
 * One without is known by its name, as long as it is not that of one with it. */
static const char *name_now(const struct keep *keep, const struct kept_link *link,
			    const struct if_nameindex *list)
{
	for (const struct if_nameindex *i = list; i->if_index; i++) {
		if (link->id ? i->if_index == link->ifindex
			     : !strcmp(i->if_name, link->ifname) && !has_edge(keep, i->if_index))
			return i->if_name;
	}
	return NULL;
}

static bool has_changed(const struct keep *keep, const struct if_nameindex *list)
{
	for (size_t i = 0; i < keep->count; i++) {
		const struct kept_link *link = &keep->link[i];
		const char *name = link->hook ? NULL : name_now(keep, link, list);

		if (!link->hook && (!name || strcmp(name, link->ifname) != 0))
			return true;
	}
	return false;
}

static void forget(struct inspection *inspection, struct kept_link *link)
{
	if (link->id) /* else nothing was to be missed */
		finding_add_mended(&inspection->found, "uplink-gone", link->ifname, false,
				   "the interface went");
	keep_without_edge(inspection->guard, link);
}

/* udev gives interfaces another name soon after they came. */
static void take_name(struct inspection *inspection, struct kept_link *link, const char *name)
{
	char detail[64];

	snprintf(detail, sizeof(detail), "it was %s, and keeps the edge", link->ifname);
	snprintf(link->ifname, sizeof(link->ifname), "%s", name);
	finding_add_mended(&inspection->found, "uplink-came", name, false, detail);
}

/* All pins of what has another name go before the first comes: names may have been exchanged. */
static void take_names(struct inspection *inspection, const struct if_nameindex *list)
{
	struct guard *guard = inspection->guard;
	struct keep *keep = guard->keep;

	for (size_t i = 0; i < keep->count; i++) {
		struct kept_link *link = &keep->link[i];
		const char *name = link->hook ? NULL : name_now(keep, link, list);

		if (!name || !strcmp(name, link->ifname))
			continue;
		unlinkat(guard->dir_fd, link->pin, 0);
		take_name(inspection, link, name);
	}
	for (size_t i = 0; i < keep->count; i++) {
		struct kept_link *link = &keep->link[i];
		char pin[64];

		pin_edge_name(link->ifname, pin);
		if (link->hook || !strcmp(pin, link->pin))
			continue;
		snprintf(link->pin, sizeof(link->pin), "%s", pin);
		keep_repin(guard, pin, link->fd); /* what fails is found by the look */
	}
}

static void follow(struct inspection *inspection, const struct if_nameindex *list)
{
	struct keep *keep = inspection->guard->keep;

	for (size_t i = 0; i < keep->count;) {
		struct kept_link *link = &keep->link[i];

		if (link->hook || name_now(keep, link, list)) {
			i++;
			continue;
		}
		forget(inspection, link);
		*link = keep->link[--keep->count];
	}
	take_names(inspection, list);
}

static void follow_locked(struct inspection *inspection, const struct if_nameindex *list)
{
	struct guard *guard = inspection->guard;

	if (guard_try_lock(guard))
		return;
	if (guard->control->abi != WEIR_ABI_UNLOADED)
		follow(inspection, list);
	guard_unlock(guard);
}

void uplinks_follow(struct inspection *inspection)
{
	struct keep *keep = inspection->guard->keep;
	struct if_nameindex *list = if_nameindex();

	if (!list)
		return;
	if (has_changed(keep, list))
		follow_locked(inspection, list);
	for (struct if_nameindex *i = list; i->if_index; i++) {
		if (strcmp(i->if_name, "lo") && !edge_of(keep, i->if_name) &&
		    !has_edge(keep, i->if_index))
			keep_add_edge(keep, i->if_name);
	}
	if_freenameindex(list);
}

/* ---- coming ---------------------------------------------------------------------------------- */

/* What comes in by a port of these and is for this host comes by the device above. Not so below a
 * VLAN (untagged packets), or a VRF (net/ipv4/ip_input.c: after XDP). */
static bool is_port(const struct kept_link *link)
{
	struct interface_kind kind;

	return !interface_kind(interface_index(link->ifname, 0), &kind) &&
	       (!strcmp(kind.master, "bridge") || !strcmp(kind.master, "bond") ||
		!strcmp(kind.master, "team"));
}

void uplinks_note_refusal(const struct keep *keep, struct kept_link *link, int err,
			  const char *problem)
{
	/* -EEXIST: below a device that has an XDP program the kernel allows none; -ENODEV: it went
	 */
	bool needs_none = err == -ENODEV || (keep->any_uplink && err == -EEXIST && is_port(link));

	snprintf(link->why, sizeof(link->why), "%s", needs_none ? "" : problem ?: strerror(-err));
	link->is_tried = true;
}

static void try_edge(struct inspection *inspection, struct kept_link *link)
{
	_cleanup_free_ char *problem = NULL;
	int err = keep_attach(inspection->guard, link, &problem);

	if (err)
		uplinks_note_refusal(inspection->guard->keep, link, err, problem);
	else
		finding_add_mended(&inspection->found, "uplink-came", link->ifname, false,
				   "it has the edge");
}

void uplinks_try(struct inspection *inspection, struct kept_link *link)
{
	struct finding_list *found = &inspection->found;
	bool is_due = !link->is_tried || inspection->guard->keep->looks % PAUSE_LOOKS == 0;

	if (is_due && !inspection->may_repair)
		finding_add(found, "uplink-came", link->ifname, false, "the edge is tried");
	else if (is_due)
		try_edge(inspection, link);
	if (!link->id && link->is_tried && link->why[0])
		finding_add(found, "no-edge", link->ifname, false, "%s", link->why);
}
