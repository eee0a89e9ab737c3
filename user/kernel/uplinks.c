/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * uplinks.c - where any interface is an uplink: those that come get the edge, those that go are
 * forgotten. Neither is tampering, and one that cannot have the edge leaves the guard whole, since
 * egress judges all the same.
 */
#include "user/kernel/keep.h"

#include <errno.h>

enum { PAUSE_LOOKS = 10 }; /* those that have none are tried again together */

static void tell(struct inspection *inspection, const char *what, const char *where,
		 const char *detail)
{
	struct guard_finding *finding =
		inspection_find(inspection, what, where, false, "%s", detail);

	if (finding)
		finding->is_repaired = true; /* there is nothing that anybody has to do */
}

static struct kept_link *edge_of(struct keep *keep, const char *ifname)
{
	for (size_t i = 0; i < keep->count; i++) {
		if (!keep->link[i].hook && !strcmp(keep->link[i].ifname, ifname))
			return &keep->link[i];
	}
	return NULL;
}

/* ---- going ----------------------------------------------------------------------------------- */

static const char *name_of(const struct if_nameindex *list, uint32_t ifindex)
{
	for (const struct if_nameindex *i = list; i && i->if_index; i++) {
		if (i->if_index == ifindex)
			return i->if_name;
	}
	return NULL;
}

/* udev gives interfaces another name soon after they came. */
static bool follow_name(struct inspection *inspection, struct kept_link *link,
			const struct if_nameindex *list)
{
	struct guard *guard = inspection->guard;
	const char *name = name_of(list, link->ifindex);
	char pin[64], detail[64];

	if (!link->id || !name || !link_is_at_interface(link->fd, link->ifindex) ||
	    edge_of(guard->keep, name))
		return false;
	pin_edge_name(name, pin);
	if (keep_repin(guard, pin, link->fd))
		return false;
	unlinkat(guard->dir_fd, link->pin, 0);
	snprintf(detail, sizeof(detail), "it was %s, and keeps the edge", link->ifname);
	snprintf(link->pin, sizeof(link->pin), "%s", pin);
	snprintf(link->ifname, sizeof(link->ifname), "%s", name);
	tell(inspection, "uplink-came", name, detail);
	return true;
}

/* Whether the interface is gone; one that was made anew within one look went, and came. */
static bool forget(struct inspection *inspection, struct kept_link *link,
		   const struct if_nameindex *list)
{
	enum place place = keep_place(inspection->guard, link);

	if (place == PLACE_GONE && follow_name(inspection, link, list))
		return false;
	if (link->id && (place == PLACE_GONE || place == PLACE_ANOTHER)) {
		tell(inspection, "uplink-gone", link->ifname, "the interface went");
		keep_without_edge(inspection->guard, link);
	}
	return place == PLACE_GONE;
}

void uplinks_follow(struct inspection *inspection)
{
	struct keep *keep = inspection->guard->keep;
	struct if_nameindex *list = if_nameindex();

	for (size_t i = 0; i < keep->count;) {
		if (!keep->link[i].hook && forget(inspection, &keep->link[i], list))
			keep->link[i] = keep->link[--keep->count];
		else
			i++;
	}
	for (struct if_nameindex *i = list; i && i->if_index; i++) {
		if (strcmp(i->if_name, "lo") && !edge_of(keep, i->if_name))
			keep_add_edge(keep, i->if_name);
	}
	if (list)
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

void uplinks_note_refusal(struct kept_link *link, int err, const char *problem)
{
	/* -EEXIST: below a device that has an XDP program the kernel allows none; -ENODEV: it went
	 */
	bool needs_none = err == -ENODEV || (err == -EEXIST && is_port(link));

	snprintf(link->why, sizeof(link->why), "%s", needs_none ? "" : problem ?: strerror(-err));
	link->is_tried = true;
}

static void try_edge(struct inspection *inspection, struct kept_link *link)
{
	_cleanup_free_ char *problem = NULL;
	int err = keep_attach(inspection->guard, link, &problem);

	if (err)
		uplinks_note_refusal(link, err, problem);
	else
		tell(inspection, "uplink-came", link->ifname, "it has the edge");
}

void uplinks_try(struct inspection *inspection, struct kept_link *link)
{
	bool is_due = !link->is_tried || inspection->guard->keep->looks % PAUSE_LOOKS == 0;

	if (is_due && !inspection->may_repair)
		inspection_find(inspection, "uplink-came", link->ifname, false,
				"the edge is tried");
	else if (is_due)
		try_edge(inspection, link);
	if (!link->id && link->is_tried && link->why[0])
		inspection_find(inspection, "no-edge", link->ifname, false, "%s", link->why);
}
