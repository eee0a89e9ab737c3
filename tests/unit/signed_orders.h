/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * signed_orders.h - signed orders to a host of a_host.h that knows the principals a, b and c.
 */
#ifndef WEIR_SIGNED_ORDERS_H
#define WEIR_SIGNED_ORDERS_H

#include "tests/unit/a_host.h"
#include "tests/unit/signing.h"
#include "user/base/units.h"
#include "user/daemon/overriding.h"
#include "user/order/document.h"

enum { TEXT = 16384 };

/* 2026-11-26T15:04:05Z, as all orders here. */
#define ISSUED_NS (UINT64_C(1795705445) * NS_PER_SECOND)

static unsigned int made;

/* An order, signed by the keys that `by` names one behind the other ("ab"); malloc'd. */
__attribute__((unused)) static char *order(const char *kind, const char *lines, const char *by)
{
	char *text = calloc(1, TEXT);
	enum order_kind number;
	const char *in;
	size_t body;

	assert_int_equal(kind_parse(kind, &number), 0);
	in = namespace_name(kind_namespace(number));
	body = snprintf(text, TEXT,
			"weir-order: 1\nkind: %s\nissued: 2026-11-26T15:04:05Z\nnonce: %032u\n%s%s",
			kind, ++made, number == ORDER_BEAT ? "" : "reason: a test\n", lines);
	for (; *by; by++) {
		char key[2] = {*by, '\0'}, *whole = strndup(text, body);
		char *signature = sign_text(key, in, whole, "");

		strcat(text, signature);
		free(signature);
		free(whole);
	}
	return text;
}

/* The id of an order; the last four stay. */
__attribute__((unused)) static const char *id_of(const char *text)
{
	static char id[4][ORDER_ID_TEXT];
	static int next;
	struct document document;
	struct order_fault fault;

	next = (next + 1) % 4;
	assert_int_equal(document_read(text, strlen(text), &document, &fault), 0);
	strcpy(id[next], document.id);
	document_free(&document);
	return id[next];
}

__attribute__((unused)) static json_object *take(struct host *host, const char *text)
{
	json_object *request = json_object_new_object(), *answer;

	json_object_object_add(request, "request", json_object_new_string("order-apply"));
	json_object_object_add(request, "text", json_object_new_string(text));
	answer = ask(host, json_object_to_json_string(request));
	json_object_put(request);
	return answer;
}

__attribute__((unused)) static void expect(struct host *host, const char *text, int code)
{
	json_object *answer = take(host, text);

	expect_code(answer, code);
	json_object_put(answer);
}

__attribute__((unused)) static size_t overrides_in_force(struct host *host)
{
	size_t count = 0;

	assert_int_equal(host_refresh_orders(host), 0);
	for (size_t i = 0; i < host->orders.count; i++)
		count += order_is_override(&host->orders.item[i]);
	return count;
}

__attribute__((unused)) static void end_all(struct host *host)
{
	while (overrides_in_force(host)) {
		char id[24], *request;
		json_object *answer;
		size_t i = 0;

		while (!order_is_override(&host->orders.item[i]))
			i++;
		override_format(host->orders.item[i].id, id, sizeof(id));
		assert_int_not_equal(asprintf(&request,
					      "{\"request\":\"end\",\"order\":\"%s\","
					      "\"reason\":\"a test\"}",
					      id),
				     -1);
		answer = ask(host, request);
		expect_code(answer, 0);
		json_object_put(answer);
		free(request);
	}
}

__attribute__((unused)) static int signing_up(void **state)
{
	char text[2048];
	size_t used = 0;

	if (open_signing(state) < 0)
		return -1;
	make_key("d", "-t ed25519");
	for (const char *name = "abc"; *name; name++) {
		char key[2] = {*name, '\0'}, *public;

		make_key(key, "-t ed25519");
		public = public_of(key);
		used += snprintf(text + used, sizeof(text) - used,
				 "%s namespaces=\"cut@weir,reopen@weir,base@weir\" %s\n", key,
				 public);
		free(public);
	}
	put_file("allowed_signers", text);
	setenv("WEIR_CONFIG_DIR", signing_directory, 1);
	return host_up(state);
}

__attribute__((unused)) static int signing_down(void **state)
{
	host_down(state);
	return close_signing(state);
}

#endif
