/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applied.c - policies as they are kept in the state directory, in two lines, so that a list of
 * many large ones needs to read only the first:
 * {"path":"/etc/weir/policy.yaml","name":"hub","by":"root","applied_ns":...,"sha256":"..."}
 * {"files":[{"name":"...","text":"..."}]}
 * "sha256" is over the texts alone; "trial_until_ns" and "trial_boot" are there on trial, and with
 * "until_ns" and "reason" when it is in force for a while.
 */
#include "user/daemon/applied.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/base/json_in.h"
#include "user/base/json_out.h"

/* Escapes may double what stands in the file. */
#define LONGEST_FILE (2 * (size_t)POLICY_MAX_BYTES)

enum { LONGEST_ABOUT = 16384, FILE_DEPTH = 4 };

void applied_free(struct applied *applied)
{
	sources_free(&applied->sources);
	free(applied->path);
	free(applied->name);
	free(applied->by);
	free(applied->reason);
	*applied = (struct applied){0};
}

static void put_about(struct json_out *json, const struct applied *applied, const char *sha256)
{
	json_open(json, NULL, '{');
	json_put_text(json, "path", applied->path);
	json_put_text(json, "name", applied->name);
	json_put_text(json, "by", applied->by);
	json_put_uint(json, "applied_ns", applied->applied_ns);
	if (applied->trial_until_ns) {
		json_put_uint(json, "trial_until_ns", applied->trial_until_ns);
		json_put_text(json, "trial_boot", applied->trial_boot);
	}
	if (applied->until_ns) {
		json_put_uint(json, "until_ns", applied->until_ns);
		json_put_text(json, "reason", applied->reason);
	}
	json_put_text(json, "sha256", sha256);
	json_close(json, '}');
}

static void put_files(struct json_out *json, const struct sources *sources)
{
	json_open(json, NULL, '{');
	json_open(json, "files", '[');
	for (size_t i = 0; i < sources->count; i++) {
		json_open(json, NULL, '{');
		json_put_text(json, "name", sources->item[i].name);
		json_put_text(json, "text", sources->item[i].text);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

int applied_save(const char *path, const struct applied *applied)
{
	_cleanup_free_ char *text = NULL;
	char sha256[DIGEST_TEXT];
	uint8_t digest[32];
	size_t length = 0;
	struct json_out json = {.out = open_memstream(&text, &length)};
	int r = sources_digest(&applied->sources, digest);

	if (!json.out)
		return -ENOMEM;
	if (r == 0) {
		hex_format(digest, 32, sha256);
		put_about(&json, applied, sha256);
		fputc('\n', json.out);
		json.needs_comma = false;
		put_files(&json, &applied->sources);
		fputc('\n', json.out);
	}
	if (fclose(json.out) != 0)
		return -ENOMEM;
	return r < 0 ? r : file_write_atomic(path, text, length, 0640);
}

int sources_from_json(struct json_object *files, struct sources *sources)
{
	size_t count = json_object_array_length(files);

	*sources = (struct sources){.item = calloc(count + 1, sizeof(*sources->item))};
	if (!sources->item)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		json_object *file = json_object_array_get_idx(files, i), *name, *text;
		struct source *source = &sources->item[i];

		if (!json_object_object_get_ex(file, "name", &name) ||
		    !json_object_object_get_ex(file, "text", &text) ||
		    !json_object_is_type(name, json_type_string) ||
		    !json_object_is_type(text, json_type_string))
			return -EBADMSG;
		sources->count = i + 1;
		source->length = json_object_get_string_len(text);
		source->name = strdup(json_object_get_string(name));
		source->text = malloc(source->length + 1);
		if (!source->name || !source->text)
			return -ENOMEM;
		memcpy(source->text, json_object_get_string(text), source->length + 1);
	}
	return count ? 0 : -EBADMSG;
}

/* *copy stays NULL when the member is not there or null. -EBADMSG, -ENOMEM. */
static int read_text(json_object *root, const char *key, char **copy)
{
	json_object *value;

	if (!json_object_object_get_ex(root, key, &value) || !value)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return -EBADMSG;
	*copy = strdup(json_object_get_string(value));
	return *copy ? 0 : -ENOMEM;
}

static int read_short(json_object *root, const char *key, char *text, size_t size)
{
	json_object *value;

	if (!json_object_object_get_ex(root, key, &value) ||
	    !json_object_is_type(value, json_type_string) ||
	    (size_t)json_object_get_string_len(value) != size - 1)
		return -EBADMSG;
	memcpy(text, json_object_get_string(value), size);
	return 0;
}

/* Both are there, or neither. */
static int read_trial(json_object *root, struct applied *applied)
{
	json_object *number;

	if (!json_object_object_get_ex(root, "trial_until_ns", &number))
		return 0;
	if (!json_object_is_type(number, json_type_int))
		return -EBADMSG;
	applied->trial_until_ns = json_object_get_uint64(number);
	return read_short(root, "trial_boot", applied->trial_boot, sizeof(applied->trial_boot));
}

static int read_interim(json_object *root, struct applied *applied)
{
	json_object *number;

	if (!json_object_object_get_ex(root, "until_ns", &number))
		return 0;
	if (!json_object_is_type(number, json_type_int))
		return -EBADMSG;
	applied->until_ns = json_object_get_uint64(number);
	return read_text(root, "reason", &applied->reason);
}

static int read_about(json_object *root, struct applied *applied)
{
	json_object *number;
	int r = read_text(root, "path", &applied->path);

	if (r == 0)
		r = read_text(root, "name", &applied->name);
	if (r == 0)
		r = read_text(root, "by", &applied->by);
	if (r == 0)
		r = read_short(root, "sha256", applied->digest, sizeof(applied->digest));
	if (r < 0)
		return r;
	if (!json_object_object_get_ex(root, "applied_ns", &number) ||
	    !json_object_is_type(number, json_type_int))
		return -EBADMSG;
	applied->applied_ns = json_object_get_uint64(number);
	r = read_trial(root, applied);
	return r < 0 ? r : read_interim(root, applied);
}

static int read_files(json_object *root, struct applied *applied)
{
	json_object *files;
	uint8_t digest[32];
	char text[DIGEST_TEXT];
	int r;

	if (!json_object_object_get_ex(root, "files", &files) ||
	    !json_object_is_type(files, json_type_array))
		return -EBADMSG;
	r = sources_from_json(files, &applied->sources);
	if (r == 0)
		r = sources_digest(&applied->sources, digest);
	if (r < 0)
		return r;
	hex_format(digest, 32, text);
	return strcmp(text, applied->digest) == 0 ? 0 : -EBADMSG;
}

/* One line, which `read` takes apart. */
static int read_line(const char *line, struct applied *applied,
		     int (*read)(json_object *root, struct applied *applied))
{
	json_object *root = json_in(line, strlen(line), FILE_DEPTH);
	int r = root ? read(root, applied) : -EBADMSG;

	json_object_put(root);
	return r;
}

int applied_load(const char *path, struct applied *applied)
{
	_cleanup_free_ char *text = NULL;
	struct applied found = {0};
	size_t length;
	char *second;
	int r;

	r = file_read(path, LONGEST_FILE, &text, &length);
	if (r < 0)
		return r;
	second = strchr(text, '\n');
	if (!second || strlen(text) != length || text[length - 1] != '\n')
		return -EBADMSG;
	*second++ = '\0';
	r = read_line(text, &found, read_about);
	if (r == 0)
		r = read_line(second, &found, read_files);
	if (r < 0)
		applied_free(&found);
	else
		*applied = found;
	return r;
}

int applied_about(const char *path, struct applied *applied)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct applied found = {0};
	char text[LONGEST_ABOUT + 1];
	ssize_t length;
	char *end;
	int r;

	if (fd < 0)
		return -errno;
	length = read(fd, text, LONGEST_ABOUT);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	end = strchr(text, '\n');
	if (!end)
		return -EBADMSG;
	*end = '\0';
	r = read_line(text, &found, read_about);
	if (r < 0)
		applied_free(&found);
	else
		*applied = found;
	return r;
}

int sources_digest(const struct sources *sources, uint8_t digest[32])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t result[32];
	bool is_done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

	for (size_t i = 0; i < sources->count && is_done; i++) {
		uint64_t length = sources->item[i].length;

		is_done = EVP_DigestUpdate(context, &length, sizeof(length)) &&
			  EVP_DigestUpdate(context, sources->item[i].text, length);
	}
	is_done = is_done && EVP_DigestFinal_ex(context, result, NULL);
	EVP_MD_CTX_free(context);
	if (!is_done)
		return -EIO;
	memcpy(digest, result, sizeof(result));
	return 0;
}
