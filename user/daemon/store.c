/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * store.c - the policies that were applied, and how they differ.
 */
#include "user/daemon/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/hex.h"
#include "user/daemon/latches.h"
#include "user/policy/difference.h"

static const char directory_name[] = STORE_DIRECTORY;
static const char suffix[] = ".json";

enum { FILE_NAME = DIGEST_TEXT - 1 + sizeof(".json") };

static char *path_of(const struct host *host, const char *digest)
{
	char name[sizeof(directory_name) + FILE_NAME + 1];

	snprintf(name, sizeof(name), "%s/%s%s", directory_name, digest, suffix);
	return host_path(host, name);
}

static int make_directory(const struct host *host)
{
	if (host->state_dir < 0)
		return -ENOENT;
	if (mkdirat(host->state_dir, directory_name, 0750) == 0)
		return fsync(host->state_dir) < 0 ? -errno : 0;
	return errno == EEXIST ? 0 : -errno;
}

int store_keep(const struct host *host, const struct applied *applied)
{
	_cleanup_free_ char *path = NULL;
	char digest[DIGEST_TEXT];
	struct applied kept = *applied;
	uint8_t bytes[32];
	int r = sources_digest(&applied->sources, bytes);

	if (r == 0)
		r = make_directory(host);
	if (r < 0)
		return r;
	hex_format(bytes, 32, digest);
	path = path_of(host, digest);
	kept.trial_until_ns = 0;
	kept.until_ns = 0;
	return path ? applied_save(path, &kept) : -ENOMEM;
}

/* ---- finding -------------------------------------------------------------------------------- */

static DIR *open_store(const struct host *host)
{
	int fd = host->state_dir < 0 ? -1
				     : openat(host->state_dir, directory_name,
					      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (!directory && fd >= 0)
		close(fd);
	return directory;
}

/* The digest that a file is named after; false for any other file. */
static bool digest_of(const char *file, char digest[DIGEST_TEXT])
{
	if (strlen(file) != FILE_NAME - 1 || strcmp(file + DIGEST_TEXT - 1, suffix) != 0)
		return false;
	memcpy(digest, file, DIGEST_TEXT - 1);
	digest[DIGEST_TEXT - 1] = '\0';
	return strspn(digest, "0123456789abcdef") == DIGEST_TEXT - 1;
}

/* How many begin so; the last of them in `digest`. */
static int find(const struct host *host, const char *prefix, char digest[DIGEST_TEXT])
{
	DIR *directory = open_store(host);
	struct dirent *entry;
	char candidate[DIGEST_TEXT];
	int found = 0;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (!digest_of(entry->d_name, candidate) ||
		    strncmp(candidate, prefix, strlen(prefix)) != 0)
			continue;
		strcpy(digest, candidate);
		found++;
	}
	if (directory)
		closedir(directory);
	return found;
}

int store_load(const struct host *host, const char *prefix, struct applied *applied, char **problem)
{
	_cleanup_free_ char *path = NULL;
	size_t length = strlen(prefix);
	char digest[DIGEST_TEXT];
	int r;

	if (length < STORE_LEAST_DIGITS || length >= DIGEST_TEXT ||
	    strspn(prefix, "0123456789abcdef") != length)
		return tell_problem(problem, -EINVAL,
				    "%.80s is no policy: a digest has %d to %d digits of 0-9a-f "
				    "(weir policy list)",
				    prefix, STORE_LEAST_DIGITS, DIGEST_TEXT - 1);
	r = find(host, prefix, digest);
	if (r == 0)
		return tell_problem(problem, -ENOENT, "no policy %s was ever applied here", prefix);
	if (r > 1)
		return tell_problem(problem, -EEXIST, "%d policies begin with %s", r, prefix);
	path = path_of(host, digest);
	r = path ? applied_load(path, applied) : -ENOMEM;
	if (r == 0 && strcmp(applied->digest, digest) != 0) {
		applied_free(applied);
		r = -EBADMSG;
	}
	if (r < 0)
		return tell_problem(problem, r, "cannot read policy %.12s: %s", digest,
				    r == -EBADMSG ? "the file is damaged" : strerror(-r));
	return 0;
}

/* ---- list ----------------------------------------------------------------------------------- */

struct listed {
	struct applied about;
	bool is_damaged;
};

static int order_newest_first(const void *a, const void *b)
{
	const struct listed *one = a, *other = b;

	return one->about.applied_ns < other->about.applied_ns	 ? 1
	       : one->about.applied_ns > other->about.applied_ns ? -1
								 : 0;
}

static int collect(const struct host *host, struct listed **list, size_t *count)
{
	DIR *directory = open_store(host);
	struct dirent *entry;
	char digest[DIGEST_TEXT];
	int r = 0;

	while (r == 0 && directory && (entry = readdir(directory)) != NULL) {
		_cleanup_free_ char *path = NULL;
		struct listed *item;

		if (!digest_of(entry->d_name, digest))
			continue;
		path = path_of(host, digest);
		item = path ? ARRAY_ADD(*list, *count) : NULL;
		if (!item) {
			r = -ENOMEM;
			break;
		}
		item->is_damaged = applied_about(path, &item->about) < 0 ||
				   strcmp(item->about.digest, digest) != 0;
		strcpy(item->about.digest, digest);
		++*count;
	}
	if (directory)
		closedir(directory);
	return r;
}

/* The digest of applied.json, previous.json; empty when there is none. */
static void digest_in(const struct host *host, const char *file, char digest[DIGEST_TEXT])
{
	_cleanup_free_ char *path = host_path(host, file);
	struct applied about = {0};

	digest[0] = '\0';
	if (path && applied_about(path, &about) == 0)
		strcpy(digest, about.digest);
	applied_free(&about);
}

static void put_listed(const struct host *host, const struct listed *item, const char *applied,
		       const char *previous, struct json_out *reply)
{
	const char *digest = item->about.digest;
	bool is_in_force = strcmp(digest, host->digest) == 0;

	json_open(reply, NULL, '{');
	json_put_text(reply, "digest", digest);
	json_put_text(reply, "name", item->about.name);
	json_put_uint(reply, "applied_at", item->about.applied_ns / NS_PER_SECOND);
	json_put_text(reply, "by", item->about.by);
	json_put_text(reply, "file", item->about.path);
	json_put_bool(reply, "is_in_force", is_in_force);
	json_put_bool(reply, "is_on_trial",
		      is_in_force && host->trial_until_ns && !host->interim_until_ns);
	json_put_bool(reply, "is_interim", is_in_force && host->interim_until_ns);
	json_put_bool(reply, "is_applied", strcmp(digest, applied) == 0);
	json_put_bool(reply, "is_previous", strcmp(digest, previous) == 0);
	json_put_bool(reply, "is_damaged", item->is_damaged);
	json_close(reply, '}');
}

int store_list(const struct host *host, struct json_out *reply, char **problem)
{
	char applied[DIGEST_TEXT], previous[DIGEST_TEXT];
	struct listed *list = NULL;
	size_t count = 0;
	int r = collect(host, &list, &count);

	digest_in(host, "applied.json", applied);
	digest_in(host, "previous.json", previous);
	if (count)
		qsort(list, count, sizeof(*list), order_newest_first);
	if (r == 0) {
		json_open(reply, "policies", '[');
		for (size_t i = 0; i < count; i++)
			put_listed(host, &list[i], applied, previous, reply);
		json_close(reply, ']');
	}
	for (size_t i = 0; i < count; i++)
		applied_free(&list[i].about);
	free(list);
	return r < 0 ? tell_problem(problem, r, "cannot list the policies: %s", strerror(-r)) : 0;
}

int store_show(const struct host *host, const char *prefix, struct json_out *reply, char **problem)
{
	struct applied applied = {0};
	int r = store_load(host, prefix, &applied, problem);

	if (r < 0)
		return r;
	json_put_text(reply, "digest", applied.digest);
	json_open(reply, "files", '[');
	for (size_t i = 0; i < applied.sources.count; i++) {
		json_open(reply, NULL, '{');
		json_put_text(reply, "name", applied.sources.item[i].name);
		json_put_text(reply, "text", applied.sources.item[i].text);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	applied_free(&applied);
	return 0;
}

/* ---- compare -------------------------------------------------------------------------------- */

/* `details`: the faults, one a line; NULL: nobody wants them. */
static int read_texts(const struct sources *sources, struct reading *reading, char **problem,
		      char **details)
{
	const struct faults *faults = &reading->faults;
	int r = reading_make(sources, reading);

	if (r == -EBADMSG && details)
		*details = faults_text(faults, sources);
	if (r == -EBADMSG)
		tell_problem(problem, r, "%zu fault%s in %s", faults->errors,
			     faults->errors == 1 ? "" : "s",
			     sources->count ? sources->item[0].name : "the policy");
	else if (r < 0)
		tell_problem(problem, r, "cannot read the policy: %s", strerror(-r));
	return r;
}

static int read_state_file(const struct host *host, const char *file, struct reading *reading,
			   char **problem)
{
	_cleanup_free_ char *path = host_path(host, file);
	struct applied applied = {0};
	int r = path ? applied_load(path, &applied) : -ENOMEM;

	if (r == -ENOENT)
		return tell_problem(problem, r, "there is no policy before this one");
	if (r < 0)
		return tell_problem(problem, r, "cannot read %s: %s", file, strerror(-r));
	r = read_texts(&applied.sources, reading, problem, NULL);
	applied_free(&applied);
	return r;
}

static int choose(const struct host *host, const struct policy_choice *choice,
		  struct reading *reading, char **problem, char **details)
{
	struct applied applied = {0};
	int r;

	if (choice->sources.count)
		return read_texts(&choice->sources, reading, problem, details);
	if (choice->is_previous)
		return read_state_file(host,
				       host->trial_until_ns ? "applied.json" : "previous.json",
				       reading, problem);
	if (!choice->digest && !host->applied_ns)
		return policy_default(&reading->policy);
	r = store_load(host, choice->digest ? choice->digest : host->digest, &applied, problem);
	if (r < 0)
		return r;
	r = read_texts(&applied.sources, reading, problem, NULL);
	applied_free(&applied);
	return r;
}

static void put_difference(const struct difference *difference, struct json_out *reply)
{
	json_open(reply, "lines", '[');
	for (size_t i = 0; i < difference->count; i++) {
		json_open(reply, NULL, '{');
		json_put_text(reply, "direction", change_name(difference->line[i].direction));
		json_put_text(reply, "text", difference->line[i].text);
		json_close(reply, '}');
	}
	json_close(reply, ']');
	for (int direction = 0; direction < CHANGES; direction++)
		json_put_uint(reply, change_name(direction), difference->of[direction]);
	json_put_uint(reply, "unlisted", difference->unlisted);
}

int store_compare(struct host *host, const struct policy_choice *before,
		  const struct policy_choice *after, struct json_out *reply, char **problem,
		  char **details)
{
	struct reading old = {0}, new = {0};
	struct difference difference = {0};
	int r = choose(host, before, &old, problem, details);

	if (r == 0)
		r = choose(host, after, &new, problem, details);
	if (r == 0) {
		r = difference_make(&old.policy, &new.policy, &difference);
		if (r < 0)
			tell_problem(problem, r, "cannot compare: %s", strerror(-r));
	}
	if (r == 0)
		put_difference(&difference, reply);
	if (r == 0 && after->sources.count)
		reading_keep(&host->kept_reading, &after->sources, &new);
	difference_free(&difference);
	reading_free(&old);
	reading_free(&new);
	return r;
}

/* Something is cut, or severed, by a name of the policy. */
static bool has_cuts(const struct host *host)
{
	struct latches latches = {0};
	bool has = latches_read(host, &latches) < 0 || latches.count > 0;

	for (size_t i = 0; i < host->orders.count && !has; i++)
		has = order_is_cut(&host->orders.item[i]);
	latches_free(&latches);
	return has;
}

/* What is not surely tighter, is looser; and so is what may be let out of a cut. */
static bool is_looser(const struct host *host, const struct policy *before,
		      const struct policy *after)
{
	struct difference difference = {0};
	bool is_tighter = difference_make(before, after, &difference) == 0 &&
			  difference.of[CHANGE_LOOSER] == 0 && difference.of[CHANGE_CHANGED] == 0 &&
			  !(difference.moved && has_cuts(host));

	difference_free(&difference);
	return !is_tighter;
}

bool store_loosens(const struct host *host, const struct policy_choice *after)
{
	const struct policy_choice in_force = {0};
	struct reading old = {0}, new = {0};
	_cleanup_free_ char *problem = NULL, *other = NULL;
	bool loosens = !after || choose(host, &in_force, &old, &problem, NULL) < 0 ||
		       choose(host, after, &new, &other, NULL) < 0 ||
		       is_looser(host, &old.policy, &new.policy);

	reading_free(&old);
	reading_free(&new);
	return loosens;
}

bool store_trial_loosens(const struct host *host, const struct policy_choice *after,
			 bool *is_under_four_eyes)
{
	const struct policy_choice applied = {.is_previous = true};
	struct reading old = {0}, new = {0};
	_cleanup_free_ char *problem = NULL, *other = NULL;
	int r = choose(host, &applied, &old, &problem, NULL);
	bool loosens = r < 0 || choose(host, after, &new, &other, NULL) < 0 ||
		       is_looser(host, &old.policy, &new.policy);

	/* one that cannot be read may say so */
	*is_under_four_eyes = r == 0 ? old.policy.four_eyes : r != -ENOENT;
	reading_free(&old);
	reading_free(&new);
	return loosens;
}
