/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* read_values.c - texts, words, names, paths, prefixes and selectors of a policy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/address.h"
#include "user/base/array.h"
#include "user/base/text.h"
#include "user/policy/read.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { INFO_MAX = 64 };

const char *read_text(struct reader *reader, const struct node *node)
{
	const char *text;

	if (node->kind == NODE_BROKEN)
		return NULL;
	if (node->kind != NODE_SCALAR) {
		read_fault(reader, node, "wrong type: one value belongs here, not a %s",
			   node->kind == NODE_LIST ? "list" : "mapping");
		return NULL;
	}
	text = node_text(reader->tree, node);
	if (text[0] == '\0') {
		read_fault(reader, node, "a value is missing");
		return NULL;
	}
	return text;
}

int read_word(struct reader *reader, const struct node *node, const char *const *words,
	      size_t count, const char *what)
{
	const char *text = read_text(reader, node);
	char list[128] = "";
	struct near near;
	size_t i, used = 0;

	if (!text)
		return -1;
	near_start(&near, text);
	for (i = 0; i < count; i++) {
		if (strcmp(words[i], text) == 0)
			return (int)i;
		near_try(&near, words[i]);
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
					 i == 0		  ? ""
					 : i + 1 == count ? " or "
							  : ", ",
					 words[i]);
	}
	if (near.best)
		read_fault(reader, node, "\"%.60s\" is no %s: did you mean \"%s\"?", text, what,
			   near.best);
	else
		read_fault(reader, node, "\"%.60s\" is no %s: %s", text, what, list);
	return -1;
}

void read_each(struct reader *reader, const struct node *value, void *field, value_reader one)
{
	const struct node *item;

	if (value->kind != NODE_LIST) {
		one(reader, value, field);
		return;
	}
	item = node_first(reader->tree, value);
	if (!item && !reader->tree->is_partial)
		read_fault(reader, value, "an empty list");
	for (; item; item = node_next(reader->tree, item))
		one(reader, item, field);
}

static bool copy(struct reader *reader, const struct node *node, const char *text,
		 struct name *name)
{
	char *copied = strdup(text);

	if (!copied) {
		reader->error = -ENOMEM;
		return false;
	}
	free(name->text);
	*name = (struct name){copied, node_position(reader->tree, node)};
	return true;
}

void read_append(struct reader *reader, const struct node *node, const char *text,
		 struct names *names)
{
	struct name *name = ARRAY_ADD(names->item, names->count);

	if (!name)
		reader->error = -ENOMEM;
	else if (copy(reader, node, text, name))
		names->count++;
}

/* Names appear in orders (partner:NAME@service:NAME), in labels and in file names. */
static const char *name_problem(const char *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-_.";

	if (strlen(text) > NAME_BYTES)
		return "at most 48 bytes";
	if (strspn(text, alphabet) != strlen(text))
		return "letters, digits, \"-\", \"_\" and \".\"";
	if (strchr("-_.", text[0]))
		return "a letter or a digit comes first";
	return NULL;
}

static bool is_name(struct reader *reader, const struct node *node, const char *text)
{
	const char *problem = name_problem(text);

	if (problem)
		read_fault(reader, node, "\"%.60s\" is no name: %s", text, problem);
	return !problem;
}

bool read_new_name(struct reader *reader, const struct node *node, struct name *name)
{
	const char *text = read_text(reader, node);

	return text && is_name(reader, node, text) && copy(reader, node, text, name);
}

void read_name(struct reader *reader, const struct node *value, void *field)
{
	read_new_name(reader, value, field);
}

void read_name_text(struct reader *reader, const struct node *value, void *field)
{
	struct name name = {0};
	char **text = field;

	if (read_new_name(reader, value, &name)) {
		free(*text);
		*text = name.text;
	}
}

void read_line(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (text && strpbrk(text, "\n\t"))
		read_fault(reader, value, "one line belongs here");
	else if (text)
		copy(reader, value, text, field);
}

static void read_class(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (text && is_name(reader, value, text))
		read_append(reader, value, text, field);
}

void read_classes(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_class);
}

void read_info(struct reader *reader, const struct node *value, void *field)
{
	const struct tree *tree = reader->tree;
	struct partner *partner = field;
	const struct node *key, *item;
	const char *word, *text;
	size_t i;

	if (!read_is_mapping(reader, value, "info"))
		return;
	for (key = node_first(tree, value); key; key = node_next(tree, item)) {
		item = node_next(tree, key);
		if (!item)
			return;
		word = read_text(reader, key);
		text = read_text(reader, item);
		if (!word || !text)
			continue;
		if (partner->info_keys.count == INFO_MAX) {
			read_fault(reader, key, "more than %d keys in info", INFO_MAX);
			return;
		}
		for (i = 0; i < partner->info_keys.count; i++)
			if (strcmp(partner->info_keys.item[i].text, word) == 0)
				break;
		if (i < partner->info_keys.count) {
			faults_add_pair(reader->faults, SEVERITY_ERROR, node_position(tree, key),
					partner->info_keys.item[i].at,
					"duplicate key \"%.60s\" in info", word);
			continue;
		}
		read_append(reader, key, word, &partner->info_keys);
		read_append(reader, item, text, &partner->info_values);
	}
}

void read_version(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	(void)field;
	if (text && strcmp(text, "1") != 0)
		read_fault(reader, value, "version \"%.20s\" is not known: 1", text);
}

void read_flag(struct reader *reader, const struct node *value, void *field)
{
	static const char *const words[] = {"false", "true"};
	int word = read_word(reader, value, words, 2, "value here");

	if (word >= 0)
		*(bool *)field = word;
}

void read_mode(struct reader *reader, const struct node *value, void *field)
{
	static const char *const words[] = {[WEIR_ENFORCE] = "enforce", [WEIR_OBSERVE] = "observe"};
	int word = read_word(reader, value, words, LENGTH(words), "mode");

	if (word >= 0)
		*(enum weir_mode *)field = (enum weir_mode)word;
}

void read_breach(struct reader *reader, const struct node *value, void *field)
{
	static const char *const words[] = {
		[WEIR_HOLD] = "hold", [WEIR_ALERT] = "alert", [WEIR_SEVER] = "sever"};
	int word = read_word(reader, value, words, LENGTH(words), "breach");

	if (word >= 0)
		*(enum weir_breach *)field = (enum weir_breach)word;
}

static const char *component_problem(const char *part, size_t length)
{
	const char *star = memchr(part, '*', length);

	if (length == 0)
		return "an empty component";
	if (length >= WEIR_PATH_NAME)
		return "a component has at most 95 bytes";
	if ((length == 1 && part[0] == '.') || (length == 2 && memcmp(part, "..", 2) == 0))
		return "\".\" and \"..\" lead nowhere";
	if (star && star != part + length - 1)
		return "\"*\" stands at the end of a component";
	return NULL;
}

static const char *path_problem(const char *path)
{
	const char *part = path, *end, *problem;
	int depth = 0;

	if (path[0] == '/')
		return "it is relative to the guarded cgroup, so it begins without \"/\"";
	if (strpbrk(path, "\n\t"))
		return "one line belongs here";
	for (;;) {
		end = strchrnul(part, '/');
		problem = component_problem(part, (size_t)(end - part));
		if (problem)
			return problem;
		if (++depth > WEIR_PATH_DEPTH)
			return "deeper than 16 components";
		if (*end == '\0')
			return NULL;
		part = end + 1;
	}
}

static void read_cgroup(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	const char *problem = text ? path_problem(text) : NULL;

	if (problem)
		read_fault(reader, value, "\"%.120s\" is no cgroup path: %s", text, problem);
	else if (text)
		read_append(reader, value, text, field);
}

void read_cgroups(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_cgroup);
}

static void tell_prefix(struct reader *reader, const struct node *node, const char *text, int error)
{
	char meant[PREFIX_TEXT];
	uint8_t address[16], bits;

	if (error == -EDOM && prefix_split(text, address, &bits) == 0) {
		prefix_mask(address, bits);
		prefix_format(address, bits, meant, sizeof(meant));
		read_fault(reader, node, "host bits are set in %.60s: the prefix is %s", text,
			   meant);
	} else if (error == -ERANGE) {
		read_fault(reader, node, "\"%.60s\": a prefix length is 0 to %d", text,
			   strchr(text, ':') ? 128 : 32);
	} else {
		read_fault(reader, node, "\"%.60s\" is no address or prefix", text);
	}
}

static void read_prefix(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	struct prefixes *prefixes = field;
	uint8_t address[16], bits;
	struct prefix *prefix;
	int r;

	if (!text)
		return;
	r = prefix_parse(text, address, &bits);
	if (r < 0) {
		tell_prefix(reader, value, text, r);
		return;
	}
	prefix = ARRAY_ADD(prefixes->item, prefixes->count);
	if (!prefix) {
		reader->error = -ENOMEM;
		return;
	}
	memcpy(prefix->address, address, sizeof(address));
	prefix->bits = bits;
	prefix->at = node_position(reader->tree, value);
	prefixes->count++;
}

void read_prefixes(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_prefix);
}

static void read_selector(struct reader *reader, const struct node *value, void *field)
{
	static const char class_prefix[] = "class:";
	const char *text = read_text(reader, value);
	struct selectors *selectors = field;
	struct selector *selector;
	struct name name = {0};
	bool is_class, is_any;

	if (!text)
		return;
	is_any = strcmp(text, "any") == 0;
	is_class = strncmp(text, class_prefix, strlen(class_prefix)) == 0;
	if (is_class)
		text += strlen(class_prefix);
	if (!is_any && (!is_name(reader, value, text) || !copy(reader, value, text, &name)))
		return;
	selector = ARRAY_ADD(selectors->item, selectors->count);
	if (!selector) {
		free(name.text);
		reader->error = -ENOMEM;
		return;
	}
	selector->kind = is_any ? SELECT_ANY : is_class ? SELECT_CLASS : SELECT_NAME;
	selector->name = name.text;
	selector->at = node_position(reader->tree, value);
	selectors->count++;
}

void read_selectors(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_selector);
}
