/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read.c - policy_read(): all files, one after the other; and how a mapping's keys are read. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/text.h"
#include "user/policy/read.h"

void read_fault(struct reader *reader, const struct node *node, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0) {
		text = NULL;
		reader->error = -ENOMEM;
		return;
	}
	faults_add(reader->faults, SEVERITY_ERROR, node_position(reader->tree, node), "%s", text);
}

bool read_is_mapping(struct reader *reader, const struct node *node, const char *what)
{
	if (node->kind == NODE_MAPPING)
		return true;
	if (node->kind != NODE_BROKEN)
		read_fault(reader, node, "wrong type: %s is a mapping of keys to values", what);
	return false;
}

static void tell_unknown(struct reader *reader, const struct node *node, const char *word,
			 const struct key *keys, size_t count, const char *what)
{
	struct near near;
	size_t i;

	near_start(&near, word);
	for (i = 0; i < count; i++)
		near_try(&near, keys[i].word);
	if (near.best)
		read_fault(reader, node, "unknown key \"%.60s\" in %s: did you mean \"%s\"?", word,
			   what, near.best);
	else
		read_fault(reader, node, "unknown key \"%.60s\" in %s", word, what);
}

/* The number of the key, or -1 after a fault. */
static int find_key(struct reader *reader, const struct node *node, const struct key *keys,
		    size_t count, const struct node **seen, const char *what)
{
	const char *word;
	size_t i;

	if (node->kind != NODE_SCALAR) {
		if (node->kind != NODE_BROKEN)
			read_fault(reader, node, "wrong type: a key of %s is one word", what);
		return -1;
	}
	word = node_text(reader->tree, node);
	for (i = 0; i < count && strcmp(keys[i].word, word) != 0; i++)
		;
	if (i == count) {
		tell_unknown(reader, node, word, keys, count, what);
		return -1;
	}
	if (seen[i]) {
		faults_add_pair(reader->faults, SEVERITY_ERROR, node_position(reader->tree, node),
				node_position(reader->tree, seen[i]), "duplicate key \"%s\" in %s",
				word, what);
		return -1;
	}
	seen[i] = node;
	return (int)i;
}

void read_keys(struct reader *reader, const struct node *mapping, const struct key *keys,
	       size_t count, void *into, const char *what)
{
	const struct tree *tree = reader->tree;
	const struct node *seen[32] = {NULL};
	const struct node *key, *value;
	size_t i;
	int found;

	if (!read_is_mapping(reader, mapping, what))
		return;
	for (key = node_first(tree, mapping); key; key = node_next(tree, value)) {
		value = node_next(tree, key);
		if (!value) /* a partial tree ends after the key */
			return;
		found = find_key(reader, key, keys, count, seen, what);
		if (found >= 0)
			keys[found].read(reader, value, (char *)into + keys[found].offset);
	}
	for (i = 0; i < count; i++)
		if (keys[i].is_required && !seen[i] && !tree->is_partial)
			read_fault(reader, mapping, "\"%s\" is missing in %s", keys[i].word, what);
}

/* The lengths make sure that no two divisions of one text into files give one digest. */
static int digest(const struct sources *sources, uint8_t result[32])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t length[8], sum[32];
	bool is_good;
	size_t i, k;

	if (!context)
		return -ENOMEM;
	is_good = EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
	for (i = 0; i < sources->count; i++) {
		for (k = 0; k < sizeof(length); k++)
			length[k] = (uint8_t)((uint64_t)sources->item[i].length >> (8 * k));
		is_good = is_good && EVP_DigestUpdate(context, length, sizeof(length)) == 1 &&
			  EVP_DigestUpdate(context, sources->item[i].text,
					   sources->item[i].length) == 1;
	}
	is_good = is_good && EVP_DigestFinal_ex(context, sum, NULL) == 1;
	EVP_MD_CTX_free(context);
	if (!is_good)
		return -EIO;
	memcpy(result, sum, sizeof(sum));
	return 0;
}

/* `*is_whole` becomes false when a part of the file could not be seen. */
static int read_source(const struct sources *sources, uint32_t index, struct policy *policy,
		       struct faults *faults, bool *is_whole)
{
	struct tree tree = {0};
	struct reader reader = {.tree = &tree,
				.policy = policy,
				.faults = faults,
				.has_included = sources->count > 1};
	int r;

	r = tree_read(sources, index, NULL, &tree, faults);
	if (r < 0) {
		*is_whole = false;
		return r == -EBADMSG ? 0 : r;
	}
	read_top(&reader, &tree.node[0], index > 0);
	if (tree.is_partial)
		*is_whole = false;
	tree_free(&tree);
	return reader.error;
}

int policy_read(const struct sources *sources, struct policy *policy, struct faults *faults)
{
	struct policy read = {0};
	size_t errors = faults->errors;
	bool is_whole = true;
	uint32_t i;
	int r;

	if (sources->count == 0)
		return -EINVAL;
	read.strangers = (struct strangers){
		.serves.is_deny = true, .calls.is_deny = true, .total.is_none = true};
	r = digest(sources, read.digest);
	for (i = 0; r == 0 && i < sources->count; i++)
		r = read_source(sources, i, &read, faults, &is_whole);
	if (r == 0)
		r = read_resolve_days(&read);
	if (r == 0 && faults->errors > errors) {
		/* Names that could not be seen would look unknown. */
		r = is_whole ? policy_check(&read, faults) : 0;
		if (r == 0)
			r = -EBADMSG;
	}
	if (r < 0) {
		policy_free(&read);
		return r;
	}
	*policy = read;
	return 0;
}
