/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* host_config.c - reads /etc/weir/host.yaml, with the policy's reader and its faults. */
#include "user/policy/host_config.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "user/policy/read.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool is_listed(const struct names *names, const char *text)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->item[i].text, text) == 0)
			return true;
	}
	return false;
}

static void add(struct reader *reader, const struct node *value, struct names *names,
		const char *text)
{
	if (is_listed(names, text))
		read_fault(reader, value, "\"%s\" is named twice", text);
	else
		read_append(reader, value, text, names);
}

/* net/core/dev.c, dev_valid_name(). */
static bool is_interface(const char *text)
{
	return strlen(text) < IF_NAMESIZE && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       !strpbrk(text, "/: \t\n\v\f\r");
}

static void read_uplink(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (!text)
		return;
	if (strcmp(text, "any") == 0)
		read_fault(reader, value,
			   "\"any\" is no interface: leave \"uplinks\" out for every one");
	else if (strcmp(text, "lo") == 0)
		read_fault(reader, value,
			   "loopback is no uplink: what stays on the host is exempt");
	else if (!is_interface(text))
		read_fault(reader, value, "\"%.60s\" is no interface's name", text);
	else
		add(reader, value, field, text);
}

static void read_uplinks(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_uplink);
}

static void read_group(struct reader *reader, const struct node *value, void *field)
{
	struct name name = {0};

	if (read_new_name(reader, value, &name))
		add(reader, value, field, name.text);
	free(name.text);
}

static void read_groups(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_group);
}

static void read_sink(struct reader *reader, const struct node *value, void *field)
{
	static const char *const words[] = {
		[HOST_SINK_FILE] = "file",
		[HOST_SINK_STDOUT] = "stdout",
		[HOST_SINK_JOURNALD] = "journald",
	};
	enum host_sink *sink = field;
	int word = read_word(reader, value, words, LENGTH(words), "sink");

	if (word <= 0)
		return;
	if (*sink != HOST_SINK_FILE)
		read_fault(reader, value, "stdout and journald are one stream: only one of them");
	else
		*sink = word;
}

static void read_sinks(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_sink);
}

static const char *const without_guard_words[] = {
	[WITHOUT_GUARD_FALLBACK] = "fallback",
	[WITHOUT_GUARD_CLOSED] = "closed",
	[WITHOUT_GUARD_OPEN] = "open",
};

const char *without_guard_name(enum without_guard mode)
{
	return without_guard_words[mode];
}

static void read_without_guard(struct reader *reader, const struct node *value, void *field)
{
	enum without_guard *mode = field;
	int word = read_word(reader, value, without_guard_words, LENGTH(without_guard_words),
			     "what stands in for the guard");

	if (word >= 0)
		*mode = word;
}

static const struct key keys[] = {
	{"weir", read_version, 0, true},
	{"uplinks", read_uplinks, offsetof(struct host_config, uplinks), false},
	{"groups", read_groups, offsetof(struct host_config, groups), false},
	{"sinks", read_sinks, offsetof(struct host_config, sink), false},
	{"without_guard", read_without_guard, offsetof(struct host_config, without_guard), false},
};

int host_config_read(const struct sources *sources, struct host_config *config,
		     struct faults *faults)
{
	struct tree tree = {0};
	struct reader reader = {.tree = &tree, .faults = faults};
	size_t errors = faults->errors;
	int r = tree_read(sources, 0, NULL, &tree, faults);

	if (r < 0)
		return r;
	config->is_there = true;
	read_keys(&reader, &tree.node[0], keys, LENGTH(keys), config, "the host's configuration");
	tree_free(&tree);
	if (reader.error)
		return reader.error;
	return faults->errors > errors ? -EBADMSG : 0;
}

int host_config_load(const char *path, struct host_config *config, struct sources *sources,
		     struct faults *faults)
{
	int r = sources_load(path, sources, faults);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : host_config_read(sources, config, faults);
}

static void names_free_all(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->item[i].text);
	free(names->item);
}

void host_config_free(struct host_config *config)
{
	names_free_all(&config->uplinks);
	names_free_all(&config->groups);
	*config = (struct host_config){0};
}
