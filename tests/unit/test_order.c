/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_order.c - the set of cuts and exceptions: what goes in, what it compiles to, and that it
 * comes back from the disk as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/order/orders.h"

static uint64_t cut(struct orders *orders, const char *target, uint64_t until_ns)
{
	struct order_text text = {
		.target = target, .reason = "why", .by = "me", .since_ns = 5, .until_ns = until_ns};
	uint64_t id = 0;

	assert_int_equal(orders_add_cut(orders, &text, &id), 0);
	return id;
}

static int except(struct orders *orders, uint64_t parent, const char *target, uint64_t *id)
{
	struct order_text text = {.target = target, .reason = "why", .by = "me", .since_ns = 6};

	return orders_add_exception(orders, parent, &text, id);
}

/* "partner:N" -> index N; "gone" has no object. */
static int resolve(const struct weir_order *order, struct weir_cut_entry *entry, void *data)
{
	if (strcmp(order->target, "gone") == 0)
		return data ? -ENOENT : 0;
	entry->target = WEIR_TARGET_PARTNER;
	entry->index = atoi(order->target + strlen("partner:"));
	return 0;
}

static void ids_rise_and_are_not_used_twice(void **state)
{
	struct orders orders = {0};
	uint64_t first = cut(&orders, "partner:1", 0), second = cut(&orders, "partner:2", 0);

	(void)state;
	assert_int_equal(first, 1);
	assert_int_equal(second, 2);
	assert_int_equal(orders_remove(&orders, second), 0);
	assert_int_equal(cut(&orders, "partner:3", 0), 3);
	assert_int_equal(orders_remove(&orders, 2), -ENOENT);
	orders_free(&orders);
}

static void an_exception_belongs_to_its_cut(void **state)
{
	struct orders orders = {0};
	uint64_t one = cut(&orders, "partner:1", 0), two = cut(&orders, "partner:2", 0), id;

	(void)state;
	assert_int_equal(except(&orders, one, "partner:7", &id), 0);
	assert_int_equal(except(&orders, one, "partner:7", &id), -EEXIST);
	assert_int_equal(except(&orders, two, "partner:7", &id), 0);
	assert_int_equal(except(&orders, 99, "partner:7", &id), -ENOENT);
	assert_int_equal(except(&orders, id, "partner:8", &id), -ENOENT); /* of an exception */
	assert_int_equal(orders.count, 4);
	assert_int_equal(orders_remove(&orders, one), 0);
	assert_int_equal(orders.count, 2);
	assert_null(orders_find(&orders, one));
	assert_non_null(orders_find(&orders, two));
	orders_free(&orders);
}

static void a_cut_compiles_to_itself_and_then_its_exceptions(void **state)
{
	static const struct {
		uint64_t order;
		bool is_exception;
		uint32_t index;
	} expected[] = {{1, false, 1}, {3, true, 7}, {5, true, 8}, {2, false, 2}, {4, true, 9}};
	struct orders orders = {0};
	struct weir_cut_entry *entry = NULL;
	uint64_t one = cut(&orders, "partner:1", 0), two = cut(&orders, "partner:2", 0), id;
	size_t count = 0;

	(void)state;
	except(&orders, one, "partner:7", &id);
	except(&orders, two, "partner:9", &id);
	except(&orders, one, "partner:8", &id);
	assert_int_equal(orders_compile(&orders, resolve, NULL, &entry, &count), 0);
	assert_int_equal(count, 5);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(entry[i].order, expected[i].order);
		assert_int_equal(entry[i].is_exception, expected[i].is_exception);
		assert_int_equal(entry[i].index, expected[i].index);
		assert_int_equal(entry[i].service, WEIR_ANY);
	}
	free(entry);
	orders_free(&orders);
}

static void the_resolver_can_refuse(void **state)
{
	struct orders orders = {0};
	struct weir_cut_entry *entry = NULL;
	size_t count = 77;

	(void)state;
	cut(&orders, "gone", 0);
	assert_int_equal(orders_compile(&orders, resolve, "strict", &entry, &count), -ENOENT);
	assert_null(entry);
	assert_int_equal(count, 77);
	assert_int_equal(orders_compile(&orders, resolve, NULL, &entry, &count), 0);
	assert_int_equal(entry[0].target, WEIR_TARGET_NOTHING);
	free(entry);
	orders_free(&orders);
}

static void nothing_compiles_to_nothing(void **state)
{
	struct orders orders = {0};
	struct weir_cut_entry *entry = (void *)1;
	size_t count = 1;

	(void)state;
	assert_int_equal(orders_compile(&orders, resolve, NULL, &entry, &count), 0);
	assert_null(entry);
	assert_int_equal(count, 0);
}

static void texts_must_fit_in_a_line(void **state)
{
	char longest[193];
	struct orders orders = {0};
	struct order_text text = {.target = "all", .by = "me"};
	const char *const refused[] = {"", "two\nlines", "a\ttab", "\x1b[31m", longest};
	uint64_t id;

	(void)state;
	memset(longest, 'x', 192);
	longest[192] = '\0';
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		text.reason = refused[i];
		assert_int_equal(orders_add_cut(&orders, &text, &id), -EINVAL);
	}
	longest[191] = '\0';
	text.reason = longest;
	assert_int_equal(orders_add_cut(&orders, &text, &id), 0);
	text.target = longest;
	assert_int_equal(orders_add_cut(&orders, &text, &id), -EINVAL);
	assert_int_equal(orders.count, 1);
	orders_free(&orders);
}

static void there_is_an_end_to_them(void **state)
{
	struct orders orders = {0};
	struct order_text text = {.target = "all", .reason = "why", .by = ""};
	const uint8_t body[32] = {1};
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < WEIR_MAX_ORDERS - ORDERS_FOR_SIGNED; i++)
		assert_int_equal(orders_add_cut(&orders, &text, &id), 0);
	assert_int_equal(orders_add_cut(&orders, &text, &id), -ENOSPC);
	text.body = body;
	for (size_t i = 0; i < ORDERS_FOR_SIGNED; i++)
		assert_int_equal(orders_add_cut(&orders, &text, &id), 0);
	assert_int_equal(orders_add_cut(&orders, &text, &id), -ENOSPC);
	orders_free(&orders);
}

static void cuts_end_in_their_time(void **state)
{
	struct orders orders = {0};
	uint64_t id;

	(void)state;
	cut(&orders, "partner:1", 0);
	cut(&orders, "partner:2", 200);
	id = cut(&orders, "partner:3", 100);
	assert_int_equal(orders_next_end(&orders, true), 100);
	assert_int_equal(orders_expired(&orders, 99, true), 0);
	assert_int_equal(orders_expired(&orders, 100, true), id);
	orders_remove(&orders, id);
	assert_int_equal(orders_next_end(&orders, true), 200);
	orders_remove(&orders, 2);
	assert_int_equal(orders_next_end(&orders, true), 0);
	orders_free(&orders);
}

static struct order_text override_text(enum weir_order_kind kind, uint64_t until_ns)
{
	return (struct order_text){.target = "partner:1",
				   .reason = "why",
				   .by = "me",
				   .since_ns = 5,
				   .until_ns = until_ns,
				   .kind = kind,
				   .grant = kind == WEIR_ORDER_EXTEND ? "billing" : NULL,
				   .more_bytes = kind == WEIR_ORDER_EXTEND ? 1 << 20 : 0};
}

static int resolve_override(const struct weir_order *order, struct weir_override *override,
			    void *data)
{
	(void)data;
	override->grant = strcmp(order->grant, "billing") == 0 ? 7 : 0;
	return resolve(order, &override->at, NULL);
}

/* They are no cuts, and end like these. */
static void overrides_stand_beside_the_cuts(void **state)
{
	struct order_text extend = override_text(WEIR_ORDER_EXTEND, 100);
	struct order_text pause = override_text(WEIR_ORDER_PAUSE, 50);
	struct weir_override *override = NULL;
	struct weir_cut_entry *entry = NULL;
	struct orders orders = {0};
	uint64_t first, second, id;
	size_t count;

	(void)state;
	cut(&orders, "partner:3", 0);
	assert_int_equal(orders_add_override(&orders, &extend, &first), 0);
	assert_int_equal(orders_add_override(&orders, &pause, &second), 0);
	assert_int_equal(orders_compile(&orders, resolve, NULL, &entry, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(entry[0].index, 3);
	assert_int_equal(
		orders_compile_overrides(&orders, resolve_override, NULL, &override, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(override[0].at.index, 1);
	assert_int_equal(override[0].at.order, first);
	assert_int_equal(override[0].grant, 7);
	assert_int_equal(override[0].more_bytes, 1 << 20);
	assert_int_equal(override[1].kind, WEIR_ORDER_PAUSE);
	assert_int_equal(override[1].until_ns, 50);
	assert_int_equal(except(&orders, first, "partner:1", &id), -ENOENT);
	assert_int_equal(orders_expired(&orders, 60, true), second);
	assert_int_equal(orders_remove(&orders, second), 0);
	assert_int_equal(orders_next_end(&orders, true), 100);
	extend.until_ns = 0; /* without an end */
	assert_int_equal(orders_add_override(&orders, &extend, &id), -EINVAL);
	for (count = 1; count < WEIR_OVERRIDES; count++)
		assert_int_equal(orders_add_override(&orders, &pause, &id), 0);
	assert_int_equal(orders_add_override(&orders, &pause, &id), -ENOSPC);
	free(entry);
	free(override);
	orders_free(&orders);
}

static const uint8_t an_address[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 16};

static struct order_text addition_text(const char *target)
{
	struct order_text text = override_text(WEIR_ORDER_PARTNER_ADD, 100);

	text.target = target;
	text.address = an_address;
	text.prefix_bits = 124;
	return text;
}

static uint64_t again(struct orders *orders, struct order_text text, uint64_t since_ns)
{
	struct orders copy;
	uint64_t id, found;

	assert_int_equal(orders_copy(orders, &copy), 0);
	if (text.kind == WEIR_ORDER_CUT)
		assert_int_equal(orders_add_cut(&copy, &text, &id), 0);
	else
		assert_int_equal(orders_add_override(&copy, &text, &id), 0);
	found = orders_find_again(&copy, orders->count, since_ns);
	orders_free(&copy);
	return found;
}

static void what_was_asked_of_two_is_found_again(void **state)
{
	struct orders orders = {0};
	struct order_text text = {.target = "partner:2",
				  .reason = "why",
				  .by = "me",
				  .since_ns = 9,
				  .until_ns = 109,
				  .kind = WEIR_ORDER_EXTEND,
				  .grant = "nightly",
				  .more_bytes = 7},
			  other = text;
	uint64_t first = cut(&orders, "partner:1", 0), second = cut(&orders, "partner:2", 105), id;

	(void)state;
	assert_int_equal(orders_add_override(&orders, &text, &id), 0);
	text.since_ns = 12;
	text.until_ns = 112;
	assert_int_equal(again(&orders, text, 9), id);
	assert_int_equal(again(&orders, text, 10), 0); /* that one was before */
	for (int i = 0; i < 6; i++) {
		other = text;
		other.target = i == 0 ? "partner:1" : text.target;
		other.reason = i == 1 ? "because" : text.reason;
		other.by = i == 2 ? "you" : text.by;
		other.until_ns += i == 3;
		other.grant = i == 4 ? "other" : text.grant;
		other.more_bytes += i == 5;
		assert_int_equal(again(&orders, other, 9), 0);
	}
	assert_int_equal(orders_find_again(&orders, orders.count, 0), 0); /* nothing was added */
	assert_int_equal(cut(&orders, "partner:1", 0), 4);
	assert_int_equal(cut(&orders, "partner:2", 105), 5);
	assert_int_equal(orders_find_again(&orders, 3, 5), first);
	assert_int_equal(orders_find_again(&orders, 4, 5), second);
	assert_int_equal(cut(&orders, "partner:3", 0), 6);
	assert_int_equal(orders_find_again(&orders, 3, 5), 0); /* not all of them */
	orders_free(&orders);
}

static void additions_have_a_prefix_and_a_bound(void **state)
{
	struct order_text text = addition_text("partner:1"), none = text;
	struct order_text pause = override_text(WEIR_ORDER_PAUSE, 50);
	uint8_t beside[16], inside[16];
	struct orders orders = {0};
	uint64_t id;

	(void)state;
	none.address = NULL;
	assert_int_equal(orders_add_override(&orders, &none, &id), -EINVAL);
	pause.address = an_address; /* of an addition alone */
	assert_int_equal(orders_add_override(&orders, &pause, &id), -EINVAL);
	pause.address = NULL;
	assert_int_equal(orders_add_override(&orders, &text, &id), 0);
	assert_memory_equal(orders.item[0].address, an_address, 16);
	assert_int_equal(orders.item[0].prefix_bits, 124);
	memcpy(inside, an_address, 16);
	memcpy(beside, an_address, 16);
	inside[15] = 20;
	beside[15] = 32;
	assert_null(orders_find_addition(&orders, "partner:1", inside, 128));
	assert_non_null(orders_find_addition(&orders, "partner:2", inside, 128));
	assert_non_null(orders_find_addition(&orders, "partner:2", an_address, 120));
	assert_null(orders_find_addition(&orders, "partner:2", beside, 124));
	for (int i = 1; i < WEIR_ADDITIONS; i++)
		assert_int_equal(orders_add_override(&orders, &text, &id), 0);
	assert_int_equal(orders_add_override(&orders, &text, &id), -ENOSPC);
	assert_int_equal(orders_add_override(&orders, &pause, &id), 0);
	orders_free(&orders);
}

static void what_the_kernel_kept_is_put_in_order(void **state)
{
	struct weir_order *item = calloc(4, sizeof(*item));
	struct orders orders = {0};

	(void)state;
	item[0] = (struct weir_order){.id = 9, .parent = 4};
	item[1] = (struct weir_order){.id = 4};
	item[2] = (struct weir_order){.id = 11, .parent = 8}; /* its cut is gone */
	item[3] = (struct weir_order){.id = 2};
	memset(item[3].target, 'x', sizeof(item[3].target)); /* no NUL */
	orders_take(&orders, item, 4);
	assert_int_equal(orders.count, 3);
	assert_int_equal(orders.item[0].id, 2);
	assert_int_equal(strlen(orders.item[0].target), 127);
	assert_int_equal(orders.item[2].parent, 4);
	assert_int_equal(orders.next, 12);
	orders_free(&orders);
}

static void unlink_both(const char *path)
{
	char copy[64];

	snprintf(copy, sizeof(copy), "%s.copy", path);
	unlink(path);
	unlink(copy);
}

static void they_come_back_from_the_disk(void **state)
{
	char path[] = "/tmp/weir-test-order-XXXXXX";
	struct order_text extend = override_text(WEIR_ORDER_EXTEND, 100);
	struct order_text addition = addition_text("partner:5");
	struct orders orders = {0}, back = {0};
	uint64_t id;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	id = cut(&orders, "partner:1", 0);
	except(&orders, id, "partner:2", &id);
	assert_int_equal(orders_add_override(&orders, &extend, &id), 0);
	assert_int_equal(orders_add_override(&orders, &addition, &id), 0);
	cut(&orders, "partner:\"quoted\\\xc3\xa4", UINT64_MAX - 1);
	orders_remove(&orders, cut(&orders, "partner:4", 0));
	assert_int_equal(orders_save(&orders, path), 0);
	assert_int_equal(orders_load(path, &back), 0);
	assert_int_equal(back.count, orders.count);
	assert_int_equal(back.next, orders.next);
	assert_memory_equal(back.item, orders.item, orders.count * sizeof(*orders.item));
	orders_free(&back);
	orders_free(&orders);
	unlink(path);
	assert_int_equal(orders_load(path, &back), 0); /* the copy */
	assert_true(back.is_of_copy);
	orders_free(&back);
	unlink_both(path);
}

/* One bit of the file: the copy is taken. The same bit of the copy too: nothing is. */
static void every_flipped_bit_is_seen(void **state)
{
	char path[] = "/tmp/weir-test-order-XXXXXX", copy[64], text[1024];
	struct orders orders = {0}, back = {0};
	int fd = mkstemp(path), copy_fd;
	ssize_t length;

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	snprintf(copy, sizeof(copy), "%s.copy", path);
	cut(&orders, "partner:1", 0);
	cut(&orders, "all", 7);
	assert_int_equal(orders_save(&orders, path), 0);
	fd = open(path, O_RDWR);
	copy_fd = open(copy, O_RDWR);
	length = pread(fd, text, sizeof(text), 0);
	assert_in_range(length, 100, sizeof(text) - 1);
	for (ssize_t bit = 0; bit < 8 * length; bit++) {
		char flipped = text[bit / 8] ^ 1 << bit % 8;

		assert_int_equal(pwrite(fd, &flipped, 1, bit / 8), 1);
		assert_int_equal(orders_load(path, &back), 0);
		assert_true(back.is_of_copy);
		assert_int_equal(back.count, 2);
		orders_free(&back);
		assert_int_equal(pwrite(copy_fd, &flipped, 1, bit / 8), 1);
		assert_int_equal(orders_load(path, &back), -EBADMSG);
		assert_int_equal(pwrite(fd, &text[bit / 8], 1, bit / 8), 1);
		assert_int_equal(pwrite(copy_fd, &text[bit / 8], 1, bit / 8), 1);
	}
	close(fd);
	close(copy_fd);
	orders_free(&orders);
	unlink_both(path);
}

static void a_broken_file_is_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"[]",
		"{",
		"{\"next\":1}",
		"{\"next\":\"1\",\"orders\":[]}",
		"{\"next\":1,\"orders\":{}}",
		"{\"next\":1,\"orders\":[1]}",
		"{\"next\":1,\"orders\":[{\"id\":0,\"parent\":0,\"since_ns\":0,\"until_ns\":0,"
		"\"target\":\"all\",\"reason\":\"x\",\"by\":\"\"}]}",
		"{\"next\":1,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":0,"
		"\"target\":7,\"reason\":\"x\",\"by\":\"\"}]}",
		/* a pause without an end */
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":0,"
		"\"target\":\"all\",\"reason\":\"x\",\"by\":\"\",\"kind\":2,\"grant\":\"\","
		"\"more_bytes\":0}]}",
		/* an addition without a prefix; with one that has bits to its right; of no kind */
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":9,"
		"\"target\":\"partner:a\",\"reason\":\"x\",\"by\":\"\",\"kind\":4,"
		"\"grant\":\"\",\"more_bytes\":0}]}",
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":9,"
		"\"target\":\"partner:a\",\"reason\":\"x\",\"by\":\"\",\"kind\":4,"
		"\"grant\":\"\",\"more_bytes\":0,\"prefix\":\"192.0.2.1/24\"}]}",
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":9,"
		"\"target\":\"partner:a\",\"reason\":\"x\",\"by\":\"\",\"kind\":5,"
		"\"grant\":\"\",\"more_bytes\":0,\"prefix\":\"192.0.2.1\"}]}",
		/* a probation with an end; of all of a budget; of nothing */
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":9,"
		"\"target\":\"all\",\"reason\":\"x\",\"by\":\"\",\"kind\":3,\"grant\":\"\","
		"\"parts\":512}]}",
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":0,"
		"\"target\":\"all\",\"reason\":\"x\",\"by\":\"\",\"kind\":3,\"grant\":\"\","
		"\"parts\":1024}]}",
		"{\"next\":2,\"orders\":[{\"id\":1,\"parent\":0,\"since_ns\":0,\"until_ns\":0,"
		"\"target\":\"all\",\"reason\":\"x\",\"by\":\"\",\"kind\":3,\"grant\":\"\","
		"\"parts\":0}]}",
	};
	char path[] = "/tmp/weir-test-order-XXXXXX";
	struct orders orders = {0};
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(pwrite(fd, broken[i], strlen(broken[i]), 0), strlen(broken[i]));
		assert_int_equal(orders_load(path, &orders), -EBADMSG);
		assert_null(orders.item);
	}
	close(fd);
	unlink(path);
	assert_int_equal(orders_load(path, &orders), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_rise_and_are_not_used_twice),
		cmocka_unit_test(an_exception_belongs_to_its_cut),
		cmocka_unit_test(a_cut_compiles_to_itself_and_then_its_exceptions),
		cmocka_unit_test(the_resolver_can_refuse),
		cmocka_unit_test(nothing_compiles_to_nothing),
		cmocka_unit_test(texts_must_fit_in_a_line),
		cmocka_unit_test(there_is_an_end_to_them),
		cmocka_unit_test(cuts_end_in_their_time),
		cmocka_unit_test(overrides_stand_beside_the_cuts),
		cmocka_unit_test(what_was_asked_of_two_is_found_again),
		cmocka_unit_test(additions_have_a_prefix_and_a_bound),
		cmocka_unit_test(what_the_kernel_kept_is_put_in_order),
		cmocka_unit_test(they_come_back_from_the_disk),
		cmocka_unit_test(a_broken_file_is_refused),
		cmocka_unit_test(every_flipped_bit_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
