/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * recovering.c - state files that are damaged.
 */
#include "user/daemon/recovering.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/store.h"
#include "user/order/reserve.h"

enum { KEPT_ASIDE = 3, PART_SECONDS = 60 };

static const char applied_file[] = "applied.json";
static const char digest_file[] = "applied.digest";
static const char orders_file[] = "orders.json";

/* ---- set aside ------------------------------------------------------------------------------ */

/* How many begin with `prefix`; the first of them by name, which is the oldest, in `oldest`. */
static unsigned count_aside(const struct host *host, const char *prefix, char oldest[NAME_MAX + 1])
{
	int fd = openat(host->state_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	unsigned count = 0;

	oldest[0] = '\0';
	while (directory && (entry = readdir(directory)) != NULL) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		count++;
		if (!oldest[0] || strcmp(entry->d_name, oldest) < 0)
			strcpy(oldest, entry->d_name);
	}
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
	return count;
}

char *state_keep_aside(const struct host *host, const char *name)
{
	char aside[96];

	snprintf(aside, sizeof(aside), "%s.damaged-%020" PRIu64, name, wall_now());
	if (renameat(host->state_dir, name, host->state_dir, aside) < 0)
		return NULL;
	return host_path(host, aside);
}

char *state_set_aside(const struct host *host, const char *name)
{
	char prefix[64], oldest[NAME_MAX + 1];
	char *aside = state_keep_aside(host, name);

	snprintf(prefix, sizeof(prefix), "%s.damaged-", name);
	/* A disk that damages files must not fill up with them. */
	while (aside && count_aside(host, prefix, oldest) > KEPT_ASIDE) {
		if (unlinkat(host->state_dir, oldest, 0) < 0)
			break;
	}
	return aside;
}

/* ---- half-made ------------------------------------------------------------------------------ */

/* A command may be writing one right now. */
static bool is_old(int directory, const char *name)
{
	struct stat st;

	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_mtim.tv_sec < wall_now() / NS_PER_SECOND - PART_SECONDS;
}

static void sweep(const struct host *host, const char *path)
{
	int fd = openat(host->state_dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (file_is_part(entry->d_name) && is_old(fd, entry->d_name))
			unlinkat(fd, entry->d_name, 0);
	}
	if (directory)
		closedir(directory);
	else if (fd >= 0)
		close(fd);
}

void state_sweep(const struct host *host)
{
	sweep(host, ".");
	sweep(host, STORE_DIRECTORY);
}

/* ---- told ----------------------------------------------------------------------------------- */

/* As an event and on stderr: whoever starts the daemon by hand sees no events. */
static void tell_damaged(struct host *host, const char *file, const char *aside, const char *then)
{
	struct record_field field[] = {{"file", file, 0}, {"set_aside", aside ? aside : "", 0}};

	host_tell(host, "damaged", RECORD_HIGH, field, 2, "%s is damaged or missing: %s", file,
		  then);
	fprintf(stderr, "weir: %s is damaged or missing%s%s: %s\n", file,
		aside ? ", set aside as " : "", aside ? aside : "", then);
}

void state_damaged(struct host *host, const char *name, const char *then)
{
	_cleanup_free_ char *path = host_path(host, name);
	_cleanup_free_ char *aside = state_set_aside(host, name);

	tell_damaged(host, path ? path : name, aside, then);
}

/* ---- the policy ----------------------------------------------------------------------------- */

int applied_note(const struct host *host)
{
	_cleanup_free_ char *path = host_path(host, applied_file);
	_cleanup_free_ char *note = host_path(host, digest_file);
	char text[DIGEST_TEXT + 1];
	struct applied about = {0};
	int r = path && note ? applied_about(path, &about) : -ENOMEM;

	if (r == 0) {
		snprintf(text, sizeof(text), "%s\n", about.digest);
		r = file_write_atomic(note, text, strlen(text), 0640);
	}
	applied_free(&about);
	return r;
}

static int load_noted(struct host *host, struct applied *applied)
{
	_cleanup_free_ char *note = host_path(host, digest_file);
	_cleanup_free_ char *text = NULL, *problem = NULL;
	size_t length;
	int r = note ? file_read(note, DIGEST_TEXT, &text, &length) : -ENOMEM;

	if (r < 0)
		return r;
	if (length != DIGEST_TEXT || text[DIGEST_TEXT - 1] != '\n')
		return -EBADMSG;
	text[DIGEST_TEXT - 1] = '\0';
	return store_load(host, text, applied, &problem);
}

int applied_load_kept(struct host *host, const char *path, struct applied *applied)
{
	_cleanup_free_ char *problem = NULL;
	struct applied about = {0};
	int r = applied_about(path, &about);

	if (r == 0)
		r = store_load(host, about.digest, applied, &problem);
	applied_free(&about);
	return r;
}

int applied_recover(struct host *host, struct applied *applied)
{
	_cleanup_free_ char *path = host_path(host, applied_file), *aside = NULL;
	char then[96];
	int r = path ? applied_load_kept(host, path, applied) : -ENOMEM;

	if (r < 0 && r != -ENOMEM)
		r = load_noted(host, applied);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		tell_damaged(host, path, NULL, "which policy was applied is not known any more");
		return -EBADMSG;
	}
	aside = state_set_aside(host, applied_file);
	snprintf(then, sizeof(then), "policy %.12s comes from those that are kept",
		 applied->digest);
	tell_damaged(host, path, aside, then);
	r = applied_save(path, applied);
	if (r < 0)
		fprintf(stderr, "weir: cannot save %s: %s\n", path, strerror(-r));
	return 0; /* the digest's file finds it again */
}

bool applied_is_missing(const struct host *host)
{
	return faccessat(host->state_dir, applied_file, F_OK, 0) < 0 &&
	       faccessat(host->state_dir, digest_file, F_OK, 0) == 0;
}

/* ---- the orders ----------------------------------------------------------------------------- */

/* Nobody knows what was cut: everything is, but for the lifeline, until somebody lets it back. Nor
 * what was drawn from reserves: nothing is left of them. No id that was used before is above the
 * time in seconds. */
static int cut_all(struct host *host)
{
	struct order_text text = {
		.target = "all",
		.reason = "the orders on disk are damaged or missing: reopen what was not cut",
		.by = "weir",
		.since_ns = wall_now(),
	};
	uint64_t id;
	int r;

	host->orders = (struct orders){.next = text.since_ns / NS_PER_SECOND};
	r = reserve_draw_all(&host->orders, text.since_ns);
	return r < 0 ? r : orders_add_cut(&host->orders, &text, &id);
}

/* They are written before any meter is. */
bool orders_are_missing(const struct host *host)
{
	return faccessat(host->state_dir, orders_file, F_OK, 0) < 0 &&
	       faccessat(host->state_dir, "orders.json.copy", F_OK, 0) < 0 &&
	       faccessat(host->state_dir, "meters", F_OK, 0) == 0;
}

int orders_recover(struct host *host, char **problem)
{
	_cleanup_free_ char *path = host_path(host, orders_file);
	_cleanup_free_ char *aside = NULL, *copy_aside = NULL;
	int r = path ? orders_load(path, &host->orders) : -ENOMEM;

	if ((r == -ENOENT && !orders_are_missing(host)) || (r == 0 && !host->orders.is_of_copy))
		return 0;
	if (r == -ENOMEM)
		return tell_problem(problem, r, "cannot read the orders: out of memory");
	aside = state_set_aside(host, orders_file);
	if (r == 0) {
		tell_damaged(host, path, aside, "the orders come from its copy");
		return 0;
	}
	copy_aside = state_set_aside(host, "orders.json.copy");
	tell_damaged(host, path, aside,
		     "its copy too: everything is cut but the lifeline (weir reopen)");
	r = cut_all(host);
	return r < 0 ? tell_problem(problem, r, "cannot cut: %s", strerror(-r)) : 0;
}
