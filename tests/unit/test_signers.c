/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_signers.c - lists of who may sign, and of keys that are taken back: what is read, and what
 * is refused, with its place.
 */
#include "tests/unit/signing.h"

#include <errno.h>

#include "user/order/instant.h"
#include "user/order/signers.h"

#define NS "namespaces=\"cut@weir\" "

/* In the texts, ONE, TWO and SMALL stand for keys: "ssh-ed25519 AAAA...". */
static char *one, *two, *small;

static char *with_keys(const char *text)
{
	const struct {
		const char *word, *key;
	} words[] = {{"ONE", one}, {"TWO", two}, {"SMALL", small}};
	size_t length = 0;
	char *made = NULL;
	FILE *out = open_memstream(&made, &length);

	while (*text) {
		size_t i;

		for (i = 0; i < COUNT(words); i++) {
			if (strncmp(text, words[i].word, strlen(words[i].word)) == 0)
				break;
		}
		if (i == COUNT(words)) {
			fputc(*text++, out);
			continue;
		}
		fputs(words[i].key, out);
		text += strlen(words[i].word);
	}
	fclose(out);
	return made;
}

static int read_signers(const char *text, struct signers *signers, struct order_fault *fault)
{
	char *made = with_keys(text);
	int r = signers_read(made, strlen(made), 1, signers, fault);

	free(made);
	return r;
}

static void expect_good(const char *text, struct signers *signers)
{
	struct order_fault fault;

	if (read_signers(text, signers, &fault) < 0)
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
}

static void entries_are_read(void **state)
{
	struct signers signers;
	uint64_t ns;

	(void)state;
	expect_good("# who may sign\n"
		    "\n"
		    "alice " NS "ONE alice@laptop, her own\n"
		    "\t\"bob@example.org\"\tnamespaces=\"reopen@weir,base@weir\","
		    "valid-after=\"20260101Z\",valid-before=\"202712312359Z\"\tTWO\n",
		    &signers);
	assert_int_equal(signers.count, 2);
	assert_string_equal(signers.item[0].principal, "alice");
	assert_int_equal(signers.item[0].namespaces, 1 << NAMESPACE_CUT);
	assert_int_equal(signers.item[0].line, 3);
	assert_int_equal(signers.item[0].after_ns, 0);
	assert_true(signers.item[0].before_ns == UINT64_MAX);
	assert_string_equal(signers.item[1].principal, "bob@example.org");
	assert_int_equal(signers.item[1].namespaces, 1 << NAMESPACE_REOPEN | 1 << NAMESPACE_BASE);
	assert_int_equal(instant_parse("2026-01-01T00:00:00Z", &ns), 0);
	assert_true(signers.item[1].after_ns == ns);
	assert_int_equal(instant_parse("2027-12-31T23:59:00Z", &ns), 0);
	assert_true(signers.item[1].before_ns == ns);
	assert_ptr_equal(signers_find(&signers, &signers.item[1].key), &signers.item[1]);
	signers_free(&signers);
}

static void a_principal_may_have_two_keys(void **state)
{
	struct signers signers;

	(void)state;
	expect_good("alice " NS "ONE\nalice " NS "TWO\n", &signers);
	assert_int_equal(signers.count, 2);
	signers_free(&signers);
}

static const struct {
	const char *text;
	uint32_t line, column;
	const char *says;
} bad[] = {
	{"", 1, 1, "names nobody"},
	{"# nobody\n", 1, 1, "names nobody"},
	{"alice " NS "ONE", 1, 0, "the last line has no end"},
	{"alice " NS "ONE\r\n", 1, 0, "carriage return"},
	{"al\033ice " NS "ONE\n", 1, 3, "control character (0x1b)"},
	{"al\xc2\x9bice " NS "ONE\n", 1, 3, "control character (0x9b)"},
	{"al\xff"
	 "ice " NS "ONE\n",
	 1, 3, "not UTF-8"},
	/* principals */
	{"*@example.org " NS "ONE\n", 1, 1, "no pattern"},
	{"alice? " NS "ONE\n", 1, 1, "no pattern"},
	{"!alice " NS "ONE\n", 1, 1, "no pattern"},
	{"alice,bob " NS "ONE\n", 1, 1, "several people"},
	{"\"alice smith\" " NS "ONE\n", 1, 2, "letters, digits"},
	{"\"\" " NS "ONE\n", 1, 2, "letters, digits"},
	{"\xc3\xa4lice " NS "ONE\n", 1, 1, "letters, digits"},
	{"a123456789012345678901234567890123456789012345678901234567890123 " NS "ONE\n", 1, 1,
	 "at most 63"},
	{"alice\\ " NS "ONE\n", 1, 6, "backslash"},
	{"# \n alice " NS "ONE\nbob " NS "ONE\n", 3, 1, "on line 2 already, as alice's"},
	{"alice " NS "ONE\nalice " NS "ONE\n", 2, 1, "on line 1 already"},
	{"alice " NS "ONE\nAlice " NS "TWO\n", 2, 1, "as two people"},
	/* options */
	{"alice ONE\n", 1, 7, "without namespaces"},
	{"alice\n", 1, 6, "namespaces=\"...\" is missing"},
	{"alice valid-after=\"20260101Z\" ONE\n", 1, 7, "without namespaces"},
	{"alice namespaces=\"\" ONE\n", 1, 7, "wants a value"},
	{"alice namespaces ONE\n", 1, 7, "wants a value"},
	{"alice namespaces=cut@weir ONE\n", 1, 7, "NAME=\"VALUE\""},
	{"alice namespaces=\"cut@weir ONE\n", 1, 18, "the quote is not closed"},
	{"alice namespaces=\"cut@weir\"x ONE\n", 1, 7, "NAME=\"VALUE\""},
	{"alice namespaces=\"cut@weir\", ONE\n", 1, 7, "NAME=\"VALUE\""},
	{"alice namespaces=\"cuts@weir\" ONE\n", 1, 19, "did you mean cut@weir?"},
	{"alice namespaces=\"cut@weir,file\" ONE\n", 1, 28, "\"file\" is no namespace"},
	{"alice namespaces=\"cut@weir,\" ONE\n", 1, 27, "a namespace is missing"},
	{"alice namespaces=\"cut@weir,cut@weir\" ONE\n", 1, 28, "named twice"},
	{"alice namespaces=\"*\" ONE\n", 1, 19, "no namespace"},
	{"alice namespaces=\"!cut@weir\" ONE\n", 1, 19, "no namespace"},
	{"alice namespaces=\"cut@weir\",namespaces=\"beat@weir\" ONE\n", 1, 29, "given twice"},
	{"alice cert-authority ONE\n", 1, 7, "certificates are not supported"},
	{"alice cert-authority,namespaces=\"cut@weir\" ONE\n", 1, 7, "certificates are not"},
	{"alice namespaces=\"cut@weir\",CERT-AUTHORITY ONE\n", 1, 29, "certificates are not"},
	{"alice namespace=\"cut@weir\" ONE\n", 1, 7, "did you mean namespaces?"},
	{"alice verify-required,namespaces=\"cut@weir\" ONE\n", 1, 7, "unknown option"},
	{"alice namespaces=\"cut@weir\",valid-after=\"20261301Z\" ONE\n", 1, 42, "no time in UTC"},
	{"alice namespaces=\"cut@weir\",valid-after=\"20260229Z\" ONE\n", 1, 42, "no time in UTC"},
	{"alice namespaces=\"cut@weir\",valid-after=\"20260101\" ONE\n", 1, 42, "without Z"},
	{"alice namespaces=\"cut@weir\",valid-after=\"2026-01-01Z\" ONE\n", 1, 42,
	 "no time in UTC"},
	{"alice namespaces=\"cut@weir\",valid-before=\"202601012460Z\" ONE\n", 1, 43,
	 "no time in UTC"},
	{"alice namespaces=\"cut@weir\",valid-after=\"20260101Z\",valid-before=\"20260101Z\" ONE\n",
	 1, 7, "valid-before is not after"},
	/* keys */
	{"alice " NS "\n", 1, 29, "the type of the key is missing"},
	{"alice " NS "ssh-ed25519\n", 1, 40, "the key is missing"},
	{"alice " NS "ssh-ed25519 AAAA\n", 1, 29, "the key has no type"},
	{"alice " NS "ssh-ed25519 A*\n", 1, 29, "not base64"},
	{"alice " NS "SMALL\n", 1, 29, "at least 3072 bits"},
	{"alice " NS "ssh-rsaONE\n", 1, 29, "another type"},
};

static void faults_have_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct order_fault fault = {0};
		struct signers signers = {0};

		assert_int_equal(read_signers(bad[i].text, &signers, &fault), -EBADMSG);
		assert_null(signers.item);
		if (fault.line != bad[i].line || !strstr(fault.text, bad[i].says) ||
		    (bad[i].column && fault.column != bad[i].column))
			fail_msg("%s: %u:%u: %s", bad[i].text, fault.line, fault.column,
				 fault.text);
	}
}

static void lists_have_an_end(void **state)
{
	static char text[SIGNERS_MAX_BYTES + 3];
	struct order_fault fault;
	struct signers signers;

	(void)state;
	memset(text, '#', sizeof(text) - 2);
	text[sizeof(text) - 2] = '\n';
	assert_int_equal(signers_read(text, sizeof(text) - 1, 1, &signers, &fault), -EBADMSG);
	assert_non_null(strstr(fault.text, "at most 512 KiB"));
}

static void lines_are_counted_from_where_they_stand(void **state)
{
	struct order_fault fault;
	struct signers signers;

	(void)state;
	assert_int_equal(signers_read("#\n*\n", 4, 10, &signers, &fault), -EBADMSG);
	assert_int_equal(fault.line, 11);
}

/* Whatever is good here, OpenSSH takes as well. */
static void openssh_reads_the_same_list(void **state)
{
	struct signers signers;
	char *made = with_keys("# some\nalice namespaces=\"cut@weir\",valid-after=\"20200101Z\","
			       "valid-before=\"20990101000000Z\" ONE of her own\n"
			       "\"bob\" " NS "TWO\n");
	struct order_fault fault;
	char *signature = sign_text("one", "cut@weir", "text\n", "");

	(void)state;
	assert_int_equal(signers_read(made, strlen(made), 1, &signers, &fault), 0);
	signers_free(&signers);
	put_file("signers", made);
	put_file("text.sig", signature);
	assert_int_equal(shell("ssh-keygen -Y verify -f signers -I alice -n cut@weir -s text.sig "
			       "< text"),
			 0);
	assert_int_not_equal(shell("ssh-keygen -Y verify -f signers -I bob -n cut@weir -s text.sig "
				   "< text"),
			     0);
	free(signature);
	free(made);
}

/* ---- keys taken back ------------------------------------------------------------------------ */

static int read_revoked(const char *text, struct revoked *revoked, struct order_fault *fault)
{
	char *made = with_keys(text);
	int r = revoked_read(made, strlen(made), revoked, fault);

	free(made);
	return r;
}

static void revoked_keys_are_found(void **state)
{
	struct revoked revoked;
	struct signers signers;
	struct order_fault fault;
	char text[128], fingerprint[SSH_FINGERPRINT_TEXT];

	(void)state;
	expect_good("alice " NS "ONE\nbob " NS "TWO\n", &signers);
	assert_int_equal(read_revoked("# lost\nONE alice's\n", &revoked, &fault), 0);
	assert_true(revoked_has(&revoked, &signers.item[0].key));
	assert_false(revoked_has(&revoked, &signers.item[1].key));
	revoked_free(&revoked);
	snprintf(text, sizeof(text), "%s bob's\n",
		 ssh_key_fingerprint(&signers.item[1].key, fingerprint));
	assert_int_equal(read_revoked(text, &revoked, &fault), 0);
	assert_false(revoked_has(&revoked, &signers.item[0].key));
	assert_true(revoked_has(&revoked, &signers.item[1].key));
	revoked_free(&revoked);
	assert_int_equal(read_revoked("", &revoked, &fault), 0);
	assert_false(revoked_has(&revoked, &signers.item[0].key));
	revoked_free(&revoked);
	signers_free(&signers);
}

static void faults_of_revoked_keys(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *says;
	} rows[] = {
		{"ONE", 1, 0, "the last line has no end"},
		{"#\nssh-ed25519\n", 2, 12, "the key is missing"},
		{"ssh-ed25519 x\n", 1, 1, "not base64"},
		{" SHA256:abc\n", 1, 2, "43 characters"},
		{"SHA256:0123456789012345678901234567890123456789010\n", 1, 0, NULL},
		{"SHA256:012345678901234567890123456789012345678901*\n", 1, 1, "43 characters"},
		{"SHA256:0123456789012345678901234567890123456789013\n", 1, 1, "43 characters"},
		{"MD5:00\n", 1, 7, "the key is missing"},
	};
	struct order_fault fault;
	struct revoked revoked;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int r = read_revoked(rows[i].text, &revoked, &fault);

		if (!rows[i].says) {
			assert_int_equal(r, 0);
			revoked_free(&revoked);
			continue;
		}
		assert_int_equal(r, -EBADMSG);
		if (fault.line != rows[i].line || !strstr(fault.text, rows[i].says) ||
		    (rows[i].column && fault.column != rows[i].column))
			fail_msg("%s: %u:%u: %s", rows[i].text, fault.line, fault.column,
				 fault.text);
	}
}

/* ---- instants ------------------------------------------------------------------------------- */

static void instants_have_one_form(void **state)
{
	static const char *const wrong[] = {
		"",
		"2026-11-26",
		"2026-11-26T15:04:05",
		"2026-11-26 15:04:05Z",
		"2026-11-26t15:04:05z",
		"2026-11-26T15:04:05.0Z",
		"2026-11-26T15:04:05+00:00",
		"2026-02-29T15:04:05Z",
		"2026-11-31T15:04:05Z",
		"2026-11-26T24:00:00Z",
		"2026-11-26T15:04:60Z",
		"1969-12-31T23:59:59Z",
		"2500-01-01T00:00:00Z",
		" 2026-11-26T15:04:05",
		"2026-11-26T15:04:05Z ",
		"+026-11-26T15:04:05Z",
	};
	char text[INSTANT_TEXT];
	uint64_t ns = 7;

	(void)state;
	for (size_t i = 0; i < COUNT(wrong); i++)
		assert_int_equal(instant_parse(wrong[i], &ns), -EINVAL);
	assert_int_equal(ns, 7);
	assert_int_equal(instant_parse("2028-02-29T23:59:59Z", &ns), 0);
	assert_true(ns == UINT64_C(1835481599) * 1000000000);
	assert_string_equal(instant_format(ns + 999999999, text), "2028-02-29T23:59:59Z");
	assert_int_equal(instant_parse_ssh("20280229235959Z", &ns), 0);
	assert_true(ns == UINT64_C(1835481599) * 1000000000);
	assert_int_equal(instant_parse_ssh("20280229235959", &ns), -EINVAL);
	assert_int_equal(instant_parse_ssh("2028022923Z", &ns), -EINVAL);
}

static int open_keys(void **state)
{
	if (open_signing(state) < 0)
		return -1;
	make_key("one", "-t ed25519");
	make_key("two", "-t ecdsa -b 256");
	make_key("small", "-t rsa -b 2048");
	one = public_of("one");
	two = public_of("two");
	small = public_of("small");
	return 0;
}

static int close_keys(void **state)
{
	free(one);
	free(two);
	free(small);
	return close_signing(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_read),
		cmocka_unit_test(a_principal_may_have_two_keys),
		cmocka_unit_test(faults_have_their_place),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(lines_are_counted_from_where_they_stand),
		cmocka_unit_test(openssh_reads_the_same_list),
		cmocka_unit_test(revoked_keys_are_found),
		cmocka_unit_test(faults_of_revoked_keys),
		cmocka_unit_test(instants_have_one_form),
	};

	return cmocka_run_group_tests(tests, open_keys, close_keys);
}
