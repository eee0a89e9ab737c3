/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* additions.c - prefixes that orders add to partners for a while. */
#include "user/daemon/additions.h"

#include <ifaddrs.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <string.h>

#include "user/base/address.h"
#include "user/daemon/touch.h"
#include "user/policy/addition.h"
#include "user/policy/target.h"

/* ---- whether one may be --------------------------------------------------------------------- */

static bool read_address(const struct sockaddr *from, uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (from && from->sa_family == AF_INET) {
		memcpy(address, mapped, sizeof(mapped));
		memcpy(address + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
		return true;
	}
	if (!from || from->sa_family != AF_INET6)
		return false;
	memcpy(address, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
	return true;
}

/* A prefix with one of the host's own addresses in it is the network that the host is in, or a
 * slip: who moved is somewhere else. */
static int check_own(const uint8_t address[16], uint8_t bits, const char *prefix, char **problem)
{
	char text[ADDRESS_TEXT] = "";
	struct ifaddrs *list;
	uint8_t own[16];

	if (getifaddrs(&list) < 0)
		return tell_problem(problem, -errno, "cannot read this host's addresses: %s",
				    strerror(errno));
	for (const struct ifaddrs *one = list; one && !text[0]; one = one->ifa_next) {
		if (read_address(one->ifa_addr, own) && prefix_covers(address, bits, own))
			address_format(own, text, sizeof(text));
	}
	freeifaddrs(list);
	if (text[0])
		return tell_problem(problem, -EINVAL, "%s covers %s, this host's own address",
				    prefix, text);
	return 0;
}

/* Which partner's the address would be then depends on the order of arrival. */
static int check_others(const struct orders *orders, const struct addition_request *request,
			const uint8_t address[16], uint8_t bits, char **problem)
{
	const struct weir_order *other =
		orders_find_addition(orders, request->target, address, bits);
	char text[PREFIX_TEXT];

	if (!other)
		return 0;
	prefix_format(other->address, other->prefix_bits, text, sizeof(text));
	return tell_problem(problem, -EEXIST, "%s overlaps %s, which o%" PRIu64 " adds to %s",
			    request->prefix, text, (uint64_t)other->id, other->target);
}

static int check_signed_cuts(const struct host *host, const struct orders *orders,
			     const struct addition_request *request, const uint8_t address[16],
			     uint8_t bits, char **problem)
{
	struct weir_order order = {.kind = WEIR_ORDER_PARTNER_ADD, .prefix_bits = bits};
	const struct weir_order *cut;

	snprintf(order.target, sizeof(order.target), "%s", request->target);
	memcpy(order.address, address, sizeof(order.address));
	if (request->body)
		memcpy(order.body, request->body, sizeof(order.body));
	cut = addition_held_by(&host->image, orders, &order);
	if (!cut)
		return 0;
	return tell_problem(problem, -EPERM,
			    "%s is held by c%" PRIu64
			    ", a signed cut of %s: it takes a signed order",
			    request->prefix, (uint64_t)cut->id, cut->target);
}

static int read_prefix(const char *prefix, uint8_t address[16], uint8_t *bits, char **problem)
{
	int r = prefix_parse(prefix, address, bits);

	if (r == -EDOM)
		return tell_problem(problem, -EINVAL, "%s has bits set to the right of its prefix",
				    prefix);
	if (r < 0)
		return tell_problem(problem, -EINVAL, "%s is neither an address nor a prefix",
				    prefix);
	return 0;
}

int addition_may_be(const struct host *host, const struct orders *orders,
		    const struct addition_request *request, uint8_t address[16], uint8_t *bits,
		    char **problem)
{
	const struct weir_cut_entry *partner = request->partner;
	int r = read_prefix(request->prefix, address, bits, problem);

	if (r < 0)
		return r;
	if (partner && (partner->target != WEIR_TARGET_PARTNER || partner->service != WEIR_ANY))
		return tell_problem(problem, -EINVAL, "%s: a prefix is added to one partner",
				    request->target);
	if (request->for_ns > ADDITION_LONGEST_NS)
		return tell_problem(problem, -EINVAL,
				    "a prefix is added for 30 days at most: then it wants to be in "
				    "the policy");
	r = partner ? addition_check(&host->image, partner->index, address, *bits, problem)
		    : addition_check_prefix(address, *bits, problem);
	if (r == 0)
		r = check_own(address, *bits, request->prefix, problem);
	if (r == 0)
		r = check_others(orders, request, address, *bits, problem);
	return r < 0 ? r : check_signed_cuts(host, orders, request, address, *bits, problem);
}

/* ---- signed cuts ---------------------------------------------------------------------------- */

static bool covers_some(const struct image *image, const struct weir_order *cut,
			const struct weir_cut_entry *prefix, struct weir_cut_entry *entry)
{
	return order_is_signed(cut) && target_resolve(image, cut->target, entry, NULL) == 0 &&
	       cover_of(image, entry, prefix) != COVER_NONE;
}

/* Whether an exception lets something back of the partner by a name of its. */
static bool lets_back(const struct image *image, const struct weir_order *exception,
		      uint32_t partner)
{
	const struct weir_cut_entry of = {
		.target = WEIR_TARGET_PARTNER, .service = WEIR_ANY, .index = partner};
	struct weir_cut_entry entry;

	return target_resolve(image, exception->target, &entry, NULL) == 0 &&
	       (entry.target == WEIR_TARGET_PARTNER || entry.target == WEIR_TARGET_CLASS ||
		entry.target == WEIR_TARGET_GRANT) &&
	       cover_of(image, &entry, &of) != COVER_NONE;
}

const struct weir_order *addition_held_by(const struct image *image, const struct orders *orders,
					  const struct weir_order *addition)
{
	struct weir_override override;
	struct weir_cut_entry entry;

	if (order_is_signed(addition) || addition_resolve(image, addition, &override, NULL) < 0)
		return NULL;
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i], *cut = order;

		if (order->parent)
			cut = orders_find(orders, order->parent);
		if (!cut || !order_is_cut(cut) || !covers_some(image, cut, &override.at, &entry))
			continue;
		if (order->parent ? lets_back(image, order, override.at.index)
				  : entry.target == WEIR_TARGET_STRANGERS)
			return cut;
	}
	return NULL;
}

/* ---- whose an address is -------------------------------------------------------------------- */

/* Whether the order is an addition that counts now: `override` gets what it comes to. */
static bool counts(const struct host *host, const struct weir_order *order,
		   struct weir_override *override)
{
	return order->kind == WEIR_ORDER_PARTNER_ADD && !guard_control(host->guard).hours_closed &&
	       order->until_ns > host_wall(host) &&
	       addition_resolve(&host->image, order, override, NULL) == 0 &&
	       !addition_held_by(&host->image, &host->orders, order);
}

const struct weir_order *addition_of(const struct host *host, const uint8_t address[16],
				     uint32_t *partner)
{
	struct weir_override override;

	if (image_partner_of(&host->image, address) != WEIR_NO_PARTNER)
		return NULL;
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];

		if (!counts(host, order, &override) ||
		    !prefix_covers(order->address, order->prefix_bits, address))
			continue;
		*partner = override.at.index;
		return order;
	}
	return NULL;
}

uint32_t host_partner_of(const struct host *host, const uint8_t address[16])
{
	uint32_t partner = image_partner_of(&host->image, address);

	addition_of(host, address, &partner);
	return partner;
}

/* ---- how orders lie to each other ----------------------------------------------------------- */

static bool meet(const struct weir_cut_entry *a, const struct weir_cut_entry *b)
{
	return prefix_holds(a->address, a->prefix_bits, b->address) ||
	       prefix_holds(b->address, b->prefix_bits, a->address);
}

enum cover host_cover(const struct host *host, const struct weir_cut_entry *cut,
		      const struct weir_cut_entry *target)
{
	enum cover cover = cover_of(&host->image, cut, target);
	struct weir_cut_entry partner = {.target = WEIR_TARGET_PARTNER, .service = target->service};

	if (target->target != WEIR_TARGET_ADDRESS || cut->target == WEIR_TARGET_ADDRESS ||
	    image_partner_of(&host->image, target->address) != WEIR_NO_PARTNER)
		return cover;
	for (size_t i = 0; i < host->orders.count; i++) {
		const struct weir_order *order = &host->orders.item[i];
		struct weir_override override;

		if (!counts(host, order, &override) || !meet(&override.at, target))
			continue;
		if (override.at.prefix_bits > target->prefix_bits)
			return COVER_PART; /* some of it is the partner's, some is not */
		partner.index = override.at.index;
		cover = cover_of(&host->image, cut, &partner);
		return cover == COVER_SAME ? COVER_WHOLE : cover;
	}
	return cover;
}

/* The partner that gets some of what the order means by an addition; WEIR_NO_PARTNER: by this one
 * none does. */
static uint32_t touched_by(const struct host *host, const struct weir_order *addition,
			   const struct weir_cut_entry *order)
{
	struct weir_override override;

	if (order->target != WEIR_TARGET_ADDRESS || !counts(host, addition, &override) ||
	    !meet(&override.at, order))
		return WEIR_NO_PARTNER;
	return override.at.index;
}

bool host_partner_is_touched(const struct host *host, const struct weir_cut_entry *order,
			     uint32_t partner)
{
	bool is_touched = partner_is_touched(&host->image, order, partner);

	for (size_t i = 0; i < host->orders.count && !is_touched; i++)
		is_touched = partner != WEIR_NO_PARTNER &&
			     touched_by(host, &host->orders.item[i], order) == partner;
	return is_touched;
}

int host_partners_touched(const struct host *host, const struct weir_cut_entry *order,
			  bool *touched)
{
	for (size_t i = 0; i < host->orders.count; i++)
		touched[touched_by(host, &host->orders.item[i], order)] = true;
	touched[WEIR_NO_PARTNER] = false;
	return partners_touched(&host->image, order, touched);
}
