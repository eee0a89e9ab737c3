/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* sources.c - the texts that a policy is made of: its file, and those that it includes. */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/policy/tree.h"

struct identity {
	dev_t device;
	ino_t inode;
	uint32_t source;
	struct position at; /* of the pattern that named it */
};

struct loader {
	struct sources *sources;
	struct faults *faults;
	const char *directory;	   /* of the policy, with its slash; "" for here */
	size_t room;		   /* bytes that may still be read */
	struct identity *identity; /* one for each source */
};

static int add_source(struct sources *sources, const char *name, char *text, size_t length)
{
	_cleanup_free_ char *copy = strdup(name);
	struct source *source = copy ? ARRAY_ADD(sources->item, sources->count) : NULL;

	if (!source)
		return -ENOMEM;
	*source = (struct source){TAKE_PTR(copy), text, length};
	sources->count++;
	return 0;
}

/* -EBADMSG after a fault at `at` when the file is too large. Another error leaves it to the
 * caller to say what it means. */
static int load_file(struct loader *loader, const char *path, struct position at)
{
	struct identity *identity;
	char *text = NULL;
	size_t length = 0;
	struct stat st;
	int r;

	r = file_read(path, loader->room, &text, &length);
	if (r < 0 && r != -EFBIG)
		return r;
	if (r == -EFBIG) {
		/* The policy itself is named by the place of the fault. */
		faults_add(loader->faults, SEVERITY_ERROR, at,
			   "%s%stoo large: a policy has at most %u MiB in all its files",
			   loader->sources->count > 0 ? path : "",
			   loader->sources->count > 0 ? ": " : "", POLICY_MAX_BYTES >> 20);
		text = strdup("");
		if (!text)
			return -ENOMEM;
	}
	identity = ARRAY_ADD(loader->identity, loader->sources->count);
	if (!identity || add_source(loader->sources, path, text, length) < 0) {
		free(text);
		return -ENOMEM;
	}
	if (stat(path, &st) == 0)
		*identity = (struct identity){st.st_dev, st.st_ino,
					      (uint32_t)loader->sources->count - 1, at};
	loader->room -= length;
	return r == -EFBIG ? -EBADMSG : 0;
}

/* The directory's own name must not act as a pattern. */
static char *full_pattern(const char *directory, const char *pattern)
{
	size_t at = 0, size = 2 * strlen(directory) + strlen(pattern) + 1;
	char *full = malloc(size);

	if (!full)
		return NULL;
	for (; pattern[0] != '/' && *directory; directory++) {
		if (strchr("*?[]\\", *directory))
			full[at++] = '\\';
		full[at++] = *directory;
	}
	memcpy(full + at, pattern, strlen(pattern) + 1);
	return full;
}

static int load_matches(struct loader *loader, const glob_t *found, struct position at)
{
	struct stat st;
	size_t i;
	int r;

	for (i = 0; i < found->gl_pathc; i++) {
		/* Opening a pipe would wait for its writer. */
		if (stat(found->gl_pathv[i], &st) == 0 && !S_ISREG(st.st_mode)) {
			faults_add(loader->faults, SEVERITY_ERROR, at, "%s: not a regular file",
				   found->gl_pathv[i]);
			continue;
		}
		r = load_file(loader, found->gl_pathv[i], at);
		if (r == -ENOMEM || r == -EBADMSG)
			return r;
		if (r < 0)
			faults_add(loader->faults, SEVERITY_ERROR, at, "%s: %s", found->gl_pathv[i],
				   strerror(-r));
	}
	return 0;
}

static int load_pattern(struct loader *loader, const char *pattern, struct position at)
{
	_cleanup_free_ char *full = full_pattern(loader->directory, pattern);
	glob_t found;
	int r;

	if (!full)
		return -ENOMEM;
	r = glob(full, 0, NULL, &found);
	if (r == GLOB_NOSPACE)
		return -ENOMEM;
	if (r != 0) {
		faults_add(loader->faults, SEVERITY_ERROR, at, "include \"%.120s\": no such file",
			   pattern);
		return 0;
	}
	r = load_matches(loader, &found, at);
	globfree(&found);
	return r;
}

static int load_patterns(struct loader *loader, const struct tree *tree, const struct node *value)
{
	const struct node *item = value;
	int r;

	if (value->kind == NODE_LIST)
		item = node_first(tree, value);
	for (; item; item = item == value ? NULL : node_next(tree, item)) {
		/* What is no text is policy_read()'s to tell. */
		if (item->kind != NODE_SCALAR || node_text(tree, item)[0] == '\0')
			continue;
		r = load_pattern(loader, node_text(tree, item), node_position(tree, item));
		if (r < 0)
			return r;
	}
	return 0;
}

/* Spares the second parse of a large policy: a key cannot be spelled but by its letters, or with
 * escapes in double quotes. */
static bool may_include(const struct source *source)
{
	return memmem(source->text, source->length, "include", 7) ||
	       memchr(source->text, '\\', source->length);
}

static int load_includes(struct loader *loader)
{
	const struct node *key, *value;
	struct faults ignored = {0};
	struct tree tree = {0};
	int r;

	if (!may_include(&loader->sources->item[0]))
		return 0;
	/* Bad YAML is told when the policy is read: here it only ends the search. */
	r = tree_read(loader->sources, 0, "include", &tree, &ignored);
	faults_free(&ignored);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	key = tree.node[0].kind == NODE_MAPPING ? node_first(&tree, &tree.node[0]) : NULL;
	for (; r == 0 && key; key = node_next(&tree, value)) {
		value = node_next(&tree, key);
		if (!value)
			break;
		if (key->kind == NODE_SCALAR && strcmp(node_text(&tree, key), "include") == 0)
			r = load_patterns(loader, &tree, value);
	}
	tree_free(&tree);
	return r;
}

static int compare(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return x->source < y->source ? -1 : x->source > y->source;
}

/* One file under two names, or the policy itself, would define everything twice. */
static void find_repeated(struct loader *loader)
{
	const struct identity *identity = loader->identity;
	size_t i;

	qsort(loader->identity, loader->sources->count, sizeof(*identity), compare);
	for (i = 1; i < loader->sources->count; i++) {
		if (identity[i].device != identity[i - 1].device ||
		    identity[i].inode != identity[i - 1].inode || identity[i].inode == 0)
			continue;
		faults_add(loader->faults, SEVERITY_ERROR, identity[i].at, "%s is included %s",
			   loader->sources->item[identity[i].source].name,
			   identity[i - 1].source == 0 ? "by itself" : "twice");
	}
}

static int load_all(struct loader *loader, const char *path)
{
	size_t errors = loader->faults->errors;
	int r;

	r = load_file(loader, path, (struct position){0, 1, 1});
	if (r < 0)
		return r;
	r = load_includes(loader);
	if (r < 0)
		return r;
	find_repeated(loader);
	return loader->faults->errors > errors ? -EBADMSG : 0;
}

int sources_load(const char *path, struct sources *sources, struct faults *faults)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *directory = strndup(path, slash ? (size_t)(slash - path) + 1 : 0);
	struct sources loaded = {0};
	struct loader loader = {&loaded, faults, directory, POLICY_MAX_BYTES, NULL};
	int r;

	if (!directory)
		return -ENOMEM;
	r = load_all(&loader, path);
	free(loader.identity);
	if (r < 0 && r != -EBADMSG) {
		sources_free(&loaded);
		return r;
	}
	*sources = loaded;
	return r;
}

void sources_free(struct sources *sources)
{
	size_t i;

	for (i = 0; i < sources->count; i++) {
		free(sources->item[i].name);
		free(sources->item[i].text);
	}
	free(sources->item);
	*sources = (struct sources){0};
}
