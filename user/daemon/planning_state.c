/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planning_state.c - the plan under way on the disk: STATE_DIR/INSTANCE/plan.json, a sealed file
 * (user/base/sealed.h) with the plan as it was started and how far it is.
 */
#include "user/daemon/planning.h"

#include <string.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/field.h"
#include "user/base/json_in.h"
#include "user/base/sealed.h"

/* In JSON a byte may take six. */
enum { LONGEST_FILE = 6 * (PLAN_MAX_BYTES + PLAN_FILE_NAME) + (64 << 10), FILE_DEPTH = 5 };

static const char *const phase_names[] = {
	[PLAN_WAITS] = "waits",
	[PLAN_OPENS] = "opens",
	[PLAN_HELD] = "held",
	[PLAN_WATCHED] = "watched",
};

void plan_run_free(struct plan_run *run)
{
	if (!run)
		return;
	plan_free(&run->plan);
	free(run->text);
	free(run->file);
	free(run);
}

/* ---- written -------------------------------------------------------------------------------- */

static void put_sum(struct json_out *json, const struct plan_sum *sum)
{
	json_open(json, "base", '{');
	json_put_uint(json, "refused", sum->refused);
	json_put_uint(json, "would_refuse", sum->would_refuse);
	json_put_uint(json, "severed", sum->severed);
	json_put_uint(json, "alerted", sum->alerted);
	json_close(json, '}');
}

static void put_run(struct json_out *json, const struct plan_run *run)
{
	json_open(json, NULL, '{');
	json_put_text(json, "file", run->file);
	json_put_text(json, "text", run->text);
	json_put_text(json, "by", run->by);
	json_put_uint(json, "started_ns", run->started_ns);
	json_put_uint(json, "stage", run->stage);
	json_put_text(json, "phase", phase_names[run->phase]);
	json_put_uint(json, "since_ns", run->since_ns);
	json_put_uint(json, "until_boot_ns", run->until_ns);
	json_put_text(json, "boot", run->boot);
	json_put_text(json, "evidence", run->evidence);
	json_put_text(json, "why", run->why);
	put_sum(json, &run->base);
	json_put_text(json, "policy", run->digest);
	json_open(json, "approvals", '[');
	for (size_t i = 0; i < run->approvals; i++) {
		json_open(json, NULL, '{');
		json_put_uint(json, "login", run->approval[i].login);
		json_put_text(json, "by", run->approval[i].by);
		json_put_uint(json, "at_ns", run->approval[i].at_ns);
		json_put_uint(json, "boot_ns", run->approval[i].boot_ns);
		json_put_bool(json, "is_over", run->approval[i].is_over);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
	fputc('\n', json->out);
}

static int remove_file(const struct host *host)
{
	return unlinkat(host->state_dir, PLAN_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int plan_save(struct host *host)
{
	_cleanup_free_ char *path = NULL, *text = NULL;
	struct json_out json = {0};
	size_t length;

	if (host->state_dir < 0)
		return host->state_error < 0 ? host->state_error : -ENOENT;
	if (!host->plan)
		return remove_file(host);
	path = host_path(host, PLAN_FILE);
	json.out = open_memstream(&text, &length);
	if (!json.out)
		return -ENOMEM;
	put_run(&json, host->plan);
	if (fclose(json.out) != 0 || !path)
		return -ENOMEM;
	return sealed_write(path, text, length);
}

/* ---- read ----------------------------------------------------------------------------------- */

static bool take_text(json_object *object, const char *key, char *text, size_t size)
{
	const char *found = field_text(object, key);

	if (strlen(found) >= size)
		return false;
	strcpy(text, found);
	return true;
}

static bool take_phase(struct plan_run *run, const char *word)
{
	for (size_t i = 0; i < sizeof(phase_names) / sizeof(phase_names[0]); i++) {
		if (strcmp(phase_names[i], word) == 0) {
			run->phase = (enum plan_phase)i;
			return true;
		}
	}
	return false;
}

static bool take_approvals(struct plan_run *run, json_object *root)
{
	run->approvals = field_count(root, "approvals");
	if (run->approvals > PLAN_MAX_APPROVALS ||
	    (run->phase == PLAN_WAITS && run->approvals == PLAN_MAX_APPROVALS))
		return false;
	for (size_t i = 0; i < run->approvals; i++) {
		json_object *one = field_item(root, "approvals", i);
		struct plan_approval *approval = &run->approval[i];

		approval->login = (uint32_t)field_number(one, "login");
		approval->at_ns = field_number(one, "at_ns");
		approval->boot_ns = field_number(one, "boot_ns");
		approval->is_over = field_is(one, "is_over");
		if (!take_text(one, "by", approval->by, sizeof(approval->by)))
			return false;
	}
	return true;
}

static bool take_all(struct plan_run *run, json_object *root)
{
	json_object *base = field_object(root, "base");

	run->started_ns = field_number(root, "started_ns");
	run->stage = field_number(root, "stage");
	run->since_ns = field_number(root, "since_ns");
	run->until_ns = field_number(root, "until_boot_ns");
	run->base =
		(struct plan_sum){field_number(base, "refused"), field_number(base, "would_refuse"),
				  field_number(base, "severed"), field_number(base, "alerted")};
	return take_phase(run, field_text(root, "phase")) && take_approvals(run, root) &&
	       take_text(root, "by", run->by, sizeof(run->by)) &&
	       take_text(root, "boot", run->boot, sizeof(run->boot)) &&
	       take_text(root, "policy", run->digest, sizeof(run->digest)) &&
	       take_text(root, "evidence", run->evidence, sizeof(run->evidence)) &&
	       take_text(root, "why", run->why, sizeof(run->why));
}

/* As it was read when it was started. */
static int read_plan(struct plan_run *run)
{
	struct source source = {run->file, run->text, strlen(run->text)};
	struct sources sources = {&source, 1};
	struct faults faults = {0};
	int r = plan_read(&sources, &run->plan, &faults);

	faults_free(&faults);
	if (r == 0 && run->stage >= run->plan.count)
		r = -EBADMSG;
	return r;
}

static int take_file(json_object *root, struct plan_run *run)
{
	run->file = strdup(field_text(root, "file"));
	run->text = strdup(field_text(root, "text"));
	if (!run->file || !run->text)
		return -ENOMEM;
	return take_all(run, root) ? read_plan(run) : -EBADMSG;
}

int plan_load(const struct host *host, struct plan_run **ret)
{
	_cleanup_free_ char *path = host_path(host, PLAN_FILE), *text = NULL;
	struct plan_run *run;
	json_object *root;
	size_t length;
	int r = path ? sealed_read(path, LONGEST_FILE, &text, &length) : -ENOMEM;

	if (r < 0)
		return r;
	root = json_in(text, length, FILE_DEPTH);
	run = calloc(1, sizeof(*run));
	if (!root || !run)
		r = root ? -ENOMEM : -EBADMSG;
	else
		r = take_file(root, run);
	json_object_put(root);
	if (r == 0)
		*ret = run;
	else
		plan_run_free(run);
	return r;
}

bool host_has_plan(const struct host *host)
{
	return host->is_daemon ? host->plan != NULL
			       : host->state_dir >= 0 &&
					 faccessat(host->state_dir, PLAN_FILE, F_OK, 0) == 0;
}
