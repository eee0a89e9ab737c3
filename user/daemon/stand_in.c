/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* stand_in.c - the file that says what stands in for the guard. */
#include "user/daemon/stand_in.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/file.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/json_in.h"
#include "user/base/units.h"
#include "user/daemon/paths.h"

static const char *const modes[] = {
	[STAND_IN_NOTHING] = "nothing",
	[STAND_IN_OPEN] = "open",
	[STAND_IN_CLOSED] = "closed",
	[STAND_IN_FALLBACK] = "fallback",
};

const char *stand_in_name(enum stand_in_mode mode)
{
	return modes[mode];
}

bool stand_in_has_rules(const struct stand_in *stand_in)
{
	return stand_in->mode == STAND_IN_CLOSED || stand_in->mode == STAND_IN_FALLBACK;
}

int stand_in_lock(const char *instance)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	_cleanup_free_ char *path = path_run(instance, ".without-guard.lock");
	_cleanup_close_ int fd = path ? open(path, flags, 0600) : -1;

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return path ? -errno : -ENOMEM;
	return TAKE_FD(fd);
}

static char *marker_path(const char *instance)
{
	return path_run(instance, ".without-guard");
}

static void put_stand_in(struct json_out *json, const char *key, const struct stand_in *stand_in)
{
	json_open(json, key, '{');
	json_put_text(json, "mode", stand_in_name(stand_in->mode));
	json_put_uint(json, "since", stand_in->since_ns / NS_PER_SECOND);
	json_put_text(json, "why", stand_in->why);
	json_put_text(json, "sha256", stand_in->digest);
	json_put_text(json, "listed_sha256", stand_in->listed);
	json_put_int(json, "offset_ns", stand_in->offset_ns);
	json_put_uint(json, "passed_bytes", stand_in->passed_bytes);
	json_put_uint(json, "refused_bytes", stand_in->refused_bytes);
	json_close(json, '}');
}

int stand_in_write(const char *instance, const struct stand_in *stand_in)
{
	_cleanup_free_ char *path = marker_path(instance), *text = NULL;
	struct json_out json = {0};
	size_t length;

	if (path)
		json.out = open_memstream(&text, &length);
	if (!json.out)
		return -ENOMEM;
	put_stand_in(&json, NULL, stand_in);
	fputc('\n', json.out);
	if (fclose(json.out) != 0)
		return -ENOMEM;
	return file_write_atomic(path, text, length, 0644);
}

static int read_text(json_object *root, const char *key, char *text, size_t size)
{
	json_object *value;
	size_t length;

	if (!json_object_object_get_ex(root, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return -EBADMSG;
	length = json_object_get_string_len(value);
	if (length >= size || strlen(json_object_get_string(value)) != length)
		return -EBADMSG;
	strcpy(text, json_object_get_string(value));
	return 0;
}

static int read_number(json_object *root, const char *key, int64_t *number)
{
	json_object *value;

	if (!json_object_object_get_ex(root, key, &value) ||
	    !json_object_is_type(value, json_type_int))
		return -EBADMSG;
	*number = json_object_get_int64(value);
	return 0;
}

static int read_count(json_object *root, const char *key, uint64_t *count)
{
	int64_t number;
	int r = read_number(root, key, &number);

	if (r == 0 && number < 0)
		r = -EBADMSG;
	if (r == 0)
		*count = number;
	return r;
}

static int read_mode(json_object *root, enum stand_in_mode *mode)
{
	char name[16];
	int r = read_text(root, "mode", name, sizeof(name));

	for (size_t i = 0; r == 0 && i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(name, modes[i]) == 0) {
			*mode = i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_stand_in(json_object *root, struct stand_in *found)
{
	uint64_t since;

	if (read_mode(root, &found->mode) < 0 || read_count(root, "since", &since) < 0 ||
	    since > INT64_MAX / NS_PER_SECOND ||
	    read_text(root, "why", found->why, sizeof(found->why)) < 0 ||
	    read_text(root, "sha256", found->digest, sizeof(found->digest)) < 0 ||
	    read_text(root, "listed_sha256", found->listed, sizeof(found->listed)) < 0 ||
	    read_number(root, "offset_ns", &found->offset_ns) < 0 ||
	    read_count(root, "passed_bytes", &found->passed_bytes) < 0 ||
	    read_count(root, "refused_bytes", &found->refused_bytes) < 0)
		return -EBADMSG;
	found->since_ns = since * NS_PER_SECOND;
	return 0;
}

int stand_in_read(const char *instance, struct stand_in *stand_in)
{
	_cleanup_free_ char *path = marker_path(instance), *text = NULL;
	struct stand_in found = {0};
	json_object *root;
	size_t length;
	int r = path ? file_read(path, 4096, &text, &length) : -ENOMEM;

	*stand_in = (struct stand_in){0};
	if (r < 0)
		return r;
	root = json_in(text, length, 2);
	r = root ? read_stand_in(root, &found) : -EBADMSG;
	json_object_put(root);
	if (r == 0)
		*stand_in = found;
	return r;
}

void stand_in_put(const struct host *host, struct json_out *reply)
{
	struct stand_in stand_in;
	int r = stand_in_read(host->instance, &stand_in);

	json_open(reply, "without_guard", '{');
	json_put_text(reply, "configured",
		      host->config ? without_guard_name(host->config->without_guard) : NULL);
	if (r == 0)
		put_stand_in(reply, "in_force", &stand_in);
	else if (r == -ENOENT)
		json_put_null(reply, "in_force");
	else
		json_put_text(reply, "in_force", "unknown");
	json_close(reply, '}');
}

int stand_in_remove(const char *instance)
{
	_cleanup_free_ char *path = marker_path(instance);

	if (!path)
		return -ENOMEM;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}
