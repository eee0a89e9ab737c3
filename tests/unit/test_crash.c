/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * test_crash.c - the daemon is stopped at each single step that it takes on the disk, and each step
 * fails in turn. Whatever comes after it must start, with the old state or the new one, and with
 * all that was acknowledged; and nothing is in force, or acknowledged, without its line in the
 * journal.
 *
 * Each life is a process of its own. What would be in the kernel is the fake guard; it is handed
 * from life to life through shared memory, or is gone, as after a loss of power.
 */
#include "tests/unit/ordering.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "user/base/cleanup.h"
#include "user/daemon/applied.h"
#include "user/daemon/metering.h"
#include "user/daemon/start.h"

/* ---- what the kernel keeps, and what a life leaves ------------------------------------------ */

enum { LEAST_STEPS = 3 };

enum end { ENDED_WELL = 1, ENDED_BY_KILL, ENDED_WITHOUT_START };

static struct shared {
	struct guard kernel;
	enum end end;
	int code; /* of the answer */
	int steps;
	char policy[64];
	size_t order_count;
	char target[8][128];
	char problem[256];
} * shared;

/* ---- the disk: each step that changes something is counted, and one of them may fail -------- */

static int step, bad_step, bad_error; /* bad_step 0: none; bad_error 0: the process dies there */

static void die(void)
{
	shared->kernel = fake;
	shared->kernel.locked = 0;
	shared->end = ENDED_BY_KILL;
	_exit(0);
}

/* Whether this step fails, with errno set. */
static bool is_bad(void)
{
	if (++step != bad_step)
		return false;
	if (!bad_error)
		die();
	errno = bad_error;
	return true;
}

static bool is_file(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* A write that fails or dies has written a part. */
ssize_t write(int fd, const void *data, size_t length)
{
	if (is_file(fd)) {
		if (step + 1 == bad_step)
			syscall(SYS_write, fd, data, length / 2);
		if (is_bad())
			return -1;
	}
	return syscall(SYS_write, fd, data, length);
}

int fsync(int fd)
{
	(void)fd;
	return is_bad() ? -1 : 0; /* no power is lost here */
}

int fdatasync(int fd)
{
	(void)fd;
	return is_bad() ? -1 : 0;
}

int ftruncate(int fd, off_t length)
{
	return is_bad() ? -1 : syscall(SYS_ftruncate, fd, length);
}

int rename(const char *from, const char *to)
{
	return is_bad() ? -1 : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return is_bad() ? -1 : syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags)
{
	return is_bad() ? -1 : syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
	return is_bad() ? -1 : syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
	return is_bad() ? -1 : syscall(SYS_unlinkat, dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	return is_bad() ? -1 : syscall(SYS_mkdirat, dir, name, mode);
}

/* ---- the guard that daemon_start() wants ---------------------------------------------------- */

int guard_load(const struct guard_options *options, const struct image *image, struct guard **ret,
	       char **problem)
{
	(void)problem;
	fake.head = image->head;
	fake.cut_count = options->cuts->count;
	if (options->order_count)
		memcpy(fake.orders, options->orders, options->order_count * sizeof(*fake.orders));
	fake.order_count = options->order_count;
	if (options->fill_meters && options->fill_meters(&fake, options->fill_data) < 0)
		return -EIO;
	fake.control.wall_offset_ns = wall_now() - boot_now();
	fake.is_pinned = true;
	fake_raise();
	*ret = &fake;
	return 0;
}

int guard_adopt(struct guard *guard, const struct guard_options *options, char **problem)
{
	(void)guard;
	(void)options;
	(void)problem;
	fake_raise();
	return 0;
}

int guard_open_former(const struct guard_options *options, struct guard **ret, char **problem)
{
	(void)options;
	(void)ret;
	(void)problem;
	return -EPROTO; /* there is one build alone here */
}

int guard_set_observe(struct guard *guard, bool observe)
{
	guard->control.observe = observe;
	return 0;
}

/* ---- lives ---------------------------------------------------------------------------------- */

static char policy_path[96];

static json_object *nothing(struct host *host)
{
	(void)host;
	return json_tokener_parse("{\"code\":0}");
}

static json_object *apply_other(struct host *host)
{
	return apply_named(host, "next", 0);
}

static json_object *apply_third(struct host *host)
{
	return apply_named(host, "last", 0);
}

static json_object *try_other(struct host *host)
{
	return apply_named(host, "next", 600);
}

static json_object *other_for_a_while(struct host *host)
{
	return apply_for(host, "next", 600);
}

static json_object *confirm(struct host *host)
{
	return ask(host, "{\"request\":\"confirm\"}");
}

static json_object *rollback(struct host *host)
{
	return ask(host, "{\"request\":\"rollback\"}");
}

static json_object *cut_sued(struct host *host)
{
	return cut(host, "partner:sued");
}

static json_object *reopen_nord(struct host *host)
{
	return reopen(host, "partner:nord", NULL);
}

static json_object *cut_nord(struct host *host)
{
	return cut(host, "partner:nord");
}

static json_object *save_meters(struct host *host)
{
	return ask(host, "{\"request\":\"meters-save\"}");
}

static void leave(struct host *host)
{
	shared->kernel = fake;
	shared->kernel.locked = 0;
	snprintf(shared->policy, sizeof(shared->policy), "%s", host->image.name);
	shared->order_count = fake.order_count;
	for (size_t i = 0; i < fake.order_count && i < 8; i++)
		snprintf(shared->target[i], sizeof(shared->target[i]), "%s", fake.orders[i].target);
	shared->end = ENDED_WELL;
}

/* Runs in the child. The steps are those of the start when there is nothing to do after it. */
static void live(json_object *(*act)(struct host *host), int at, int error)
{
	const struct host_config config = {0};
	const struct run_options options = {
		.instance = "unit", .policy_file = policy_path, .config = &config};
	struct host host = {0};
	char *problem = NULL;
	json_object *answer;
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO); /* what is damaged is told there */
	fake = shared->kernel;
	bad_error = error;
	if (act == nothing)
		bad_step = at;
	if (daemon_start(&host, &options, &problem) < 0) {
		snprintf(shared->problem, sizeof(shared->problem), "%s", problem ? problem : "?");
		shared->kernel = fake;
		shared->kernel.locked = 0;
		shared->end = ENDED_WITHOUT_START;
		_exit(0);
	}
	if (act != nothing) {
		step = 0;
		bad_step = at;
	}
	answer = act(&host);
	shared->steps = step;
	bad_step = 0;
	shared->code = json_object_get_int(member(answer, "code"));
	leave(&host);
	_exit(0);
}

/* One life: a start, and one action, which is killed at step `at` or in which that step fails. */
static void life(json_object *(*act)(struct host *host), int at, int error)
{
	int status;
	pid_t pid;

	shared->end = 0;
	shared->code = -1;
	fflush(stdout);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		live(act, at, error);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0 || !shared->end)
		fail_msg("a life ended with status %x", status);
}

static void good_life(json_object *(*act)(struct host *host))
{
	life(act, 0, 0);
	if (shared->end != ENDED_WELL || shared->code != 0)
		fail_msg("end %d, code %d: %s", shared->end, shared->code, shared->problem);
}

static void lose_power(void)
{
	memset(&shared->kernel, 0, sizeof(shared->kernel));
	shared->kernel.control.active = weir_active(1, 0, 0);
}

static bool has_order(const char *target)
{
	for (size_t i = 0; i < shared->order_count; i++)
		if (strcmp(shared->target[i], target) == 0)
			return true;
	return false;
}

/* ---- the journal ---------------------------------------------------------------------------- */

struct wanted {
	const char *kind, *what;
	bool is_there;
};

static int look_for(const struct chain_line *line, void *data)
{
	struct wanted *wanted = data;
	json_object *record = member(line->object, "record");
	const char *text = json_object_to_json_string_ext(
		record, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", wanted->what);
	if (strcmp(json_object_get_string(member(record, "kind")), wanted->kind) == 0 &&
	    strstr(text, "\"accepted\"") && strstr(text, quoted))
		wanted->is_there = true;
	return 0;
}

/* Whether an order of this kind was accepted; `what` stands in its line. The journal must hold. */
static bool has_line(const char *kind, const char *what)
{
	struct wanted wanted = {kind, what, false};
	struct chain_fault fault;
	struct journal journal;
	char path[96];

	snprintf(path, sizeof(path), "%s/unit/" JOURNAL_FILE, state_root);
	assert_int_equal(journal_open(&journal, -1, path), 0);
	if (journal_read(&journal, look_for, &wanted, NULL, &fault) != 0)
		fail_msg("the journal does not hold from line %d: %s", (int)fault.line, fault.what);
	journal_close(&journal);
	return wanted.is_there;
}

/* ---- one trial of one step ------------------------------------------------------------------ */

/* The file of `weir run --policy`. */
static void write_policy(const char *name)
{
	_cleanup_free_ char *text = policy_named(name);
	FILE *file = fopen(policy_path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void begin(void)
{
	strcpy(state_root, "/tmp/weir-test-crash-XXXXXX");
	assert_non_null(mkdtemp(state_root));
	setenv("WEIR_STATE_DIR", state_root, 1);
	setenv("WEIR_RUN_DIR", state_root, 1);
	snprintf(policy_path, sizeof(policy_path), "%s/policy.yaml", state_root);
	write_policy("test");
	lose_power();
}

/* What an action starts from, what it is, and what it leaves when it was acknowledged. */
struct action {
	const char *name;
	json_object *(*before[2])(struct host *host);
	json_object *(*act)(struct host *host);
	const char *policy_before, *policy_after;
	bool is_trial; /* after a loss of power it is over */
	const char *cut, *reopened;
	const char *kind, *what; /* of its line */
};

static const struct action actions[] = {
	{"start", {NULL}, nothing, "test", "test", false, NULL, NULL, NULL, NULL},
	{"start again",
	 {cut_nord},
	 nothing,
	 "test",
	 "test",
	 false,
	 "partner:nord",
	 NULL,
	 NULL,
	 NULL},
	{"apply",
	 {cut_nord},
	 apply_other,
	 "test",
	 "next",
	 false,
	 "partner:nord",
	 NULL,
	 "apply",
	 "next"},
	{"apply again",
	 {apply_other},
	 apply_third,
	 "next",
	 "last",
	 false,
	 NULL,
	 NULL,
	 "apply",
	 "last"},
	{"trial", {nothing}, try_other, "test", "next", true, NULL, NULL, "trial", "next"},
	{"for a while",
	 {nothing},
	 other_for_a_while,
	 "test",
	 "next",
	 false,
	 NULL,
	 NULL,
	 "interim",
	 "next"},
	{"back before its time",
	 {nothing, other_for_a_while},
	 rollback,
	 "next",
	 "test",
	 false,
	 NULL,
	 NULL,
	 "rollback",
	 "test"},
	{"kept",
	 {nothing, other_for_a_while},
	 confirm,
	 "next",
	 "next",
	 false,
	 NULL,
	 NULL,
	 "confirm",
	 "next"},
	{"replaced for good",
	 {nothing, other_for_a_while},
	 apply_third,
	 "next",
	 "last",
	 false,
	 NULL,
	 NULL,
	 "apply",
	 "last"},
	{"confirm",
	 {nothing, try_other},
	 confirm,
	 "next",
	 "next",
	 false,
	 NULL,
	 NULL,
	 "confirm",
	 "next"},
	{"rollback",
	 {apply_other},
	 rollback,
	 "next",
	 "test",
	 false,
	 NULL,
	 NULL,
	 "rollback",
	 "test"},
	{"cut",
	 {cut_nord},
	 cut_sued,
	 "test",
	 "test",
	 false,
	 "partner:nord",
	 NULL,
	 "cut",
	 "partner:sued"},
	{"reopen",
	 {cut_nord, cut_sued},
	 reopen_nord,
	 "test",
	 "test",
	 false,
	 "partner:sued",
	 "partner:nord",
	 "reopen",
	 "partner:nord"},
	{"save", {cut_nord}, save_meters, "test", "test", false, "partner:nord", NULL, NULL, NULL},
};

/* Whether there is a policy to go back to. */
static bool has_previous(void)
{
	struct applied previous = {0};
	char path[96];
	int r;

	snprintf(path, sizeof(path), "%s/unit/previous.json", state_root);
	r = applied_load(path, &previous);
	applied_free(&previous);
	return r == 0;
}

/* What is in force, acknowledged or not. What the test calls "test" comes from the command line. */
static void check_lines(const struct action *action, int at, int error, bool with_power)
{
	bool is_applied = strcmp(shared->policy, "test") == 0 ||
			  has_line("apply", shared->policy) || has_line("trial", shared->policy) ||
			  has_line("interim", shared->policy);
	bool is_reopened = !action->reopened || has_order(action->reopened) ||
			   has_line("reopen", action->reopened);

	for (size_t i = 0; i < shared->order_count; i++) {
		if (!has_line("cut", shared->target[i]))
			fail_msg("%s, step %d, error %d, power %d: no line of the cut of %s",
				 action->name, at, error, with_power, shared->target[i]);
	}
	if (!is_applied || !is_reopened)
		fail_msg("%s, step %d, error %d, power %d: in force without a line", action->name,
			 at, error, with_power);
}

static void check(const struct action *action, int at, int error, bool with_power, enum end end,
		  int code)
{
	/* a trial that ends with the power leaves what was applied before it */
	bool may_be_back = action->is_trial || action->act == confirm;
	bool is_done = end == ENDED_WELL && code == 0;

	if (is_done && action->kind && !has_line(action->kind, action->what))
		fail_msg("%s, step %d, error %d: it was acknowledged without a line", action->name,
			 at, error);
	life(nothing, 0, 0);
	check_lines(action, at, error, with_power);
	if (shared->end != ENDED_WELL)
		fail_msg("%s, step %d, error %d, power %d: it does not start: %s", action->name, at,
			 error, with_power, shared->problem);
	if (strcmp(shared->policy, action->policy_after) != 0 &&
	    (is_done || strcmp(shared->policy, action->policy_before) != 0) &&
	    !(may_be_back && strcmp(shared->policy, "test") == 0 &&
	      (!is_done || (action->is_trial && !with_power))))
		fail_msg("%s, step %d, error %d, power %d, done %d: policy %s", action->name, at,
			 error, with_power, is_done, shared->policy);
	if (action->cut && !has_order(action->cut))
		fail_msg("%s, step %d, error %d, power %d: %s is lost", action->name, at, error,
			 with_power, action->cut);
	if (action->act == cut_sued && is_done && !has_order("partner:sued"))
		fail_msg("cut, step %d, error %d, power %d: it was acknowledged and is lost", at,
			 error, with_power);
	if (action->reopened && is_done && has_order(action->reopened))
		fail_msg("reopen, step %d, error %d, power %d: it was acknowledged and is lost", at,
			 error, with_power);
}

/* Returns whether there was such a step. */
static bool try_step(const struct action *action, int at, int error, bool with_power)
{
	bool had_previous;
	enum end end;
	int code, steps;

	begin();
	for (int i = 0; i < 2 && action->before[i]; i++)
		good_life(action->before[i]);
	if (action->before[0])
		write_policy("file"); /* an edited file counts only when nothing is applied */
	if (action->act == nothing && action->before[0] && !with_power)
		lose_power(); /* a start from the disk alone */
	had_previous = has_previous();
	life(action->act, at, error);
	if (had_previous && !has_previous())
		fail_msg("%s, step %d, error %d: the policy before is lost", action->name, at,
			 error);
	end = shared->end;
	code = shared->code;
	steps = shared->steps;
	if (!with_power)
		lose_power();
	check(action, at, error, with_power, end, code);
	if (action->act == apply_third) /* nothing that was left is in its way */
		good_life(apply_other);
	assert_int_equal(nftw(state_root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	return end != ENDED_WELL || at <= steps;
}

/* Each in turn; `fails`: a full disk and a broken one by turns, instead of a kill. */
static void each_step(bool fails)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		for (int with_power = 0; with_power < 2; with_power++) {
			int at = 1;

			while (try_step(&actions[i], at,
					!fails	 ? 0
					: at % 2 ? ENOSPC
						 : EIO,
					with_power))
				at++;
			/* none would mean that nothing was counted */
			assert_true(at > LEAST_STEPS);
		}
	}
}

static void killed_at_each_step(void **state)
{
	(void)state;
	each_step(false);
}

static void each_step_fails(void **state)
{
	(void)state;
	each_step(true);
}

static int up(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_each_step),
		cmocka_unit_test(each_step_fails),
	};

	return cmocka_run_group_tests(tests, up, NULL);
}
