/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_document.c - orders as text: what each kind says, and what is refused, with its place.
 * Signatures are only taken apart here: see test_judge.c.
 */
#include "tests/unit/signing.h"

#include <errno.h>
#include <openssl/evp.h>

#include "user/order/document.h"

#define NONCE "nonce: 00112233445566778899aabbccddeeff\n"
#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define TOP(kind)                                                                                  \
	"weir-order: 1\nkind: " kind "\nissued: 2026-11-26T15:00:00Z\n" NONCE /* lines 1 to 4 */
#define CUT_TOP	  TOP("cut") "reason: why\n"				      /* line 5 */
#define CUT	  CUT_TOP "target: all\n"				      /* line 6 */
#define ADD	  TOP("partner-add") "reason: why\ntarget: partner:p\n"
#define EXTEND	  TOP("extend") "reason: why\ntarget: partner:p\ngrant: g\nby: 1GiB\n"
#define SIGNATURE SSHSIG_BEGIN "\nAAAA\n" SSHSIG_END "\n"

static int read_text(const char *text, struct document *document, struct order_fault *fault)
{
	return document_read(text, strlen(text), document, fault);
}

static void expect_good(const char *text, struct document *document)
{
	struct order_fault fault;

	if (read_text(text, document, &fault) < 0)
		fail_msg("%s: %u:%u: %s", text, fault.line, fault.column, fault.text);
}

/* ---- what is read --------------------------------------------------------------------------- */

static void a_cut(void **state)
{
	static const char body[] =
		CUT_TOP "target: partner:klinik-nord\ntarget: class:hospital@service:sftp\n"
			"target: addr:192.0.2.0/24\nhosts: transfer\nhosts: berlin\nfor: 4h\n";
	static const char text[] = CUT_TOP
		"target: partner:klinik-nord\ntarget: class:hospital@service:sftp\n"
		"target: addr:192.0.2.0/24\nhosts: transfer\nhosts: berlin\nfor: 4h\n" SIGNATURE
			SIGNATURE;
	struct document document;
	uint8_t digest[32];
	char id[65];

	(void)state;
	expect_good(text, &document);
	assert_int_equal(document.kind, ORDER_CUT);
	assert_string_equal(document.reason, "why");
	assert_string_equal(document.nonce, "00112233445566778899aabbccddeeff");
	assert_int_equal(document.targets.count, 3);
	assert_string_equal(document.targets.item[1], "class:hospital@service:sftp");
	assert_int_equal(document.hosts.count, 2);
	assert_string_equal(document.hosts.item[1], "berlin");
	assert_true(document.until_ns - document.issued_ns == 4 * 3600 * UINT64_C(1000000000));
	assert_int_equal(document.body_length, strlen(body));
	assert_int_equal(document.signatures, 2);
	assert_int_equal(document.signature[0].length, 3);
	assert_int_equal(document.signature[1].line, 15);
	EVP_Digest(body, strlen(body), digest, NULL, EVP_sha256(), NULL);
	for (size_t i = 0; i < sizeof(digest); i++)
		sprintf(id + 2 * i, "%02x", digest[i]);
	assert_string_equal(document.id, id);
	document_free(&document);
}

static void every_kind(void **state)
{
	struct document document;

	(void)state;
	expect_good(CUT, &document);
	assert_int_equal(document.signatures, 0);
	assert_true(document.until_ns == 0);
	document_free(&document);
	expect_good(TOP("reopen") "reason: why\ncut: " ID "\n", &document);
	assert_string_equal(document.cut, ID);
	assert_int_equal(document.targets.count, 0);
	document_free(&document);
	expect_good(EXTEND "until: 2026-11-26T16:00:00Z\n", &document);
	assert_string_equal(document.grant, "g");
	assert_true(document.by_bytes == 1 << 30);
	document_free(&document);
	expect_good(TOP("pause") "reason: why\nfor: 1h\n", &document);
	document_free(&document);
	expect_good(TOP("pause") "reason: why\nfor: 1h\ntarget: service:s\n", &document);
	document_free(&document);
	expect_good(ADD "for: 1h\nprefix: 2001:db8::/32\n", &document);
	assert_string_equal(document.prefix, "2001:db8::/32");
	document_free(&document);
	expect_good(TOP("base") "reason: why\nversion: 7\nhosts: h\n\nweir: 1\n\n# end\n",
		    &document);
	assert_true(document.version == 7);
	assert_int_equal(document.content_length, strlen("weir: 1\n\n# end\n"));
	assert_memory_equal(document.content, "weir: 1\n\n# end\n", document.content_length);
	assert_int_equal(document.content_line, 9);
	document_free(&document);
	expect_good(TOP("beat") "version: 999999999999999999\n", &document);
	assert_true(document.version == UINT64_C(999999999999999999));
	document_free(&document);
}

static void signers_are_read_where_they_stand(void **state)
{
	char text[1024], *key = public_of("key");
	struct document document = {0};
	struct order_fault fault;

	(void)state;
	snprintf(text, sizeof(text),
		 TOP("signers") "reason: why\nversion: 2\n\na namespaces=\"cut@weir\" %s\n%s", key,
		 SIGNATURE);
	expect_good(text, &document);
	assert_int_equal(document.signers.count, 1);
	assert_int_equal(document.signers.item[0].line, 8);
	assert_int_equal(document.signatures, 1);
	document_free(&document);
	snprintf(text, sizeof(text), TOP("signers") "reason: why\nversion: 2\n\n# a\n*\n");
	assert_int_equal(read_text(text, &document, &fault), -EBADMSG);
	assert_int_equal(fault.line, 9);
	assert_int_equal(fault.column, 1);
	free(key);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static const struct {
	const char *text;
	uint32_t line, column;
	const char *says;
} bad[] = {
	/* text */
	{"", 1, 1, "begins with"},
	{"\n", 1, 1, "begins with"},
	{"weir-order: 1", 1, 14, "the last line has no end"},
	{"weir-order: 1\r\n", 1, 14, "carriage return"},
	{CUT_TOP "target: a\tll\n", 6, 9, "no control character"},
	{CUT_TOP "target: a\001ll\n", 6, 10, "control character (0x01)"},
	{CUT_TOP "target: \xc3\n", 6, 9, "not UTF-8"},
	{CUT_TOP "target: \xed\xa0\x80\n", 6, 9, "not UTF-8"},
	/* lines */
	{"kind: cut\n", 1, 1, "here \"weir-order:\" has to stand"},
	{"weir-order: 1\n", 1, 1, "begins with"},
	{"weir-order: 2\n", 1, 13, "version \"2\""},
	{"weir-order: 1\nissued: 2026-11-26T15:00:00Z\n", 2, 1, "here \"kind:\" has to stand"},
	{"weir-order: 1\nkind: cuts\n", 2, 7, "did you mean cut?"},
	{"weir-order: 1\nkind: Cut\n", 2, 7, "no kind of order"},
	{"weir-order: 1\nweir-order: 1\n", 2, 1, "here \"kind:\" has to stand"},
	{CUT "target:all\n", 7, 1, "one blank"},
	{CUT "target\n", 7, 1, "one blank"},
	{CUT ": x\n", 7, 1, "one blank"},
	{CUT "hosts:  h\n", 7, 8, "no blank"},
	{CUT "hosts: h \n", 7, 8, "no blank"},
	{CUT "hosts: \n", 7, 8, "not empty"},
	{CUT " hosts: h\n", 7, 1, "did you mean \"hosts\"?"},
	{CUT "host: h\n", 7, 1, "unknown key \"host\"; did you mean \"hosts\"?"},
	{CUT "zzzzzz: h\n", 7, 1, "unknown key"},
	{CUT "reason: again\n", 7, 1, "stands on line 5 already"},
	{CUT "kind: cut\n", 7, 1, "stands on line 2 already"},
	{CUT "version: 1\n", 7, 1, "kind cut has no \"version:\""},
	{CUT "grant: g\n", 7, 1, "kind cut has no \"grant:\""},
	{TOP("beat") "version: 1\nreason: x\n", 6, 1, "kind beat has no \"reason:\""},
	{TOP("signers") "reason: x\nversion: 1\nhosts: h\n", 7, 1, "kind signers has no"},
	/* missing */
	{CUT_TOP, 5, 1, "kind cut needs \"target:\""},
	{TOP("cut") "target: all\n", 5, 1, "needs \"reason:\""},
	{"weir-order: 1\nkind: beat\n" NONCE "version: 1\n", 4, 1, "needs \"issued:\""},
	{"weir-order: 1\nkind: beat\nissued: 2026-11-26T15:00:00Z\nversion: 1\n", 4, 1,
	 "needs \"nonce:\""},
	{TOP("reopen") "reason: x\n", 5, 1, "needs \"cut:\""},
	{TOP("base") "reason: x\n", 5, 1, "needs \"version:\""},
	{EXTEND, 8, 1, "ends by itself"},
	{TOP("pause") "reason: x\n", 5, 1, "ends by itself"},
	/* values */
	{"weir-order: 1\nkind: cut\nissued: 2026-11-26\n", 3, 9, "no moment in UTC"},
	{"weir-order: 1\nkind: cut\nnonce: 1\n", 3, 8, "32 hexadecimal digits"},
	{"weir-order: 1\nkind: cut\nnonce: 00112233445566778899AABBCCDDEEFF\n", 3, 8,
	 "in small letters"},
	{CUT_TOP "target: klinik\n", 6, 9, "is no target"},
	{CUT_TOP "target: partner:\n", 6, 9, "is no target"},
	{CUT_TOP "target: partner:a b\n", 6, 9, "is no target"},
	{CUT_TOP "target: partner:*\n", 6, 9, "is no target"},
	{CUT_TOP "target: addr:192.0.2.1/24\n", 6, 9, "is no target"},
	{CUT_TOP "target: addr:klinik\n", 6, 9, "is no target"},
	{CUT_TOP "target: service:a@service:b\n", 6, 9, "is no target"},
	{CUT_TOP "target: all@service:\n", 6, 9, "is no target"},
	{CUT_TOP "target: all@partner:p\n", 6, 9, "is no target"},
	{CUT_TOP "target: all@service:a@service:b\n", 6, 9, "is no target"},
	{CUT "target: all\n", 7, 9, "named twice"},
	{CUT "hosts: a\nhosts: a\n", 8, 8, "named twice"},
	{CUT "hosts: a/b\n", 7, 8, "is no name"},
	{CUT "hosts: a, b\n", 7, 8, "is no name"},
	{CUT "for: 4\n", 7, 6, "no span"},
	{CUT "for: 0s\n", 7, 6, "no span"},
	{CUT "until: tomorrow\n", 7, 8, "no moment"},
	{CUT "until: 2026-11-26T15:00:00Z\n", 7, 1, "ends before it is issued"},
	{CUT "until: 2026-11-26T16:00:00Z\nfor: 1h\n", 8, 1, "not both"},
	{"weir-order: 1\nkind: cut\nissued: 2499-01-01T00:00:00Z\n" NONCE
	 "reason: x\ntarget: all\nfor: 9223372036s\n",
	 7, 1, "no clock goes that far"},
	{TOP("reopen") "reason: x\ncut: 0123\n", 6, 6, "64 hexadecimal digits"},
	{TOP("base") "reason: x\nversion: 0\n", 6, 10, "no version"},
	{TOP("base") "reason: x\nversion: 01\n", 6, 10, "no version"},
	{TOP("base") "reason: x\nversion: -1\n", 6, 10, "no version"},
	{TOP("base") "reason: x\nversion: 1000000000000000000\n", 6, 10, "no version"},
	{TOP("extend") "reason: x\nby: 2\n", 6, 5, "no size"},
	{TOP("extend") "reason: x\nby: 0B\n", 6, 5, "no size"},
	{EXTEND "for: 1h\ntarget: partner:q\n", 6, 1, "has one target"},
	{TOP("pause") "reason: x\nfor: 1h\ntarget: partner:p\n", 7, 1, "about one service"},
	{TOP("pause") "reason: x\nfor: 1h\ntarget: service:a\ntarget: service:b\n", 7, 1,
	 "about one service"},
	{ADD "for: 1h\n", 7, 1, "needs \"prefix:\""},
	{ADD "prefix: 192.0.2.0/24\n", 7, 1, "ends by itself"},
	{ADD "for: 1h\nprefix: 192.0.2.1/24\n", 8, 9, "without bits to its right"},
	{ADD "for: 1h\nprefix: 192.0.2.0/33\n", 8, 9, "no address"},
	{ADD "for: 1h\nprefix: nord.example\n", 8, 9, "no address"},
	{ADD "for: 1h\nprefix: 192.0.2.1\nprefix: 192.0.2.2\n", 9, 1, "stands on line 8"},
	{ADD "for: 1h\nprefix: 192.0.2.1\ntarget: partner:q\n", 6, 1, "about one partner:NAME"},
	{TOP("partner-add") "reason: x\nfor: 1h\nprefix: 192.0.2.1\n", 7, 1, "needs \"target:\""},
	{TOP("partner-add") "reason: x\nfor: 1h\nprefix: 192.0.2.1\ntarget: class:p\n", 8, 1,
	 "about one partner:NAME"},
	{TOP("partner-add") "reason: x\nfor: 1h\nprefix: 192.0.2.1\ntarget: partner:p@service:s\n",
	 8, 1, "about one partner:NAME"},
	{CUT "prefix: 192.0.2.1\n", 7, 1, "has no \"prefix:\""},
	/* behind the lines */
	{CUT "\n", 7, 1, "nothing stands behind"},
	{CUT "\ntarget: strangers\n", 7, 1, "nothing stands behind"},
	{TOP("base") "reason: x\nversion: 1\n", 7, 1, "an empty line and then the policy"},
	{TOP("base") "reason: x\nversion: 1\n\n", 8, 1, "an empty line and then the policy"},
	{TOP("signers") "reason: x\nversion: 1\n\n", 8, 1, "and then the allowed_signers"},
	/* signatures */
	{SIGNATURE, 1, 1, "begins with"},
	{CUT SSHSIG_BEGIN "\n", 7, 1, "has no end"},
	{CUT SIGNATURE "x\n", 10, 1, "here a signature begins"},
	{CUT SIGNATURE "\n", 10, 1, "here a signature begins"},
	{CUT SIGNATURE "\n" SIGNATURE, 10, 1, "here a signature begins"},
	{CUT SIGNATURE "target: strangers\n" SIGNATURE, 10, 1, "here a signature begins"},
	{CUT SSHSIG_BEGIN "\n" SIGNATURE, 8, 1, "not base64"},
	{CUT SSHSIG_BEGIN "\nA*AA\n" SSHSIG_END "\n", 8, 1, "not base64"},
	{CUT SSHSIG_BEGIN " \nAAAA\n" SSHSIG_END "\n", 7, 1, "one blank"},
	{CUT SSHSIG_END "\n", 7, 1, "one blank"},
};

static void faults_have_their_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct order_fault fault = {0};
		struct document document = {.kind = ORDER_BEAT};

		if (read_text(bad[i].text, &document, &fault) != -EBADMSG)
			fail_msg("%s: taken", bad[i].text);
		assert_int_equal(document.kind, ORDER_BEAT); /* left alone */
		if (fault.line != bad[i].line || fault.column != bad[i].column ||
		    !strstr(fault.text, bad[i].says))
			fail_msg("%s: %u:%u: %s", bad[i].text, fault.line, fault.column,
				 fault.text);
	}
}

/* ---- bounds --------------------------------------------------------------------------------- */

/* A text `count` times between two others; "#" in it becomes a number. */
static char *repeated(const char *before, const char *again, int count, const char *behind)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	fputs(before, out);
	for (int i = 0; i < count; i++) {
		for (const char *at = again; *at; at++) {
			if (*at == '#')
				fprintf(out, "%d", i);
			else
				fputc(*at, out);
		}
	}
	fputs(behind, out);
	fclose(out);
	return text;
}

static void expect_bound(char *good, char *bad_text, const char *says)
{
	struct document document;
	struct order_fault fault;

	expect_good(good, &document);
	document_free(&document);
	assert_int_equal(read_text(bad_text, &document, &fault), -EBADMSG);
	if (!strstr(fault.text, says))
		fail_msg("%u:%u: %s", fault.line, fault.column, fault.text);
	free(good);
	free(bad_text);
}

static void there_is_an_end_to_everything(void **state)
{
	struct document document;
	struct order_fault fault;
	char *text, reason[1100];

	(void)state;
	expect_bound(repeated(CUT_TOP, "target: partner:p#\n", 256, ""),
		     repeated(CUT_TOP, "target: partner:p#\n", 257, ""), "at most 256");
	expect_bound(repeated(CUT, "hosts: h#\n", 64, ""), repeated(CUT, "hosts: h#\n", 65, ""),
		     "at most 64");
	expect_bound(repeated(CUT SIGNATURE, SIGNATURE, 15, ""),
		     repeated(CUT SIGNATURE, SIGNATURE, 16, ""), "at most 16 signatures");
	memset(reason, 'x', 191);
	strcpy(reason + 191, "\n");
	expect_bound(repeated(TOP("cut") "target: all\nreason: ", "", 0, reason),
		     repeated(TOP("cut") "target: all\nreason: x", "", 0, reason),
		     "at most 191 bytes");
	memset(reason, 'x', sizeof(reason) - 1);
	strcpy(reason + sizeof(reason) - 2, "\n");
	text = repeated(CUT, "", 0, reason);
	assert_int_equal(read_text(text, &document, &fault), -EBADMSG);
	assert_non_null(strstr(fault.text, "at most 1024 bytes"));
	assert_int_equal(fault.line, 7);
	free(text);
	text = calloc(1, DOCUMENT_MAX_BYTES + 2);
	memset(text, '#', DOCUMENT_MAX_BYTES + 1);
	assert_int_equal(document_read(text, DOCUMENT_MAX_BYTES + 1, &document, &fault), -EBADMSG);
	assert_non_null(strstr(fault.text, "at most 32 MiB"));
	free(text);
}

static void a_nul_is_no_text(void **state)
{
	static const char text[] = CUT "hosts: a\0b\n";
	struct document document;
	struct order_fault fault;

	(void)state;
	assert_int_equal(document_read(text, sizeof(text) - 1, &document, &fault), -EBADMSG);
	assert_int_equal(fault.line, 7);
	assert_int_equal(fault.column, 9);
}

/* A newline more or less, before or behind the signatures, is another text or a fault. */
static void no_line_can_be_left_out(void **state)
{
	static const char text[] = CUT "hosts: a\n" SIGNATURE;
	struct document document, other;
	struct order_fault fault;
	char copy[sizeof(text)];

	(void)state;
	expect_good(text, &document);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1) {
		size_t before = at - text, line = strchr(at, '\n') + 1 - at;

		memcpy(copy, text, before);
		strcpy(copy + before, at + line);
		if (read_text(copy, &other, &fault) < 0)
			continue;
		assert_string_not_equal(other.id, document.id);
		document_free(&other);
	}
	document_free(&document);
}

static int open_key(void **state)
{
	if (open_signing(state) < 0)
		return -1;
	make_key("key", "-t ed25519");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(signers_are_read_where_they_stand),
		cmocka_unit_test(faults_have_their_place),
		cmocka_unit_test(there_is_an_end_to_everything),
		cmocka_unit_test(a_nul_is_no_text),
		cmocka_unit_test(no_line_can_be_left_out),
	};

	return cmocka_run_group_tests(tests, open_key, close_signing);
}
