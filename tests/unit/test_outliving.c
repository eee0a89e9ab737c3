/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_outliving.c - a policy goes back by itself: whatever was cut under the one that is left is
 * cut under the older one, asked packet by packet; by which words; and what ends that.
 */
#include "tests/unit/a_host.h"
#include "tests/unit/ordering.h"

#include "user/base/address.h"
#include "user/base/cleanup.h"
#include "user/daemon/default_policy.h"
#include "user/daemon/orders_change.h"
#include "user/daemon/outliving.h"
#include "user/daemon/returning.h"
#include "user/policy/heirs.h"

#define HEAD	  "weir: 1\nname: test\nmode: enforce\n"
#define STRANGERS "strangers: {serves: [64KiB/10m], calls: deny, total: none}\n"

/* ---- before and after ----------------------------------------------------------------------- */

static struct image image_of(const char *text)
{
	struct source source = {
		.name = (char *)"policy.yaml", .text = (char *)text, .length = strlen(text)};
	struct sources sources = {&source, 1};
	struct faults faults = {0};
	struct image image = {0};

	if (policy_to_image(&sources, wall_now(), &image, &faults) < 0) {
		faults_print(&faults, &sources, stderr);
		fail();
	}
	faults_free(&faults);
	return image;
}

static uint64_t add_cut(struct orders *orders, const char *target)
{
	struct order_text text = {.target = target, .reason = "why", .by = "me", .since_ns = 1};
	uint64_t id;

	assert_int_equal(orders_add_cut(orders, &text, &id), 0);
	return id;
}

static void let_back(struct orders *orders, uint64_t cut, const char *target)
{
	struct order_text text = {.target = target, .reason = "why", .by = "me", .since_ns = 1};
	uint64_t id;

	assert_int_equal(orders_add_exception(orders, cut, &text, &id), 0);
}

static bool is_cut(const struct image *image, const struct order_table *table, const char *path,
		   const char *peer, uint16_t port)
{
	struct weir_question question = {.service = image_service_of(image, path),
					 .direction = WEIR_SERVES,
					 .protocol = 6,
					 .port = port,
					 .cut_slot = WEIR_ANY};
	struct weir_answer answer;

	assert_int_equal(address_parse(peer, question.peer), 0);
	explain_decide(image, table, &question, wall_now(), false, &answer);
	return answer.reason == WEIR_REASON_CUT;
}

static const char *const paths[] = {"a", "a/x", "a/x/y", "b", "b/x",
				    "c", "c-1", "c-12",	 "d", "e/f"};
static const char *const peers[] = {"10.0.0.1",	   "10.1.0.1",	  "10.1.1.1",	 "10.2.0.1",
				    "11.0.0.1",	   "192.0.2.1",	  "192.0.2.200", "203.0.113.9",
				    "2001:db8::1", "2001:db9::1", "2002::1"};
static const uint16_t ports[] = {22, 443};

/* How many of the packets are cut; each that was is. */
static size_t ask_all(const struct image *before, const struct order_table *cut_before,
		      const struct image *after, const struct order_table *cut_after)
{
	size_t more = 0;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		for (size_t j = 0; j < sizeof(peers) / sizeof(*peers); j++) {
			for (size_t k = 0; k < 2; k++) {
				bool was = is_cut(before, cut_before, paths[i], peers[j], ports[k]);
				bool is = is_cut(after, cut_after, paths[i], peers[j], ports[k]);

				if (was && !is)
					fail_msg("%s to %s, port %u: not cut any more", paths[i],
						 peers[j], ports[k]);
				more += is && !was;
			}
		}
	}
	return more;
}

/* The cuts that were added, each with what is let back inside it. */
static char *words_of(const struct orders *orders, uint64_t first)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	for (size_t i = 0; i < orders->count; i++) {
		const struct weir_order *order = &orders->item[i];

		if (order->id < first)
			continue;
		fprintf(out, "%s%s%s", order->id == first ? "" : " ", order->parent ? "-" : "",
			order->target);
	}
	assert_int_equal(fclose(out), 0);
	return text;
}

struct change {
	const char *before, *after;
	const char *cut;
	const char *exception; /* to it, or NULL */
	const char *words;     /* what is cut in its place */
	size_t more;	       /* of all questions, so many are cut that were not */
};

static void go_back(struct host *host, const struct change *change)
{
	_cleanup_order_table_ struct order_table before_table = {0}, after_table = {0};
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct image after = image_of(change->after);
	char *problem = NULL, *words;
	uint64_t cut, first;
	size_t lost, more;

	take_policy(host, change->before);
	cut = add_cut(&orders, change->cut);
	if (change->exception)
		let_back(&orders, cut, change->exception);
	assert_int_equal(
		host_compile_orders(host, &host->image, &orders, &before_table, NULL, &problem), 0);
	first = orders.next;
	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), &orders, &problem), 0);
	words = words_of(&orders, first);
	assert_string_equal(words, change->words);
	free(words);
	assert_int_equal(host_compile_orders(host, &after, &orders, &after_table, &lost, &problem),
			 0);
	more = ask_all(&host->image, &before_table, &after, &after_table);
	assert_int_equal(more, change->more);
	/* once more: nothing is added */
	first = orders.next;
	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), &orders, &problem), 0);
	assert_int_equal(orders.next, first);
	image_free(&after);
}

/* ---- partners ------------------------------------------------------------------------------- */

#define SERVICES "services:\n  s: {cgroup: a}\n  t: {cgroup: b}\n"
#define GRANTS                                                                                     \
	"grants:\n"                                                                                \
	"  - {name: g, service: s, partner: any, serves: tcp/22, budget: none}\n"                  \
	"  - {name: h, service: t, partner: any, serves: tcp/443, budget: none}\n"
#define POLICY(partners) HEAD SERVICES "partners:\n" partners GRANTS STRANGERS

static void partners(void **state)
{
	static const char q[] = POLICY("  q: {addresses: 203.0.113.0/24}\n");
	static const struct change changes[] = {
		/* it is there, and the same */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"), POLICY("  p: {addresses: 10.0.0.0/8}\n"),
		 "partner:p", NULL, "", 0},
		/* it is not there */
		{POLICY("  p: {addresses: [10.0.0.0/8, 192.0.2.0/25]}\n"), q, "partner:p", NULL,
		 "addr:10.0.0.0/8 addr:192.0.2.0/25", 0},
		/* another has its addresses there */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"),
		 POLICY("  q: {addresses: 10.1.0.0/16}\n"), "partner:p", NULL, "addr:10.0.0.0/8",
		 0},
		/* it has less there */
		{POLICY("  p: {addresses: [10.0.0.0/8, 11.0.0.0/8]}\n"),
		 POLICY("  p: {addresses: 10.0.0.0/8}\n"), "partner:p", NULL, "addr:11.0.0.0/8", 0},
		/* a part of it is another's there */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"),
		 POLICY("  p: {addresses: 10.0.0.0/8}\n  q: {addresses: 10.1.0.0/16}\n"),
		 "partner:p", NULL, "addr:10.0.0.0/8", 0},
		/* it has longer ones there */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"),
		 POLICY("  p: {addresses: 10.0.0.0/16}\n"), "partner:p", NULL, "addr:10.0.0.0/8",
		 0},
		/* another's inside it, and its own inside that */
		{POLICY("  p: {addresses: [10.0.0.0/8, 10.1.1.0/24]}\n"
			"  q: {addresses: 10.1.0.0/16}\n"),
		 q, "partner:p", NULL, "addr:10.0.0.0/8 -addr:10.1.0.0/16 addr:10.1.1.0/24", 0},
		/* ::/0 is not IPv4's */
		{POLICY("  p: {addresses: \"::/0\"}\n"), q, "partner:p", NULL,
		 "addr:::/0 -addr:0.0.0.0/0", 0},
		/* in one service */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"), q, "partner:p@service:s", NULL,
		 "addr:10.0.0.0/8@service:s", 0},
		/* let back in part: that is as good as nothing */
		{POLICY("  p: {addresses: 10.0.0.0/8}\n"), q, "partner:p", "addr:10.1.0.0/16",
		 "addr:10.0.0.0/8", 40},
		/* let back as a whole */
		{POLICY("  p: {addresses: [10.0.0.0/8, 11.0.0.0/8]}\n"), q, "partner:p",
		 "addr:10.0.0.0/7", "", 0},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		go_back(*state, &changes[i]);
}

/* ---- services ------------------------------------------------------------------------------- */

#define OF(services)                                                                               \
	HEAD "services:\n" services "partners:\n  p: {addresses: 10.0.0.0/8}\n"                    \
	     "grants:\n  - {name: g, service: any, partner: p, serves: tcp/22, budget: "           \
	     "none}\n" STRANGERS

static void services(void **state)
{
	static const struct change changes[] = {
		{OF("  s: {cgroup: a}\n  t: {cgroup: b}\n"), OF("  s: {cgroup: a}\n"), "service:s",
		 NULL, "", 0},
		/* of no name there: with all that has none */
		{OF("  s: {cgroup: a}\n  t: {cgroup: b}\n"), OF("  t: {cgroup: b}\n"), "service:s",
		 NULL, "service:other", 5 * 22},
		/* of another name there */
		{OF("  s: {cgroup: a}\n"), OF("  t: {cgroup: a}\n"), "service:s", NULL, "service:t",
		 0},
		/* a part of it has a name of its own there */
		{OF("  s: {cgroup: a}\n"), OF("  s: {cgroup: a}\n  t: {cgroup: a/x}\n"),
		 "service:s", NULL, "service:t", 0},
		/* it has less there; what is left of it is in another */
		{OF("  s: {cgroup: [a, b]}\n"), OF("  s: {cgroup: a}\n  t: {cgroup: b}\n"),
		 "service:s", NULL, "service:t", 0},
		/* by a `*`, in which the other policy makes differences */
		{OF("  s: {cgroup: \"c-*\"}\n"),
		 OF("  t: {cgroup: \"c-1*\"}\n  u: {cgroup: c-1}\n"), "service:s", NULL,
		 "service:other service:t service:u", 6 * 22 + 2 * 22},
		{OF("  s: {cgroup: c-12}\n"), OF("  t: {cgroup: \"c-1*\"}\n  u: {cgroup: c-1}\n"),
		 "service:s", NULL, "service:t", 0},
		/* all, in it */
		{OF("  s: {cgroup: a}\n"), OF("  t: {cgroup: a}\n"), "all@service:s", NULL,
		 "all@service:t", 0},
		{OF("  s: {cgroup: a}\n"), OF("  t: {cgroup: a}\n"), "addr:10.1.0.0/16@service:s",
		 NULL, "addr:10.1.0.0/16@service:t", 0},
		{OF("  s: {cgroup: a}\n"), OF("  t: {cgroup: a}\n"), "partner:p@service:s", NULL,
		 "addr:10.0.0.0/8@service:t", 0},
		/* what has no name is what the policy in force does not name */
		{OF("  s: {cgroup: a}\n"), OF("  s: {cgroup: a}\n"), "service:other", NULL, "", 0},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		go_back(*state, &changes[i]);
}

/* Nothing that has the cgroups is missing, nor is anything else there. */
static void heirs(void **state)
{
	struct image before = image_of(OF("  s: {cgroup: [a, \"c*\"]}\n  x: {cgroup: [a/x, c]}\n"));
	struct image after = image_of(OF("  t: {cgroup: [\"a*\"]}\n  u: {cgroup: a/x}\n"
					 "  v: {cgroup: c}\n  w: {cgroup: c-1/x/y}\n"));
	bool heir[WEIR_SERVICE_NAMED + 4];

	(void)state;
	image_heirs(&before, image_service(&before, "s"), &after, heir);
	assert_true(heir[WEIR_SERVICE_OTHER]); /* c-2 */
	assert_true(heir[image_service(&after, "t")]);
	assert_false(heir[image_service(&after, "u")]); /* a/x was x's */
	assert_false(heir[image_service(&after, "v")]);
	assert_true(heir[image_service(&after, "w")]);
	image_heirs(&before, image_service(&before, "x"), &after, heir);
	assert_false(heir[WEIR_SERVICE_OTHER]);
	assert_false(heir[image_service(&after, "t")]);
	assert_true(heir[image_service(&after, "u")]);
	assert_true(heir[image_service(&after, "v")]);
	image_heirs(&before, WEIR_SERVICE_FORWARDED, &after, heir);
	assert_true(heir[WEIR_SERVICE_FORWARDED]);
	assert_false(heir[WEIR_SERVICE_OTHER]);
	image_free(&before);
	image_free(&after);
}

/* ---- grants, classes ------------------------------------------------------------------------ */

#define TWO(partners, grants)                                                                      \
	HEAD "services:\n  s: {cgroup: a}\n  t: {cgroup: b}\npartners:\n" partners                 \
	     "grants:\n" grants STRANGERS
#define P "  p: {addresses: 10.0.0.0/8}\n"
#define Q "  q: {addresses: 203.0.113.0/24}\n"
#define G "  - {name: g, service: s, partner: p, serves: tcp/22, budget: none}\n"
#define H "  - {name: h, service: [s, t], partner: [p, q], serves: tcp/443, budget: none}\n"

#define OPEN	  ", hours: \"Mon-Sun 00:00-24:00\"}\n"
#define NIGHT	  ", hours: \"Mon-Sun 03:00-04:00\"}\n"
#define IN(hours) "  - {name: g, service: s, partner: p, serves: tcp/22, budget: none" hours
#define RANGE	  "  - {name: g, service: s, partner: p, serves: tcp/22-500, budget: none}\n"
#define ONE	  "  - {name: i, service: s, partner: p, serves: tcp/22, budget: none}\n"

static void grants(void **state)
{
	static const struct change changes[] = {
		{TWO(P Q, G H), TWO(P Q, G H), "grant:g", NULL, "", 0},
		/* another budget, other grants behind it */
		{TWO(P Q, G H),
		 TWO(P Q, "  - {name: g, service: s, partner: p, serves: tcp/22, "
			  "budget: [1MiB/1h]}\n"),
		 "grant:g", NULL, "", 0},
		/* fewer ports; one of them in another grant; in one service less; other hours */
		{TWO(P Q, RANGE), TWO(P Q, G), "grant:g", NULL, "addr:10.0.0.0/8@service:s", 0},
		{TWO(P Q, RANGE), TWO(P Q, RANGE ONE), "grant:g", NULL, "addr:10.0.0.0/8@service:s",
		 0},
		{TWO(P Q, H),
		 TWO(P Q, "  - {name: h, service: t, partner: [p, q], serves: tcp/443, budget: "
			  "none}\n"),
		 "grant:h", NULL, "addr:10.0.0.0/8@service:s addr:203.0.113.0/24@service:s", 15},
		{TWO(P Q, IN(NIGHT)), TWO(P Q, IN(NIGHT)), "grant:g", NULL, "", 0},
		{TWO(P Q, IN(OPEN)), TWO(P Q, IN(NIGHT)), "grant:g", NULL,
		 "addr:10.0.0.0/8@service:s", 12},
		/* its partner's addresses are another's */
		{TWO(P Q, G), TWO("  p: {addresses: 10.0.0.0/16}\n" Q, G), "grant:g", NULL,
		 "addr:10.0.0.0/8@service:s", 12},
		/* what else is granted there went by another grant, if at all */
		{TWO(P Q, G H), TWO(P Q, H), "grant:g", NULL, "addr:10.0.0.0/8@service:s", 12},
		{TWO(P Q, G H), TWO(P Q, G), "grant:h", NULL,
		 "addr:10.0.0.0/8@service:s addr:10.0.0.0/8@service:t "
		 "addr:203.0.113.0/24@service:s addr:203.0.113.0/24@service:t",
		 25},
		{TWO(P Q, G H), TWO(P Q, G), "grant:h@service:t", NULL,
		 "addr:10.0.0.0/8@service:t addr:203.0.113.0/24@service:t", 10},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		go_back(*state, &changes[i]);
}

static void classes(void **state)
{
#define CLASSED                                                                                    \
	HEAD "services:\n  s: {cgroup: a, class: [k]}\n  t: {cgroup: b}\n"                         \
	     "partners:\n  p: {addresses: 10.0.0.0/8, class: [k]}\n  q: {addresses: 11.0.0.0/8}\n" \
	     "grants:\n"                                                                           \
	     "  - {name: g, service: t, partner: q, serves: tcp/22, budget: none, class: [k]}\n"   \
	     "  - {name: h, service: [s, t], partner: any, serves: tcp/443, budget: "              \
	     "none}\n" STRANGERS
	static const struct change changes[] = {
		{CLASSED, CLASSED, "class:k", NULL, "", 0},
		/* members of it, without a class */
		{CLASSED,
		 HEAD
		 "services:\n  s: {cgroup: a}\n  t: {cgroup: b}\n"
		 "partners:\n  p: {addresses: 10.0.0.0/8}\n  q: {addresses: 11.0.0.0/8}\n"
		 "grants:\n"
		 "  - {name: g, service: t, partner: q, serves: tcp/22, budget: none}\n" STRANGERS,
		 "class:k", NULL, "addr:10.0.0.0/8 service:s grant:g", 0},
		/* none of them is there */
		{CLASSED,
		 TWO(Q, "  - {name: h, service: t, partner: q, serves: tcp/80, budget: none}\n"),
		 "class:k", NULL, "addr:10.0.0.0/8 service:s addr:11.0.0.0/8@service:t", 2},
		{CLASSED,
		 TWO(Q, "  - {name: h, service: t, partner: q, serves: tcp/80, budget: none}\n"),
		 "class:k", "partner:p", "service:s addr:11.0.0.0/8@service:t", 24 + 2},
		/* the class is there, of something else */
		{CLASSED,
		 HEAD
		 "services:\n  s: {cgroup: a}\n  t: {cgroup: b, class: [k]}\n"
		 "partners:\n  p: {addresses: 10.0.0.0/8}\n"
		 "grants:\n"
		 "  - {name: h, service: t, partner: p, serves: tcp/22, budget: none}\n" STRANGERS,
		 "class:k", NULL, "addr:10.0.0.0/8 service:s", 26},
		/* in one service */
		{CLASSED, TWO(P Q, G), "class:k@service:t", NULL,
		 "addr:10.0.0.0/8@service:t addr:11.0.0.0/8@service:t grant:g@service:t", 2},
	};

	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		go_back(*state, &changes[i]);
}

/* ---- room ----------------------------------------------------------------------------------- */

/* A partner with 600 prefixes: /24s of 10.x.0.0, and IPv6. `more`: of other partners. */
static char *wide_policy(const char *more)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	fputs(HEAD SERVICES "partners:\n  p: {addresses: [\"2001:db8::/32\"", out);
	for (int i = 0; i < 600; i++)
		fprintf(out, ", 10.%d.%d.0/24", i % 3, i / 3);
	fprintf(out, "]}\n%s" GRANTS STRANGERS, more);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* With signed cuts, up to `count`. */
static void fill(struct orders *orders, size_t count)
{
	static const uint8_t body[32] = {1};
	struct order_text text = {.target = "addr:192.0.2.7",
				  .reason = "why",
				  .by = "me",
				  .since_ns = 1,
				  .body = body};
	uint64_t id;

	while (orders->count < count)
		assert_int_equal(orders_add_cut(orders, &text, &id), 0);
}

static void what_has_no_room_is_cut_shorter(void **state)
{
	_cleanup_free_ char *text = wide_policy("");
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct image after = image_of(POLICY(Q));
	struct host *host = *state;
	char *problem = NULL, *words;
	uint64_t first;

	take_policy(host, text);
	add_cut(&orders, "partner:p");
	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), &orders, &problem), 0);
	assert_in_range(orders.count, 3, 257);
	/* without room, one for each family is enough: from that of signed orders */
	orders_free(&orders);
	orders = (struct orders){.next = 1};
	first = add_cut(&orders, "partner:p") + 1;
	orders.spare = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED - 4;
	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), &orders, &problem), 0);
	words = words_of(&orders, first);
	assert_string_equal(words, "addr:10.0.0.0/14 addr:2001:db8::/32");
	free(words);
	/* with none at all it does not go back, and nothing is changed */
	assert_int_equal(orders_remove(&orders, first), 0);
	assert_int_equal(orders_remove(&orders, first + 1), 0);
	fill(&orders, WEIR_MAX_ORDERS - 1);
	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), &orders, &problem),
			 -ENOSPC);
	assert_non_null(strstr(problem, "no room"));
	assert_int_equal(orders.count, WEIR_MAX_ORDERS - 1);
	free(problem);
	orders_free(&orders);
	image_free(&after);
}

/* ---- of several cuts ------------------------------------------------------------------------- */

#define TEN    "  p: {addresses: 10.0.0.0/8}\n"
#define WITHIN TEN "  q: {addresses: 10.1.0.0/16}\n"

/* As `before` is left for POLICY(Q). */
static void go_to_q(struct host *host, struct orders *orders)
{
	struct image after = image_of(POLICY(Q));
	char *problem = NULL;

	assert_int_equal(cuts_outlive(&host->image, &after, wall_now(), orders, &problem), 0);
	image_free(&after);
}

static void assert_words(const struct orders *orders, uint64_t first, const char *expected)
{
	char *words = words_of(orders, first);

	assert_string_equal(words, expected);
	free(words);
}

static void what_is_let_back_from_another_cut_stays_cut_by_this_one(void **state)
{
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct host *host = *state;
	uint64_t all;

	take_policy(host, POLICY(TEN));
	add_cut(&orders, "partner:p");
	all = add_cut(&orders, "all");
	let_back(&orders, all, "addr:10.0.0.0/8");
	go_to_q(host, &orders);
	assert_words(&orders, all + 2, "addr:10.0.0.0/8");
	assert_int_equal(orders.item[orders.count - 1].stands_for, 1);
}

/* One that is reopened takes its own along, and no other's. */
static void each_cut_has_stand_ins_of_its_own(void **state)
{
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct host *host = *state;
	uint64_t second;

	take_policy(host, POLICY(TEN));
	add_cut(&orders, "partner:p");
	second = add_cut(&orders, "partner:p");
	go_to_q(host, &orders);
	assert_words(&orders, second + 1, "addr:10.0.0.0/8 addr:10.0.0.0/8");
	assert_int_equal(orders.item[orders.count - 2].stands_for, 1);
	assert_int_equal(orders.item[orders.count - 1].stands_for, second);
}

/* It is as much of a signed order, and ends when it does; so does what is let back of it. */
static void a_stand_in_is_of_the_same_order_and_ends_with_it(void **state)
{
	static const uint8_t body[32] = {4, 7, 1, 1};
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct order_text text = {.target = "partner:p",
				  .reason = "why",
				  .by = "me",
				  .since_ns = 1,
				  .until_ns = wall_now() + UINT64_C(3600000000000),
				  .body = body};
	struct host *host = *state;
	uint64_t cut;

	take_policy(host, POLICY(WITHIN));
	assert_int_equal(orders_add_cut(&orders, &text, &cut), 0);
	go_to_q(host, &orders);
	assert_words(&orders, cut + 1, "addr:10.0.0.0/8 -addr:10.1.0.0/16");
	assert_true(order_is_of(&orders.item[1], body));
	assert_int_equal(orders.item[1].until_ns, text.until_ns);
	assert_int_equal(orders.item[2].until_ns, 0);
	assert_true(order_is_of(&orders.item[2], body));
}

/* ---- what orders add to a partner ------------------------------------------------------------ */

static void add_prefix(struct orders *orders, const char *target, const char *address,
		       uint64_t until_ns)
{
	uint8_t prefix[16];
	struct order_text text = {.kind = WEIR_ORDER_PARTNER_ADD,
				  .target = target,
				  .reason = "moved",
				  .by = "me",
				  .since_ns = 1,
				  .until_ns = until_ns,
				  .address = prefix,
				  .prefix_bits = 120};
	uint64_t id;

	assert_int_equal(address_parse(address, prefix), 0);
	assert_int_equal(orders_add_override(orders, &text, &id), 0);
}

/* Of the partner that is cut; as long as it lasts. */
static void what_was_added_to_it_stays_cut(void **state)
{
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct host *host = *state;
	uint64_t now = wall_now(), cut;

	take_policy(host, POLICY(TEN "  o: {addresses: 11.0.0.0/8}\n"));
	add_prefix(&orders, "partner:p", "192.0.2.0", now + UINT64_C(3600000000000));
	add_prefix(&orders, "partner:p", "198.51.100.0", now - 1);
	add_prefix(&orders, "partner:o", "203.0.113.0", now + UINT64_C(3600000000000));
	cut = add_cut(&orders, "partner:p");
	go_to_q(host, &orders);
	assert_words(&orders, cut + 1, "addr:10.0.0.0/8 addr:192.0.2.0/24");
}

/* Nothing is let back of a prefix that was made shorter: what is inside is none of its own. */
static void a_shorter_prefix_has_no_exception(void **state)
{
	_cleanup_free_ char *text = wide_policy("  q: {addresses: [10.0.0.128/25, 10.1.0.0/25]}\n");
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct host *host = *state;

	take_policy(host, text);
	add_cut(&orders, "partner:p");
	go_to_q(host, &orders);
	assert_in_range(orders.count, 3, 257);
	for (size_t i = 0; i < orders.count; i++)
		assert_int_equal(orders.item[i].parent, 0);
}

/* Nor is anything where there is no room for it; from that of signed orders are the cuts. */
static void without_room_there_is_no_exception(void **state)
{
	_cleanup_orders_ struct orders orders = {.next = 1};
	struct host *host = *state;
	uint64_t cut;

	take_policy(host, POLICY("  p: {addresses: [10.0.0.0/16, 10.2.0.0/16, 10.4.0.0/16]}\n"
				 "  q: {addresses: [10.0.1.0/24, 10.2.1.0/24, 10.4.1.0/24]}\n"));
	cut = add_cut(&orders, "partner:p");
	orders.spare = WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED - 2;
	go_to_q(host, &orders);
	assert_words(&orders, cut + 1, "addr:10.0.0.0/14 addr:10.4.0.0/14");
}

/* ---- the host ------------------------------------------------------------------------------- */

/* On trial, with a partner and a service that the applied one lacks. */
static void try_more(struct host *host)
{
	_cleanup_free_ char *text = policy_named("more");
	char *at = strstr(text, "payer: {");

	done(apply_named(host, "good", 0));
	memcpy(at, "other", 5);
	at = strstr(text, "partner: payer");
	memcpy(at + 9, "other", 5);
	done(apply(host, text, "{\"confirm_seconds\":60}"));
}

static json_object *status_cut(json_object *status, const char *id)
{
	json_object *cuts = member(status, "cuts");

	for (size_t i = 0; i < json_object_array_length(cuts); i++) {
		json_object *cut = json_object_array_get_idx(cuts, i);

		if (strcmp(json_object_get_string(member(cut, "id")), id) == 0)
			return cut;
	}
	fail_msg("no %s in %s", id, json_object_to_json_string(cuts));
	return NULL;
}

static size_t saved_orders(void)
{
	struct orders orders = {0};
	char path[96];
	size_t count;

	snprintf(path, sizeof(path), "%s/unit/orders.json", state_root);
	assert_int_equal(orders_load(path, &orders), 0);
	count = orders.count;
	for (size_t i = 0; i < count; i++) {
		if (strncmp(orders.item[i].target, "addr:", 5) == 0)
			assert_int_equal(orders.item[i].stands_for, 1);
	}
	orders_free(&orders);
	return count;
}

static void no_cut_holds_up_the_way_back(void **state)
{
	struct host *host = *state;
	char *problem = NULL;
	json_object *answer;

	try_more(host);
	done(cut(host, "partner:other"));
	refused(ask(host, "{\"request\":\"rollback\"}"), "c1 cuts partner:other");
	assert_string_equal(host->image.name, "more");
	fake.calls[0] = '\0';
	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_string_equal(host->image.name, "good");
	assert_int_equal(host->trial_until_ns, 0);
	/* the texts, the cuts with the policy, then what may be open of them */
	assert_string_equal(fake.calls, "set_orders apply sever");
	assert_int_equal(fake.cut_count, 2);
	assert_int_equal(fake.order_count, 2);
	assert_int_equal(saved_orders(), 2);
	answer = ask(host, "{\"request\":\"status\"}");
	assert_false(json_object_get_boolean(member(status_cut(answer, "c1"), "has_object")));
	assert_string_equal(json_object_get_string(member(status_cut(answer, "c2"), "target")),
			    "addr:198.51.100.32/28");
	assert_string_equal(json_object_get_string(member(status_cut(answer, "c2"), "stands_for")),
			    "c1");
	json_object_put(answer);
	answer = ask(host, "{\"request\":\"orders\"}");
	assert_non_null(strstr(json_object_to_json_string(answer), "\"c2\""));
	json_object_put(answer);
	/* it covers nothing now: another policy and the same once more take nothing away */
	assert_int_equal(host_renew(host, &problem), 0);
	done(apply_named(host, "next", 0));
	done(reopen(host, "partner:other", NULL));
	assert_int_equal(host->orders.count, 0);
}

/* By its number, and as an inner cut. */
static void a_stand_in_can_be_reopened_alone(void **state)
{
	struct host *host = *state;
	char *problem = NULL;

	try_more(host);
	done(cut(host, "partner:other"));
	assert_int_equal(end_by_itself(host, &problem), 0);
	done(reopen(host, "addr:198.51.100.32/28", NULL));
	assert_int_equal(host->orders.count, 1);
	done(reopen(host, NULL, "c1"));
	assert_int_equal(host->orders.count, 0);
}

static void a_kernel_that_refuses_leaves_the_trial(void **state)
{
	struct host *host = *state;
	char *problem = NULL;

	try_more(host);
	done(cut(host, "partner:other"));
	fake.fail_apply = -EIO;
	assert_int_equal(end_by_itself(host, &problem), -EIO);
	free(problem);
	assert_string_equal(host->image.name, "more");
	assert_int_equal(host->orders.count, 1);
	assert_int_equal(fake.order_count, 1);
	fake.fail_apply = 0;
	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_int_equal(host->orders.count, 2);
	assert_int_equal(saved_orders(), 2);
}

/* The file of the trial stays as long as the orders are on no disk: they can be made from it. */
static void a_full_disk_does_not_hold_it_up(void **state)
{
	struct host *host = *state;
	char *problem = NULL, path[96], *part;

	try_more(host);
	done(cut(host, "partner:other"));
	snprintf(path, sizeof(path), "%s/unit/orders.json", state_root);
	part = path + strlen(path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* a name that no file can take */
	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_string_equal(host->image.name, "good");
	assert_true(host->has_unsaved_orders);
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_equal(rmdir(path), 0);
	strcpy(part - strlen("orders.json"), "trial.json");
	assert_int_equal(access(path, F_OK), 0);
	host_forget_ended(host);
	assert_int_equal(access(path, F_OK), -1);
}

/* One that still is on trial keeps it. */
static void only_an_ended_trial_is_forgotten(void **state)
{
	struct host *host = *state;
	char path[96];

	try_more(host);
	snprintf(path, sizeof(path), "%s/unit/trial.json", state_root);
	host_forget_ended(host);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_not_equal(host->trial_until_ns, 0);
}

static void there_is_no_way_back_from_the_first_one(void **state)
{
	struct host *host = *state;

	done(apply_named(host, "good", 0));
	refused(ask(host, "{\"request\":\"rollback\"}"), "there is no policy before this one");
	assert_string_equal(host->image.name, "good");
}

static char *last_kind(struct host *host)
{
	json_object *answer = ask(host, "{\"request\":\"orders\"}");
	json_object *orders = member(answer, "orders"), *last;
	char *kind;

	last = json_object_array_get_idx(orders, json_object_array_length(orders) - 1);
	kind = strdup(json_object_get_string(member(member(last, "record"), "kind")));
	json_object_put(answer);
	return kind;
}

/* Who takes it back by hand has a line of its own. */
static void the_journal_says_how_it_ended(void **state)
{
	struct host *host = *state;
	char *problem = NULL, *kind;

	try_more(host);
	assert_int_equal(end_by_itself(host, &problem), 0);
	kind = last_kind(host);
	assert_string_equal(kind, "trial-over");
	free(kind);
	try_more(host);
	done(ask(host, "{\"request\":\"rollback\"}"));
	kind = last_kind(host);
	assert_string_equal(kind, "rollback");
	free(kind);
}

/* Where no policy was before it, the lifeline and the services' names stay: also for whoever opens
 * the state directory later, and until another policy is applied. */
static void back_to_no_policy_the_lifeline_stays(void **state)
{
	static const char lines[] = "lifeline:\n  - {service: portal, serves: tcp/22, to: "
				    "[192.0.2.0/24], why: jump hosts}\n";
	_cleanup_free_ char *text = NULL;
	struct image image = {0};
	struct host *host = *state;
	char *problem = NULL;

	assert_int_not_equal(asprintf(&text, "%s%s", a_policy, lines), -1);
	done(apply(host, text, "{\"confirm_seconds\":60}"));
	done(cut(host, "all"));
	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_string_equal(host->image.name, "none");
	assert_int_equal(host->image.head.mode, WEIR_OBSERVE);
	assert_int_equal(host->image.head.grants, 1);
	assert_int_equal(host->image.head.lifeline_rules, 1);
	assert_int_not_equal(image_service(&host->image, "sftp"), WEIR_ANY);
	assert_int_equal(default_image(host, wall_now(), &image), 0);
	assert_int_equal(image.head.lifeline_rules, 1);
	assert_memory_equal(image.head.digest, host->image.head.digest, sizeof(image.head.digest));
	image_free(&image);
}

/* It is lost, and that is told; but the guard goes back. */
static void a_full_disk_keeps_no_lifeline_and_holds_nothing_up(void **state)
{
	struct host *host = *state;
	char *problem = NULL, path[96];

	done(apply(host, a_policy, "{\"confirm_seconds\":60}"));
	snprintf(path, sizeof(path), "%s/unit/lifeline.json", state_root);
	assert_int_equal(mkdir(path, 0700), 0); /* a name that no file can take */
	assert_int_equal(end_by_itself(host, &problem), 0);
	assert_string_equal(host->image.name, "none");
	assert_int_equal(host->trial_until_ns, 0);
	assert_int_equal(access(path, F_OK), -1); /* damaged: set aside */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(partners, host_up, host_down),
		cmocka_unit_test_setup_teardown(services, host_up, host_down),
		cmocka_unit_test(heirs),
		cmocka_unit_test_setup_teardown(grants, host_up, host_down),
		cmocka_unit_test_setup_teardown(classes, host_up, host_down),
		cmocka_unit_test_setup_teardown(what_has_no_room_is_cut_shorter, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(
			what_is_let_back_from_another_cut_stays_cut_by_this_one, host_up,
			host_down),
		cmocka_unit_test_setup_teardown(each_cut_has_stand_ins_of_its_own, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(a_stand_in_is_of_the_same_order_and_ends_with_it,
						host_up, host_down),
		cmocka_unit_test_setup_teardown(what_was_added_to_it_stays_cut, host_up, host_down),
		cmocka_unit_test_setup_teardown(a_shorter_prefix_has_no_exception, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(without_room_there_is_no_exception, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(only_an_ended_trial_is_forgotten, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(there_is_no_way_back_from_the_first_one, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(the_journal_says_how_it_ended, host_up, host_down),
		cmocka_unit_test_setup_teardown(a_full_disk_keeps_no_lifeline_and_holds_nothing_up,
						host_up, host_down),
		cmocka_unit_test_setup_teardown(back_to_no_policy_the_lifeline_stays, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(no_cut_holds_up_the_way_back, host_up, host_down),
		cmocka_unit_test_setup_teardown(a_stand_in_can_be_reopened_alone, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(a_kernel_that_refuses_leaves_the_trial, host_up,
						host_down),
		cmocka_unit_test_setup_teardown(a_full_disk_does_not_hold_it_up, host_up,
						host_down),
	};

	return cmocka_run_group_tests_name("outliving", tests, NULL, NULL);
}
