/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * applied.c - policies as they are kept in the state directory:
 * {"path":"/etc/weir/policy.yaml","applied_ns":...,"files":[{"name":"...","text":"..."}]}
 */
#include "user/daemon/applied.h"

#include <errno.h>
#include <json-c/json.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/json_out.h"

/* Escapes may double what stands in the file. */
#define LONGEST_FILE (2 * (size_t)POLICY_MAX_BYTES)

void applied_free(struct applied *applied)
{
	sources_free(&applied->sources);
	free(applied->path);
	*applied = (struct applied){0};
}

int applied_save(const char *path, const struct applied *applied)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	struct json_out json = {.out = open_memstream(&text, &length)};

	if (!json.out)
		return -ENOMEM;
	json_open(&json, NULL, '{');
	json_put_text(&json, "path", applied->path);
	json_put_uint(&json, "applied_ns", applied->applied_ns);
	json_open(&json, "files", '[');
	for (size_t i = 0; i < applied->sources.count; i++) {
		json_open(&json, NULL, '{');
		json_put_text(&json, "name", applied->sources.item[i].name);
		json_put_text(&json, "text", applied->sources.item[i].text);
		json_close(&json, '}');
	}
	json_close(&json, ']');
	json_close(&json, '}');
	fputc('\n', json.out);
	if (fclose(json.out) != 0)
		return -ENOMEM;
	return file_write_atomic(path, text, length, 0640);
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

static int read_applied(json_object *root, struct applied *applied)
{
	json_object *path, *applied_ns, *files;

	if (!json_object_object_get_ex(root, "path", &path) ||
	    !json_object_object_get_ex(root, "applied_ns", &applied_ns) ||
	    !json_object_object_get_ex(root, "files", &files) ||
	    !json_object_is_type(files, json_type_array) ||
	    !json_object_is_type(applied_ns, json_type_int))
		return -EBADMSG;
	applied->applied_ns = json_object_get_uint64(applied_ns);
	if (json_object_is_type(path, json_type_string)) {
		applied->path = strdup(json_object_get_string(path));
		if (!applied->path)
			return -ENOMEM;
	}
	return sources_from_json(files, &applied->sources);
}

int applied_load(const char *path, struct applied *applied)
{
	_cleanup_free_ char *text = NULL;
	struct applied found = {0};
	json_object *root;
	size_t length;
	int r;

	r = file_read(path, LONGEST_FILE, &text, &length);
	if (r < 0)
		return r;
	root = json_tokener_parse(text);
	if (!json_object_is_type(root, json_type_object)) {
		json_object_put(root);
		return -EBADMSG;
	}
	r = read_applied(root, &found);
	json_object_put(root);
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

int policy_to_image(const struct sources *sources, uint64_t wall_ns, struct image *image,
		    struct faults *faults)
{
	struct policy policy = {0};
	int r;

	r = policy_read(sources, &policy, faults);
	if (r < 0)
		return r;
	r = policy_check(&policy, faults);
	if (r == 0)
		r = image_compile(&policy, wall_ns, image, faults);
	policy_free(&policy);
	return r;
}

int default_image(uint64_t wall_ns, struct image *image)
{
	struct policy policy = {0};
	struct faults faults = {0};
	int r;

	r = policy_default(&policy);
	if (r < 0)
		return r;
	r = image_compile(&policy, wall_ns, image, &faults);
	policy_free(&policy);
	faults_free(&faults);
	return r;
}
