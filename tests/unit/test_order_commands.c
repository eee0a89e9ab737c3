/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_order_commands.c - `weir order write`, `weir sign` and `weir order verify`, one after the
 * other, as two people would use them.
 */
#include "tests/unit/signing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/cmd/call.h"
#include "user/daemon/without_daemon.h"

#define ALL_NS "namespaces=\"cut@weir,reopen@weir,base@weir,signers@weir,beat@weir\""

/* What the last command wrote, to both. */
static char *said;

static int run_words(const struct command *command, int argc, char **argv)
{
	struct arguments arguments;
	char *problem = NULL;
	int code = CMD_USAGE;

	if (arguments_parse(command, argc, argv, &arguments, &problem) < 0)
		command_usage(&arguments, "%s", problem);
	else
		code = command->run(&arguments);
	arguments_free(&arguments);
	free(problem);
	return code;
}

/* Runs a command in the directory; words are divided by blanks, "~" stands for one. Exit code. */
static int weir(const struct command *command, const char *line)
{
	int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), code, argc = 0;
	int file = open(path_of("output"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	char *copy = strdup(line), *argv[32];

	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		for (char *c = word; *c; c++)
			*c = *c == '~' ? ' ' : *c;
		argv[argc++] = word;
	}
	fflush(stdout);
	dup2(file, STDOUT_FILENO);
	dup2(file, STDERR_FILENO);
	code = run_words(command, argc, argv);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(file);
	close(out);
	close(err);
	free(copy);
	free(said);
	said = take_file("output");
	return code;
}

static void expect(int code, const struct command *command, const char *line, const char *says)
{
	int got = weir(command, line);

	if (got != code || !strstr(said, says))
		fail_msg("%s: exit %d, not %d with \"%s\": %s", line, got, code, says, said);
}

#define ORDER &command_order
#define SIGN  &command_sign

static void remove_files(const char *names)
{
	assert_int_equal(shell("rm -f %s", names), 0);
}

/* Nothing of what `sign` needs is left behind. */
static void expect_clean(void)
{
	assert_int_equal(shell("test -z \"$(ls tmp)\""), 0);
}

/* ---- the way of an order -------------------------------------------------------------------- */

static void a_cut_and_its_reopening(void **state)
{
	char id[65], line[256];

	(void)state;
	remove_files("c r");
	expect(CMD_DONE, ORDER,
	       "write cut partner:klinik-nord addr:192.0.2.0/24 --reason incident~4711 --for 4h "
	       "--hosts transfer --hosts berlin --out c",
	       "to be signed");
	expect(CMD_REFUSED, ORDER, "verify c --signers signers", "nobody has signed it");
	expect(CMD_DONE, SIGN, "c --key alice", "signed by SHA256:");
	expect_clean();
	expect(CMD_DONE, ORDER, "verify c --signers signers",
	       "  cuts partner:klinik-nord, addr:192.0.2.0/24\n");
	assert_non_null(strstr(said, "because: incident 4711"));
	assert_non_null(strstr(said, "signature 1: alice, SHA256:"));
	assert_non_null(
		strstr(said, ": counts\naccepted: signed by 1 principal, and it takes 1\n"));
	assert_int_equal(sscanf(said, "order %64s", id), 1);
	snprintf(line, sizeof(line), "write reopen --cut %s --reason checked --out r", id);
	expect(CMD_DONE, ORDER, line, "to be signed");
	expect(CMD_DONE, SIGN, "r --key alice", "signature 1");
	expect(CMD_REFUSED, ORDER, "verify r --signers signers",
	       "r: refused: signed by 1 principal, and it takes 2\n");
	expect(CMD_REFUSED, SIGN, "r --key alice", "this key has signed it already");
	expect(CMD_DONE, SIGN, "r --key alice2", "signature 2");
	expect(CMD_REFUSED, ORDER, "verify r --signers signers", "alice has signed already");
	expect(CMD_DONE, SIGN, "r --key bob", "signature 3");
	expect(CMD_DONE, ORDER, "verify r --signers signers", "accepted: signed by 2");
	snprintf(line, sizeof(line), "lets back all of cut %s", id);
	assert_non_null(strstr(said, line));
	expect_clean();
}

/* What is in the file is what OpenSSH takes. */
static void openssh_takes_the_file_apart(void **state)
{
	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key bob", "");
	assert_int_equal(
		shell("sed '/^-----BEGIN/,$d' o >body && sed -n '/^-----BEGIN/,$p' o >sig && "
		      "ssh-keygen -Y verify -f signers -I bob -n cut@weir -s sig <body"),
		0);
}

static void verify_says_what_does_not_count(void **state)
{
	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write pause service:sftp --for 1h --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key alice", "");
	expect(CMD_DONE, SIGN, "o --key mallory", "");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers", "signature 2: nobody, SHA256:");
	assert_non_null(strstr(said, "does not count: no principal has this key"));
	expect(CMD_DONE, SIGN, "o --key bob", "");
	expect(CMD_DONE, ORDER, "verify o --signers signers", "accepted");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --revoked bob.pub",
	       "this key is revoked");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --at 2020-01-01T00:00Z",
	       "issued in the future");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --at 2099-01-01T00:00Z",
	       "it was over at");
}

static void standard_input_is_read(void **state)
{
	int in = dup(STDIN_FILENO), file;

	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key alice", "");
	file = open(path_of("o"), O_RDONLY);
	dup2(file, STDIN_FILENO);
	expect(CMD_DONE, ORDER, "verify - --signers signers", "accepted");
	dup2(in, STDIN_FILENO);
	close(file);
	close(in);
}

/* ---- what they enclose ---------------------------------------------------------------------- */

#define POLICY                                                                                     \
	"weir: 1\nname: t\nmode: enforce\nservices: {sftp: {cgroup: a}}\n"                         \
	"partners: {klinik-nord: {addresses: 192.0.2.1}}\ngrants:\n"                               \
	"  - {name: g, service: sftp, partner: klinik-nord, serves: tcp/22, budget: [%s]}\n"

static void put_policy(const char *name, const char *budget)
{
	char text[1024];

	snprintf(text, sizeof(text), POLICY, budget);
	put_file(name, text);
}

static void a_base_is_a_policy(void **state)
{
	(void)state;
	remove_files("o");
	put_policy("one.yaml", "1GiB/1h");
	put_policy("two.yaml", "2GiB/1h");
	expect(CMD_DONE, ORDER, "write base --version 7 --enclose two.yaml --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key alice", "");
	expect(CMD_DONE, SIGN, "o --key bob", "");
	expect(CMD_DONE, ORDER, "verify o --signers signers --version 6 --policy one.yaml",
	       "  looser ");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --version 7", "is not above 7");
	expect(CMD_USAGE, ORDER, "verify o --signers signers", "--version NUMBER");
	put_file("bad.yaml", "weir: 1\nname: t\nmode: x\n");
	expect(CMD_REFUSED, ORDER, "write base --version 7 --enclose bad.yaml --reason x",
	       "bad.yaml:3:7: ");
	put_file("parts.yaml", "weir: 1\nname: t\nmode: observe\ninclude: [two.yaml]\n");
	expect(CMD_REFUSED, ORDER, "write base --version 7 --enclose parts.yaml --reason x",
	       "parts.yaml:4:10: the files that it names are not here");
	put_file("o", "weir-order: 1\nkind: base\nissued: 2026-11-26T15:00:00Z\n"
		      "nonce: 00112233445566778899aabbccddeeff\nreason: x\nversion: 7\n\n"
		      "weir: 1\nname: t\nmode: x\n");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --version 6", "o:10:7: ");
}

static void a_list_of_signers_is_one(void **state)
{
	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write signers --version 2 --enclose next --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key alice", "");
	expect(CMD_DONE, SIGN, "o --key bob", "");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --version 1",
	       "signed by 1 principal of the new list, and it takes 2");
	assert_non_null(strstr(said, "  goes: alice SHA256:"));
	assert_non_null(strstr(said, "  comes: carol SHA256:"));
	expect(CMD_DONE, SIGN, "o --key carol", "");
	expect(CMD_DONE, ORDER, "verify o --signers signers --version 1", "accepted");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --version 2", "does not follow 2");
	put_file("bad", "*\n");
	expect(CMD_REFUSED, ORDER, "write signers --version 2 --enclose bad --reason x",
	       "bad:1:1: a principal is the name of one person");
}

static void names_are_looked_up(void **state)
{
	(void)state;
	remove_files("o");
	put_policy("one.yaml", "1GiB/1h");
	expect(CMD_DONE, ORDER,
	       "write cut partner:klinik-nord partner:klinik-nrod --reason x --out o", "");
	expect(CMD_DONE, SIGN, "o --key alice", "");
	expect(CMD_DONE, ORDER, "verify o --signers signers --policy one.yaml",
	       "partner:klinik-nord: the policy has it");
	assert_non_null(strstr(said, "did you mean \"klinik-nord\"?"));
}

/* By the policy alone: whom it stops, and for whom it does not. */
static void what_a_cut_stops_is_told(void **state)
{
	char text[8192];
	size_t used;

	(void)state;
	used = snprintf(
		text, sizeof(text),
		"weir: 1\nname: t\nmode: enforce\n"
		"lifeline: [{service: admin, serves: tcp/22, to: [192.0.2.0/28], why: jump}]\n"
		"services:\n  admin: {cgroup: a.service}\n  sftp: {cgroup: s.service}\n"
		"grants:\n  - {name: g, service: sftp, partner: any, serves: tcp/22, budget: "
		"none}\n"
		"partners:\n  nord: {addresses: [198.51.100.0/28], class: [hospital]}\n"
		"  sued: {addresses: [198.51.100.16/28], class: [hospital]}\n"
		"  payer: {addresses: [198.51.100.32/28]}\n");
	put_file("few.yaml", text);
	for (int i = 0; i < 20; i++)
		used += snprintf(text + used, sizeof(text) - used,
				 "  more-%d: {addresses: [203.0.113.%d]}\n", i, i);
	put_file("many.yaml", text);
	remove_files("o p q r");
	expect(CMD_DONE, ORDER, "write cut partner:nrod class:hospital --reason x --out o", "");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --policy few.yaml",
	       "  stops 2 partners: nord, sued\nnobody has signed it");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out p", "");
	expect(CMD_REFUSED, ORDER, "verify p --signers signers --policy few.yaml",
	       "  stops 3 partners: nord, sued, payer\n  the lifeline spares admin\n");
	expect(CMD_REFUSED, ORDER, "verify p --signers signers --policy many.yaml",
	       "  stops 23 partners: nord, sued, payer, more-0, ");
	assert_non_null(strstr(said, ", more-16, ...\n"));
	expect(CMD_DONE, ORDER, "write cut strangers --reason x --out q", "");
	expect(CMD_REFUSED, ORDER, "verify q --signers signers --policy few.yaml",
	       "  stops 0 partners\n");
	expect(CMD_DONE, ORDER, "write pause --for 1h --reason x --out r", "");
	expect(CMD_REFUSED, ORDER, "verify r --signers signers --policy few.yaml", "nobody");
	assert_null(strstr(said, "stops"));
}

static void a_prefix_is_held_against_the_policy(void **state)
{
	static const struct {
		const char *prefix, *says;
	} told[] = {{"203.0.113.0/28", "prefix 203.0.113.0/28: it can be added"},
		    {"192.0.2.1", "prefix 192.0.2.1: 192.0.2.1 is klinik-nord's by the policy"},
		    {"0.0.0.0/0", "is too much: at least /16 of IPv4"}};
	char line[256];

	(void)state;
	put_policy("one.yaml", "1GiB/1h");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		remove_files("o");
		snprintf(line, sizeof(line),
			 "write partner-add partner:klinik-nord --prefix %s --for 1h --reason x "
			 "--out o",
			 told[i].prefix);
		expect(CMD_DONE, ORDER, line, "to be signed");
		expect(CMD_DONE, SIGN, "o --key alice", "");
		expect(CMD_REFUSED, ORDER, "verify o --signers signers --policy one.yaml",
		       "signed by 1 principal, and it takes 2");
		assert_non_null(strstr(said, told[i].says));
		expect(CMD_DONE, SIGN, "o --key bob", "");
		expect(CMD_DONE, ORDER, "verify o --signers signers", "accepted");
		assert_non_null(strstr(said, "count as partner:klinik-nord"));
	}
	expect(CMD_REFUSED, ORDER,
	       "write partner-add partner:klinik-nord --prefix 192.0.2.1/24 --for 1h --reason x",
	       "without bits to its right");
	expect(CMD_REFUSED, ORDER, "write partner-add partner:klinik-nord --for 1h --reason x",
	       "needs \"prefix:\"");
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void wrong_words_are_told(void **state)
{
	(void)state;
	remove_files("o");
	expect(CMD_USAGE, ORDER, "verify", "takes one FILE");
	expect(CMD_USAGE, ORDER, "verfiy x", "verify, write, apply, end, list or show");
	expect(CMD_USAGE, ORDER, "write", "takes a KIND");
	expect(CMD_USAGE, ORDER, "list x", "no more arguments");
	expect(CMD_USAGE, ORDER, "show", "takes one ID");
	expect(CMD_USAGE, ORDER, "verify a b", "takes one FILE");
	expect(CMD_USAGE, ORDER, "verify a --reason x", "verify takes no --reason");
	expect(CMD_USAGE, ORDER, "write cut all", "--reason is missing");
	expect(CMD_USAGE, ORDER, "write cuts all --reason x", "cuts is no kind");
	expect(CMD_USAGE, ORDER, "write cut all --reason x --signers s",
	       "write takes no --signers");
	expect(CMD_USAGE, ORDER, "write cut all --reason x --until soon", "no moment");
	expect(CMD_USAGE, ORDER, "write cut all --reason x --enclose o", "of base and signers");
	expect(CMD_USAGE, ORDER, "write base --reason x --version 1", "--enclose is missing");
	expect(CMD_USAGE, ORDER, "write cut all --reason x\ntarget:~strangers",
	       "no control character");
	expect(CMD_USAGE, ORDER, "write cut all\nhosts:~h --reason x", "no control character");
	expect(CMD_REFUSED, ORDER, "write cut klinik --reason x", "is no target");
	expect(CMD_REFUSED, ORDER, "write cut --reason x", "needs \"target:\"");
	expect(CMD_REFUSED, ORDER, "write cut all --reason x --grant g", "has no \"grant:\"");
	expect(CMD_REFUSED, ORDER, "verify nothing", "No such file");
	expect(CMD_USAGE, SIGN, "o", "--key is missing");
	expect(CMD_USAGE, SIGN, "- --key alice", "\"-\" is none");
	put_file("o", "weir-order: 1\nkind: cut\nx: y\n");
	expect(CMD_REFUSED, SIGN, "o --key alice", "o:3:1: unknown key");
	expect(CMD_REFUSED, ORDER, "verify o", "o:3:1: unknown key");
	expect(CMD_REFUSED, ORDER, "write cut all --reason x --out o", "File exists");
	put_file("bad", "alice ssh-ed25519 AAAA\n");
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	expect(CMD_REFUSED, ORDER, "verify o --signers bad",
	       "bad:1:7: an entry without namespaces");
	expect(CMD_REFUSED, ORDER, "verify o --signers signers --revoked nothing", "No such file");
	expect(CMD_USAGE, ORDER, "verify o --signers signers --version x", "no version");
}

/* The enclosed text cannot end the body, and bring its own signatures. */
static void an_enclosed_signature_is_refused(void **state)
{
	char *signature = sign_text("alice", "base@weir", "x\n", ""), *text;

	(void)state;
	assert_true(asprintf(&text, "weir: 1\nname: t\nmode: observe\n# |\n%s", signature) > 0);
	put_file("signed.yaml", text);
	assert_int_not_equal(weir(ORDER, "write base --version 1 --enclose signed.yaml --reason x"),
			     CMD_DONE);
	free(text);
	free(signature);
}

/* NULL: the one that was there before. */
static void use_path(const char *path)
{
	static char *before;

	if (path)
		before = strdup(getenv("PATH"));
	setenv("PATH", path ? path : before, 1);
	if (!path)
		free(before);
}

static void a_failed_signature_leaves_the_file(void **state)
{
	char *before, *after;
	struct stat st;

	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	before = take_file("o");
	expect(CMD_REFUSED, SIGN, "o --key nothing", "made no signature with nothing");
	expect(CMD_REFUSED, SIGN, "o --key small", "at least 3072 bits");
	expect_clean();
	after = take_file("o");
	assert_string_equal(before, after);
	free(before);
	free(after);
	assert_int_equal(chmod(path_of("o"), 0604), 0);
	expect(CMD_DONE, SIGN, "o --key alice", "");
	assert_int_equal(stat(path_of("o"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	use_path("/nonexistent");
	expect(CMD_REFUSED, SIGN, "o --key bob", "ssh-keygen: No such file");
	use_path(NULL);
	expect_clean();
}

/* From here on "ssh-keygen" does something first. */
static void use_keygen(const char *first)
{
	char path[4096], script[256];

	snprintf(script, sizeof(script), "#!/bin/sh\n%s\nPATH=${PATH#*:} exec ssh-keygen \"$@\"\n",
		 first);
	put_file("ssh-keygen", script);
	assert_int_equal(shell("mkdir -p bin && mv ssh-keygen bin && chmod 755 bin/ssh-keygen"), 0);
	snprintf(path, sizeof(path), "%s/bin:%s", signing_directory, getenv("PATH"));
	use_path(path);
}

/* Somebody else writes while a token waits to be touched. */
static void a_change_meanwhile_is_seen(void **state)
{
	static const char *const changes[] = {"echo '# more' >> o", "sed -i '$d' o",
					      "sed -i 's/^reason: x/reason: y/' o"};

	(void)state;
	for (size_t i = 0; i < COUNT(changes); i++) {
		remove_files("o");
		expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
		use_keygen(changes[i]);
		expect(CMD_REFUSED, SIGN, "o --key alice", "it changed while it was signed");
		use_path(NULL);
		expect_clean();
	}
}

/* A signal ends it after its files are gone. */
static void a_signal_leaves_nothing_behind(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	use_keygen("kill -TERM $PPID; exit 1");
	pid = fork();
	if (pid == 0) {
		weir(SIGN, "o --key alice");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	use_path(NULL);
	expect_clean();
}

/* The private key is nowhere but in an agent. */
static void an_agent_signs(void **state)
{
	(void)state;
	remove_files("o");
	expect(CMD_DONE, ORDER, "write cut all --reason x --out o", "");
	assert_int_equal(shell("ssh-agent -a socket >agent && . ./agent && ssh-add bob && mv bob "
			       "away"),
			 0);
	expect(CMD_REFUSED, SIGN, "o --key bob.pub", "made no signature with bob.pub");
	setenv("SSH_AUTH_SOCK", path_of("socket"), 1);
	expect(CMD_DONE, SIGN, "o --key bob.pub", "signature 1");
	unsetenv("SSH_AUTH_SOCK");
	assert_int_equal(shell("mv away bob && . ./agent && ssh-agent -k && rm agent"), 0);
	expect(CMD_DONE, ORDER, "verify o --signers signers", "signature 1: bob, ");
}

/* ---- setup ---------------------------------------------------------------------------------- */

static void put_list(const char *name, const char *const *keys)
{
	char text[4096] = "", *key;

	for (; *keys; keys++) {
		key = public_of(*keys);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s " ALL_NS " %s\n",
			 strcmp(*keys, "alice2") == 0 ? "alice" : *keys, key);
		free(key);
	}
	put_file(name, text);
}

static int open_keys(void **state)
{
	static const char *const now[] = {"alice", "alice2", "bob", NULL};
	static const char *const next[] = {"bob", "carol", NULL};

	if (open_signing(state) < 0)
		return -1;
	make_key("alice", "-t ed25519");
	make_key("alice2", "-t ecdsa -b 256");
	make_key("bob", "-t ecdsa -b 256");
	make_key("carol", "-t rsa -b 3072");
	make_key("mallory", "-t ed25519");
	make_key("small", "-t rsa -b 2048");
	put_list("signers", now);
	put_list("next", next);
	assert_int_equal(shell("mkdir tmp"), 0);
	setenv("TMPDIR", path_of("tmp"), 1);
	unsetenv("SSH_AUTH_SOCK");
	return chdir(signing_directory);
}

static int close_keys(void **state)
{
	free(said);
	shell("test ! -e agent || { . ./agent && ssh-agent -k; }"); /* of a test that failed */
	return close_signing(state);
}

/* ---- what was ordered here ------------------------------------------------------------------ */

/* Who may ask wrote some of it, and who could write the file all of it. */
static void nothing_in_the_journal_steers_a_terminal(void **state)
{
	static const char line[] =
		"{\"n\":1,\"prev\":\"%064d\",\"wall_ns\":1,\"record\":{\"kind\":\"%s\",\"result\":"
		"\"%s\",\"targets\":[\"%s\"],\"policy\":{\"name\":\"%s\",\"digest\":\"%s\"},"
		"\"cuts\":"
		"[{\"id\":\"%s\",\"target\":\"%s\",\"how\":\"%s\",\"exception\":\"%s\"}]}}\n";
	const char *bad = "\\u001b[2J";
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), line, 0, bad, bad, bad, bad, bad, bad, bad, bad, bad);
	assert_int_equal(shell("mkdir -p state/unit"), 0);
	put_file("state/unit/journal.jsonl", text);
	setenv("WEIR_STATE_DIR", path_of("state"), 1);
	setenv("WEIR_RUN_DIR", path_of("state"), 1);
	expect(CMD_DONE, ORDER, "list --instance unit", "policy ?[2J");
	assert_null(strchr(said, '\033'));
	expect(CMD_DONE, ORDER, "show j1 --instance unit", "digest       ?[2J");
	assert_null(strchr(said, '\033'));
}

/* All that a person would look for, each with its name. */
static void an_order_is_told_with_all_that_its_line_has(void **state)
{
	static const char line[] =
		"{\"n\":1,\"prev\":\"%064d\",\"wall_ns\":1,\"record\":{\"kind\":\"extend\",\"id\":"
		"\"o5\",\"result\":\"accepted\",\"waits_until_ns\":1000000000,\"targets\":"
		"[\"partner:nord\"],\"by\":{\"text\":\"bob(2)\"},\"asked_by\":{\"text\":"
		"\"alice(1)\",\"reason\":\"the last run\",\"line\":7},\"grant\":\"bills\","
		"\"more_bytes\":5242880,\"drawn_bytes\":1048576,\"parts\":256,\"plan\":\"back\","
		"\"stage\":\"one\",\"evidence\":\"report 17\",\"order\":\"c9\",\"prefix\":"
		"\"192.0.2.0/28\",\"source\":\"signed\",\"signatures\":[{\"principal\":\"carol\"},"
		"{\"principal\":\"dora\"}]}}\n";
	static const char *const told[] = {
		"  grant        bills\n",
		"  more         5MiB\n",
		"  of reserve   1MiB\n",
		"  share        25 %\n",
		"  plan         back\n",
		"  stage        one\n",
		"  evidence     report 17\n",
		"  order        c9\n",
		"  prefix       192.0.2.0/28\n",
		"  asked for by alice(1), in line 7: the last run\n",
		"  waits until  1970-01-01",
		"  signed by    carol\n",
	};
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), line, 0);
	assert_int_equal(shell("mkdir -p state/unit"), 0);
	put_file("state/unit/journal.jsonl", text);
	setenv("WEIR_STATE_DIR", path_of("state"), 1);
	setenv("WEIR_RUN_DIR", path_of("state"), 1);
	expect(CMD_DONE, ORDER, "show o5 --instance unit", "o5 is over\n");
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		if (!strstr(said, told[i]))
			fail_msg("\"%s\" is not in: %s", told[i], said);
	}
	expect(CMD_DONE, ORDER, "list --instance unit",
	       "over      partner:nord  plan back, stage one, by bob(2), signed by carol, dora, "
	       "asked for by alice(1)\n");
}

/* As weir-guard's. */
static const struct call_ways ways = {
	.asks_daemon = true, .on_guard = answer_on_guard, .on_journal = answer_on_journal};

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cut_and_its_reopening),
		cmocka_unit_test(openssh_takes_the_file_apart),
		cmocka_unit_test(verify_says_what_does_not_count),
		cmocka_unit_test(standard_input_is_read),
		cmocka_unit_test(a_base_is_a_policy),
		cmocka_unit_test(a_list_of_signers_is_one),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(what_a_cut_stops_is_told),
		cmocka_unit_test(a_prefix_is_held_against_the_policy),
		cmocka_unit_test(wrong_words_are_told),
		cmocka_unit_test(an_enclosed_signature_is_refused),
		cmocka_unit_test(a_failed_signature_leaves_the_file),
		cmocka_unit_test(a_change_meanwhile_is_seen),
		cmocka_unit_test(a_signal_leaves_nothing_behind),
		cmocka_unit_test(an_agent_signs),
		cmocka_unit_test(nothing_in_the_journal_steers_a_terminal),
		cmocka_unit_test(an_order_is_told_with_all_that_its_line_has),
	};

	call_goes(&ways);
	return cmocka_run_group_tests(tests, open_keys, close_keys);
}
