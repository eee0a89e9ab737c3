/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_compile.c - the tables that a policy becomes: keys, classes, budgets, prefixes against a
 * naive look-up, profiles and rules, the lifeline, limits; and how large policies behave.
 */
#include "tests/unit/compiled.h"

#include <netinet/in.h>
#include <time.h>

#include "user/base/units.h"
#include "user/policy/siphash.h"

#define HEAD "weir: 1\nname: t\nmode: enforce\n"

/* What user space alone goes by, beside the tables. */
static void test_four_eyes_and_reserve(void **state)
{
	static const char text[] =
		HEAD "four_eyes: true\nservices: {s: {cgroup: a}}\n"
		     "partners: {p: {addresses: 192.0.2.1}, q: {addresses: 192.0.2.2}}\n"
		     "grants:\n"
		     "- {name: g, service: s, partner: p, serves: tcp/22, budget: [1GiB/1h]}\n"
		     "- {name: h, service: s, partner: q, serves: tcp/22, budget: [1GiB/1h],\n"
		     "   reserve: 3GiB/7d}\n";
	struct image image;

	(void)state;
	image = compile_good(text);
	assert_true(image.four_eyes);
	assert_int_equal(image.reserves[image_grant(&image, "g")].bytes, 0);
	assert_int_equal(image.reserves[image_grant(&image, "h")].bytes, UINT64_C(3) << 30);
	assert_int_equal(image.reserves[image_grant(&image, "h")].window_ns, 7 * NS_PER_DAY);
	image_free(&image);
	image = compile_good(HEAD);
	assert_false(image.four_eyes);
	image_free(&image);
}

/* ---- keys
 * --------------------------------------------------------------------------------------*/

/* From the reference implementation's vectors: key 00..0f, input 00, 01, ... */
static void test_siphash(void **state)
{
	const uint64_t key[2] = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
	uint8_t input[15];

	(void)state;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = i;
	assert_true(siphash(key, input, 0) == 0x726fdb47dd0e0e31ULL);
	assert_true(siphash(key, input, 1) == 0x74f839c593dc67fdULL);
	assert_true(siphash(key, input, 8) == 0x93f5f5799a932462ULL);
	assert_true(siphash(key, input, 15) == 0xa129ca6149be45e5ULL);
}

/* Meters on disk and in the kernel are found by these: they must never change. */
static void test_keys(void **state)
{
	char longest[600];

	(void)state;
	assert_true(image_key("service", "sftp") == image_key("service", "sftp"));
	assert_true(image_key("service", "sftp") != image_key("grant", "sftp"));
	assert_true(image_key("partner", "a") != image_key("partner", "b"));
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_true(image_key("partner", longest) != image_key("partner", longest + 1));
	print_message("key of partner:a is %#llx\n", (unsigned long long)image_key("partner", "a"));
}

/* ---- records
 * -----------------------------------------------------------------------------------*/

static const char records[] =
	HEAD "services:\n"
	     "  a: {cgroup: a, class: [red], budget: [2TiB/24h, 1GiB/1h]}\n"
	     "  b: {cgroup: b, mode: observe, strangers: {serves: none, total: [3MiB/1h]}}\n"
	     "partners:\n"
	     "  p: {addresses: [192.0.2.0/24], class: [blue, red], until: 2027-12-31,\n"
	     "      budget: [1GiB/1h], info: {contact: somebody, owner: else}}\n"
	     "grants:\n"
	     "- {name: g, service: a, partner: p, serves: tcp/22, budget: [12GiB/20h, 2GiB/1h],\n"
	     "   on_breach: sever, class: [green]}\n"
	     "strangers: {serves: [64KiB/10m], calls: deny, total: [1MiB/1h], on_breach: alert}\n";

static void test_records(void **state)
{
	struct image image = compile_good(records);
	const struct weir_service *a = &image.services[image_service(&image, "a")];
	const struct weir_service *b = &image.services[image_service(&image, "b")];
	const struct weir_partner *p = &image.partners[image_partner(&image, "p")];
	const struct weir_grant *g = &image.grants[image_grant(&image, "g")];
	uint32_t red = image_class(&image, "red"), blue = image_class(&image, "blue");
	uint32_t green = image_class(&image, "green");

	(void)state;
	assert_string_equal(image.name, "t");
	assert_int_equal(image.head.services, WEIR_SERVICE_NAMED + 2);
	assert_int_equal(image_service(&image, "stack"), WEIR_SERVICE_STACK);
	assert_int_equal(image_service(&image, "c"), WEIR_ANY);
	assert_int_equal(image_partner(&image, ""), WEIR_ANY);
	assert_true(a->key == image_key("service", "a"));
	assert_int_equal(image.services[WEIR_SERVICE_OTHER].key, WEIR_KEY_SERVICE_OTHER);
	assert_int_equal(a->classes[0], 1 << red);
	assert_int_equal(p->classes[0], 1 << red | 1 << blue);
	assert_int_equal(g->classes[0], 1 << green);
	/* rising windows, and zeros behind them */
	assert_int_equal(a->ceiling.window[0].window_ns, NS_PER_HOUR);
	assert_int_equal(a->ceiling.window[1].window_ns, 24 * NS_PER_HOUR);
	assert_int_equal(a->ceiling.window[2].window_ns, 0);
	assert_int_equal(g->budget.window[0].bytes, 2ull << 30);
	assert_int_equal(g->on_breach, WEIR_SEVER);
	assert_int_equal(p->from_ns, 0);
	assert_int_equal(p->until_ns / NS_PER_DAY, 1830297600ull / 86400); /* 2028-01-01 */
	assert_int_equal(a->strangers.serves_rule, WEIR_BUDGET);
	assert_int_equal(a->strangers.calls_rule, WEIR_DENY);
	assert_int_equal(a->strangers.on_breach, WEIR_ALERT);
	assert_int_equal(b->mode, WEIR_OBSERVE);
	assert_int_equal(b->strangers.serves_rule, WEIR_UNLIMITED);
	assert_int_equal(b->strangers.calls_rule, WEIR_DENY);
	assert_int_equal(b->strangers.total.window[0].bytes, 3 << 20);
	assert_string_equal(image.partner_info_keys[1].item[1].text, "owner");
	assert_string_equal(image.partner_info_values[1].item[0].text, "somebody");
	image_free(&image);
}

static void test_no_strangers_section(void **state)
{
	struct image image = compile_good(HEAD "services: {a: {cgroup: a}}\n");

	(void)state;
	assert_int_equal(image.services[3].strangers.serves_rule, WEIR_DENY);
	assert_int_equal(image.services[3].strangers.calls_rule, WEIR_DENY);
	assert_int_equal(image.services[3].strangers.total.window[0].window_ns, 0);
	image_free(&image);
}

static void test_default_policy(void **state)
{
	struct policy policy;
	struct faults faults = {0};
	struct image image;
	struct weir_answer answer;

	(void)state;
	assert_int_equal(policy_default(&policy), 0);
	assert_int_equal(image_compile(&policy, TEST_NOW_NS, &image, &faults), 0);
	answer = ask(&image, "other", WEIR_CALLS, "tcp/443", "192.0.2.1", TEST_NOW_NS);
	assert_int_equal(answer.verdict, WEIR_PASS);
	assert_int_equal(answer.observe, 1);
	image_free(&image);
	policy_free(&policy);
}

/* ---- prefixes
 * ----------------------------------------------------------------------------------*/

enum { RANDOM_PARTNERS = 60, RANDOM_EACH = 5 };

static void random_prefix(struct prefix *prefix)
{
	memset(prefix, 0, sizeof(*prefix));
	if (rand() % 2) {
		prefix->address[10] = prefix->address[11] = 0xff;
		prefix->address[12] = 10;
		prefix->bits = 96 + rand() % 33;
	} else {
		if (rand() % 4)
			prefix->address[0] = 0x20;
		prefix->bits = rand() % 129;
	}
	/* few values, so that they nest; ::ffff:0:0/96 and around it too */
	for (int i = 12; i < 16; i++)
		prefix->address[i] |= (rand() % 3) << (rand() % 8);
	prefix_mask(prefix->address, prefix->bits);
}

static uint32_t naive_partner(const struct policy *policy, const uint8_t address[16])
{
	uint32_t partner = WEIR_NO_PARTNER;
	int longest = -1;

	for (size_t i = 0; i < policy->partner_count; i++) {
		const struct prefixes *addresses = &policy->partners[i].addresses;

		for (size_t j = 0; j < addresses->count; j++) {
			const struct prefix *p = &addresses->item[j];

			if (p->bits > longest && prefix_covers(p->address, p->bits, address)) {
				longest = p->bits;
				partner = i + 1;
			}
		}
	}
	return partner;
}

static bool is_taken(const struct policy *policy, const struct prefix *prefix)
{
	for (size_t i = 0; i < policy->partner_count; i++) {
		const struct prefixes *addresses = &policy->partners[i].addresses;

		for (size_t j = 0; j < addresses->count; j++) {
			if (addresses->item[j].bits == prefix->bits &&
			    !memcmp(addresses->item[j].address, prefix->address, 16))
				return true;
		}
	}
	return false;
}

static struct policy random_partners(void)
{
	struct policy policy = {.name = strdup("random")};

	policy.partners = calloc(RANDOM_PARTNERS, sizeof(*policy.partners));
	for (int i = 0; i < RANDOM_PARTNERS; i++) {
		struct partner *partner = &policy.partners[i];
		struct prefix prefix;
		char name[16];

		snprintf(name, sizeof(name), "p%d", i);
		partner->name.text = strdup(name);
		partner->validity.until_ns = UINT64_MAX;
		partner->addresses.item = calloc(RANDOM_EACH, sizeof(prefix));
		policy.partner_count++;
		for (int j = 0; j < RANDOM_EACH; j++) {
			random_prefix(&prefix);
			if (!is_taken(&policy, &prefix))
				partner->addresses.item[partner->addresses.count++] = prefix;
		}
	}
	return policy;
}

static void test_longest_prefix(void **state)
{
	(void)state;
	srand(11);
	for (int round = 0; round < 100; round++) {
		struct policy policy = random_partners();
		struct faults faults = {0};
		struct image image;

		assert_int_equal(image_compile(&policy, TEST_NOW_NS, &image, &faults), 0);
		for (int i = 0; i < 1000; i++) {
			struct prefix at;

			random_prefix(&at);
			for (int bit = at.bits; rand() % 3 && bit < 128; bit++)
				at.address[bit / 8] ^= (rand() & 1) << (7 - bit % 8);
			assert_int_equal(image_partner_of(&image, at.address),
					 naive_partner(&policy, at.address));
		}
		image_free(&image);
		policy_free(&policy);
	}
}

/* ---- rules
 * -------------------------------------------------------------------------------------*/

static const char ranks[] = HEAD
	"services:\n"
	"  a: {cgroup: a, class: [c]}\n"
	"  b: {cgroup: b}\n"
	"partners:\n"
	"  p: {addresses: [192.0.2.1], class: [k]}\n"
	"  q: {addresses: [192.0.2.2], class: [k]}\n"
	"  r: {addresses: [192.0.2.3]}\n"
	"grants:\n"
	"- {name: any-any, service: any, partner: any, serves: tcp/1-65535, budget: none}\n"
	"- {name: class-any, service: any, partner: class:k, serves: tcp/1-65535, budget: none}\n"
	"- {name: name-any, service: any, partner: p, serves: tcp/1-1000, budget: none}\n"
	"- {name: name-class, service: class:c, partner: p, serves: tcp/1-500, budget: none}\n"
	"- {name: name-wide, service: a, partner: [p, class:k], serves: tcp/1-100, budget: none}\n"
	"- {name: name-narrow, service: a, partner: p, serves: tcp/22, budget: none}\n"
	"- {name: pings, service: b, partner: r, calls: icmp, budget: none}\n";

static void assert_grant(const struct image *image, const char *service, const char *endpoint,
			 const char *peer, const char *grant)
{
	struct weir_answer answer = ask(image, service, WEIR_SERVES, endpoint, peer, TEST_NOW_NS);

	assert_string_equal(image->grant_names[answer.grant], grant);
}

static void test_rank(void **state)
{
	struct image image = compile_good(ranks);

	(void)state;
	assert_grant(&image, "a", "tcp/22", "192.0.2.1", "name-narrow");
	assert_grant(&image, "a", "tcp/23", "192.0.2.1", "name-wide");
	assert_grant(&image, "a", "tcp/101", "192.0.2.1", "name-class");
	assert_grant(&image, "a", "tcp/501", "192.0.2.1", "name-any");
	assert_grant(&image, "a", "tcp/1001", "192.0.2.1", "class-any");
	assert_grant(&image, "a", "tcp/22", "192.0.2.2", "name-wide");
	assert_grant(&image, "b", "tcp/22", "192.0.2.1", "name-any");
	assert_grant(&image, "b", "tcp/22", "192.0.2.2", "class-any");
	assert_grant(&image, "b", "tcp/22", "192.0.2.3", "any-any");
	assert_grant(&image, "other", "tcp/22", "192.0.2.1", "");
	assert_int_equal(ask(&image, "b", WEIR_CALLS, "proto/58", "192.0.2.3", 0).reason,
			 WEIR_REASON_GRANT);
	image_free(&image);
}

static const char profiles[] =
	HEAD "services: {a: {cgroup: a}, b: {cgroup: b}}\n"
	     "partners:\n"
	     "  p: {addresses: [192.0.2.1], class: [k, unused]}\n"
	     "  q: {addresses: [192.0.2.2], class: [k]}\n"
	     "  r: {addresses: [192.0.2.3], class: [k]}\n"
	     "  s: {addresses: [192.0.2.4]}\n"
	     "grants:\n"
	     "- {name: g, service: [a, b], partner: class:k, serves: tcp/22, budget: none}\n"
	     "- {name: h, service: a, partner: r, serves: tcp/23, budget: none}\n";

static void test_profiles(void **state)
{
	struct image image = compile_good(profiles);
	const struct weir_partner *p = &image.partners[1], *q = p + 1, *r = p + 2, *s = p + 3;
	struct weir_span of_a, of_b;

	(void)state;
	assert_int_equal(p->profile, q->profile);
	assert_int_not_equal(p->profile, r->profile);
	assert_int_equal(s->profile, 0);
	assert_int_equal(image.partners[WEIR_NO_PARTNER].profile, 0);
	assert_int_equal(image.pair_count, 4); /* none for s */
	assert_int_equal(image_rules_of(&image, 3, 0).count, 0);
	/* b's rules are the same for all three: stored once */
	of_a = image_rules_of(&image, 3, p->profile);
	of_b = image_rules_of(&image, 4, r->profile);
	assert_int_equal(of_a.first, of_b.first);
	assert_int_equal(image_rules_of(&image, 3, r->profile).count, 2);
	assert_int_equal(image.head.rules, 3);
	image_free(&image);
}

/* ---- the lifeline
 * ------------------------------------------------------------------------------*/

static const char lifelines[] =
	HEAD "services: {admin: {cgroup: a}, resolver: {cgroup: b}}\n"
	     "lifeline:\n"
	     "- {service: admin, serves: tcp/22, to: [192.0.2.0/24, \"::/0\"], why: jump}\n"
	     "- {service: resolver, calls: [udp/53, icmp], to: [192.0.2.53], why: names,\n"
	     "   warn: 10MiB/1h}\n"
	     "- {service: resolver, calls: tcp/53, to: [0.0.0.0/0, 192.0.2.53], why: more}\n";

static uint32_t lifeline_rules(const struct image *image, const char *peer)
{
	uint8_t address[16];

	assert_int_equal(address_parse(peer, address), 0);
	return image_lifeline_of(image, address).count;
}

static void test_lifeline(void **state)
{
	struct image image = compile_good(lifelines);

	(void)state;
	assert_int_equal(lifeline_rules(&image, "192.0.2.53"), 5); /* icmp is two */
	assert_int_equal(lifeline_rules(&image, "192.0.2.54"), 2);
	assert_int_equal(lifeline_rules(&image, "203.0.113.1"), 1); /* ::/0 is not for IPv4 */
	assert_int_equal(lifeline_rules(&image, "2001:db8::1"), 1);
	assert_int_equal(image.lifeline_prefix_count, 4);
	image_free(&image);
}

/* ---- limits
 * ------------------------------------------------------------------------------------*/

struct text {
	char *data;
	size_t length;
	FILE *stream;
};

/* `text` must stay where it is: the stream writes to it. */
static void text_open(struct text *text)
{
	text->stream = open_memstream(&text->data, &text->length);
	assert_non_null(text->stream);
	fputs(HEAD, text->stream);
}

static void assert_refused(struct text *text, const char *part)
{
	char *problem;

	fclose(text->stream);
	problem = compile_bad(text->data);
	if (!strstr(problem, part))
		print_error("%s\n", problem);
	assert_non_null(strstr(problem, part));
	free(problem);
	free(text->data);
}

static void test_too_many_rules(void **state)
{
	struct text text;

	(void)state;
	text_open(&text);
	fputs("services: {a: {cgroup: a}}\npartners: {p: {addresses: [192.0.2.1]}}\ngrants:\n",
	      text.stream);
	for (int i = 1; i <= WEIR_RULES_PER_PAIR + 1; i++)
		fprintf(text.stream,
			"- {name: g%d, service: a, partner: p, serves: tcp/%d, budget: none}\n", i,
			i);
	assert_refused(&text, "64 rules");
}

static void test_too_many_lifeline_rules(void **state)
{
	struct text text;

	(void)state;
	text_open(&text);
	fputs("services: {a: {cgroup: a}}\nlifeline:\n", text.stream);
	for (int i = 1; i <= WEIR_LIFELINE_RULES + 1; i++)
		fprintf(text.stream, "- {service: a, serves: tcp/%d, to: [192.0.2.1], why: x}\n",
			i);
	assert_refused(&text, "lifeline");
}

static void test_too_many_classes(void **state)
{
	struct text text;

	(void)state;
	text_open(&text);
	fputs("services:\n", text.stream);
	for (int i = 0; i < 257; i++)
		fprintf(text.stream, "  s%d: {cgroup: s%d, class: [c%d]}\n", i, i, i);
	assert_refused(&text, "256");
}

static void test_too_many_services(void **state)
{
	struct text text;

	(void)state;
	text_open(&text);
	fputs("services:\n", text.stream);
	for (int i = 0; i <= WEIR_MAX_SERVICES - WEIR_SERVICE_NAMED; i++)
		fprintf(text.stream, "  s%d: {cgroup: s%d}\n", i, i);
	assert_refused(&text, "services");
}

/* A table of rules that would be too large ends in a fault too, not in gigabytes. */
static void test_too_many_pairs(void **state)
{
	struct policy policy = {.name = strdup("large"), .service_count = 4000};
	struct faults faults = {0};
	struct image image;
	char name[32];

	(void)state;
	policy.services = calloc(policy.service_count, sizeof(*policy.services));
	policy.partner_count = policy.grant_count = 2000;
	policy.partners = calloc(policy.partner_count, sizeof(*policy.partners));
	policy.grants = calloc(policy.grant_count, sizeof(*policy.grants));
	for (size_t i = 0; i < policy.service_count; i++) {
		snprintf(name, sizeof(name), "n%zu", i);
		policy.services[i].name.text = strdup(name);
	}
	for (size_t i = 0; i < policy.grant_count; i++) {
		struct grant *grant = &policy.grants[i];

		snprintf(name, sizeof(name), "n%zu", i);
		policy.partners[i].name.text = strdup(name);
		policy.partners[i].validity.until_ns = UINT64_MAX;
		grant->name.text = strdup(name);
		grant->validity.until_ns = UINT64_MAX;
		grant->services = (struct selectors){calloc(1, sizeof(struct selector)), 1};
		grant->services.item[0].kind = SELECT_ANY;
		grant->partners = (struct selectors){calloc(1, sizeof(struct selector)), 1};
		grant->partners.item[0].name = strdup(name);
		grant->endpoints = (struct endpoints){calloc(1, sizeof(struct endpoint)), 1};
		grant->endpoints.item[0] = (struct endpoint){
			.protocol = IPPROTO_TCP,
			.port_first = 1 + i,
			.port_last = 1 + i,
		};
	}
	assert_int_not_equal(image_compile(&policy, TEST_NOW_NS, &image, &faults), 0);
	assert_int_equal(faults.errors, 1);
	faults_free(&faults);
	policy_free(&policy);
}

/* ---- large policies
 * ----------------------------------------------------------------------------*/

enum { LARGE = 100000, EACH = 10 };

static struct policy large_policy(bool is_named)
{
	struct policy policy = {.name = strdup("large"), .service_count = 1};
	char name[32];

	policy.services = calloc(1, sizeof(*policy.services));
	policy.services[0].name.text = strdup("sftp");
	policy.partner_count = LARGE;
	policy.partners = calloc(LARGE, sizeof(*policy.partners));
	policy.grant_count = is_named ? LARGE : 1;
	policy.grants = calloc(policy.grant_count, sizeof(*policy.grants));
	for (uint32_t i = 0; i < LARGE; i++) {
		struct partner *partner = &policy.partners[i];

		snprintf(name, sizeof(name), "partner-%u", i);
		partner->name.text = strdup(name);
		partner->validity.until_ns = UINT64_MAX;
		partner->classes = (struct names){calloc(1, sizeof(struct name)), 1};
		partner->classes.item[0].text = strdup("exchange");
		partner->addresses = (struct prefixes){calloc(EACH, sizeof(struct prefix)), EACH};
		for (uint32_t j = 0; j < EACH; j++) {
			uint32_t number = htonl((i * EACH + j) * 2654435761u);
			struct prefix *prefix = &partner->addresses.item[j];

			*prefix = (struct prefix){.bits = 128, .address = {0x20, 1}};
			memcpy(prefix->address + 4, &number, 4);
		}
	}
	for (size_t i = 0; i < policy.grant_count; i++) {
		struct grant *grant = &policy.grants[i];

		snprintf(name, sizeof(name), "grant-%zu", i);
		grant->name.text = strdup(name);
		grant->validity.until_ns = UINT64_MAX;
		grant->hours = (struct hours_list){calloc(1, sizeof(struct hours)), 1};
		grant->hours.item[0] =
			(struct hours){.days = 0x1f, .from_minute = 1200, .until_minute = 240};
		grant->services = (struct selectors){calloc(1, sizeof(struct selector)), 1};
		grant->services.item[0].name = strdup("sftp");
		grant->partners = (struct selectors){calloc(1, sizeof(struct selector)), 1};
		snprintf(name, sizeof(name), "partner-%zu", i);
		grant->partners.item[0].kind = is_named ? SELECT_NAME : SELECT_CLASS;
		grant->partners.item[0].name = strdup(is_named ? name : "exchange");
		grant->endpoints = (struct endpoints){calloc(1, sizeof(struct endpoint)), 1};
		grant->endpoints.item[0] = (struct endpoint){
			.protocol = IPPROTO_TCP,
			.port_first = 22,
			.port_last = 22,
		};
	}
	return policy;
}

static void compile_large(bool is_named, size_t pairs)
{
	struct policy policy = large_policy(is_named);
	struct timespec from, until;
	struct faults faults = {0};
	struct image image;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	assert_int_equal(image_compile(&policy, TEST_NOW_NS, &image, &faults), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &until);
	print_message("%d partners, %zu prefixes, %zu grants: %.0f ms\n", LARGE, image.prefix_count,
		      policy.grant_count,
		      (until.tv_sec - from.tv_sec) * 1e3 + (until.tv_nsec - from.tv_nsec) / 1e6);
	assert_int_equal(image.prefix_count, LARGE * EACH);
	assert_int_equal(image.pair_count, pairs);
	assert_in_range(image.head.hours, 520, 530);
	assert_int_equal(image_partner(&image, "partner-99999"), LARGE);
	assert_int_equal(image_partner_of(&image, policy.partners[777].addresses.item[5].address),
			 778);
	image_free(&image);
	policy_free(&policy);
}

static void test_large_class(void **state)
{
	(void)state;
	compile_large(false, 1);
}

static void test_large_named(void **state)
{
	(void)state;
	compile_large(true, LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_four_eyes_and_reserve),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_no_strangers_section),
		cmocka_unit_test(test_default_policy),
		cmocka_unit_test(test_longest_prefix),
		cmocka_unit_test(test_rank),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_lifeline),
		cmocka_unit_test(test_too_many_rules),
		cmocka_unit_test(test_too_many_lifeline_rules),
		cmocka_unit_test(test_too_many_classes),
		cmocka_unit_test(test_too_many_services),
		cmocka_unit_test(test_too_many_pairs),
		cmocka_unit_test(test_large_class),
		cmocka_unit_test(test_large_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
