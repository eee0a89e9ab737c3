/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* config.c - reads /etc/weir/fleet.yaml, with the policy's reader and its faults. */
#include "user/fleet/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/table.h"
#include "user/base/units.h"
#include "user/order/base64.h"
#include "user/policy/read.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

enum { DEFAULT_PORT = 8883 }; /* secure-mqtt: IANA */

static const uint64_t default_late_ns = 5 * NS_PER_MINUTE;
static const uint64_t longest_late_ns = 30 * NS_PER_DAY;

/* The first value of a field stands; the second is a fault of read_keys(). */
static void take_text(struct reader *reader, const char *text, char **field)
{
	free(*field);
	*field = strdup(text);
	if (!*field)
		reader->error = -ENOMEM;
}

/* Where the program is started from says nothing: it is started by a service manager. */
static void read_path(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);

	if (text && text[0] != '/')
		read_fault(reader, value, "\"%.100s\" is no absolute path", text);
	else if (text)
		take_text(reader, text, field);
}

/* ---- brokers -------------------------------------------------------------------------------- */

static void read_server(struct reader *reader, const struct node *value, void *field)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-.:";
	const char *text = read_text(reader, value);

	if (!text)
		return;
	if (strspn(text, alphabet) != strlen(text) || strlen(text) > 253)
		read_fault(reader, value, "\"%.60s\" is neither a name of DNS nor an address",
			   text);
	else
		take_text(reader, text, field);
}

static void read_port(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	uint16_t *port = field;
	char *end;
	unsigned long number;

	if (!text)
		return;
	number = strtoul(text, &end, 10);
	if (*end || text[0] < '0' || text[0] > '9' || number < 1 || number > 65535)
		read_fault(reader, value, "\"%.20s\" is no port: 1 to 65535", text);
	else
		*port = number;
}

static const struct key broker_keys[] = {
	{"host", read_server, offsetof(struct fleet_broker, host), true},
	{"port", read_port, offsetof(struct fleet_broker, port), false},
	{"ca", read_path, offsetof(struct fleet_broker, ca), true},
	{"cert", read_path, offsetof(struct fleet_broker, cert), true},
	{"key", read_path, offsetof(struct fleet_broker, key), true},
};

static void label(struct reader *reader, struct fleet_broker *broker)
{
	if (broker->host &&
	    asprintf(&broker->label, strchr(broker->host, ':') ? "[%s]:%u" : "%s:%u", broker->host,
		     broker->port) < 0) {
		broker->label = NULL;
		reader->error = -ENOMEM;
	}
}

static void read_broker(struct reader *reader, const struct node *value, void *field)
{
	struct fleet_config *config = field;
	struct fleet_broker *broker = &config->broker[config->brokers];

	if (config->brokers == FLEET_BROKERS) {
		read_fault(reader, value, "there are two brokers at most");
		return;
	}
	*broker = (struct fleet_broker){.port = DEFAULT_PORT,
					.at = node_position(reader->tree, value)};
	read_keys(reader, value, broker_keys, LENGTH(broker_keys), broker, "a broker");
	label(reader, broker);
	config->brokers++;
}

static void read_brokers(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_broker);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static void read_group(struct reader *reader, const struct node *value, void *field)
{
	struct names *names = field;
	struct name name = {0}, *added;

	if (!read_new_name(reader, value, &name))
		return;
	added = ARRAY_ADD(names->item, names->count);
	if (!added) {
		free(name.text);
		reader->error = -ENOMEM;
		return;
	}
	*added = name;
	names->count++;
}

static void read_groups(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_group);
}

/* "ssh-ed25519 AAAA...", as in a .pub file; what stands behind is a comment. */
static void read_host_key(struct reader *reader, const struct node *value, void *field)
{
	static const char type[] = "ssh-ed25519 ";
	const char *text = read_text(reader, value), *base64, *why = "";
	struct fleet_host *host = field;
	size_t length;

	if (!text)
		return;
	if (strncmp(text, type, strlen(type)) != 0) {
		read_fault(reader, value, "a host's key begins with \"ssh-ed25519 \"");
		return;
	}
	base64 = text + strlen(type);
	length = strcspn(base64, " ");
	free(host->blob);
	host->blob = malloc(BASE64_DATA(length));
	if (!host->blob)
		reader->error = -ENOMEM;
	else if (ssh_key_read_words(type, strlen(type) - 1, base64, length, host->blob, &host->key,
				    &why) < 0)
		read_fault(reader, value, "%s", why);
	else
		take_text(reader, text, &host->key_text);
}

static const struct key host_keys[] = {
	{"name", read_name, offsetof(struct fleet_host, name), true},
	{"groups", read_groups, offsetof(struct fleet_host, groups), false},
	{"key", read_host_key, 0, true},
};

static void host_free(struct fleet_host *host)
{
	free(host->name.text);
	for (size_t i = 0; i < host->groups.count; i++)
		free(host->groups.item[i].text);
	free(host->groups.item);
	free(host->key_text);
	free(host->blob);
}

static void read_host(struct reader *reader, const struct node *value, void *field)
{
	struct fleet_config *config = field;
	struct fleet_host *host;

	if (config->hosts == FLEET_HOSTS) {
		read_fault(reader, value, "there are %d hosts at most", FLEET_HOSTS);
		return;
	}
	host = ARRAY_ADD(config->item, config->hosts);
	if (!host) {
		reader->error = -ENOMEM;
		return;
	}
	read_keys(reader, value, host_keys, LENGTH(host_keys), host, "a host");
	config->hosts++;
}

static void read_hosts(struct reader *reader, const struct node *value, void *field)
{
	read_each(reader, value, field, read_host);
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void read_late(struct reader *reader, const struct node *value, void *field)
{
	const char *text = read_text(reader, value);
	uint64_t *late_ns = field, ns;

	if (!text)
		return;
	if (span_parse(text, &ns) < 0 || ns == 0 || ns > longest_late_ns)
		read_fault(reader, value, "\"%.20s\" is no span of time up to 30d: \"5m\"", text);
	else
		*late_ns = ns;
}

static const struct key keys[] = {
	{"weir", read_version, 0, true},
	{"host", read_name, offsetof(struct fleet_config, host), false},
	{"key", read_path, offsetof(struct fleet_config, key), false},
	{"brokers", read_brokers, 0, true},
	{"hosts", read_hosts, 0, false},
	{"late", read_late, offsetof(struct fleet_config, late_ns), false},
};

static void check_brokers(const struct fleet_config *config, struct faults *faults)
{
	const struct fleet_broker *a = &config->broker[0], *b = &config->broker[1];

	if (config->brokers == 1)
		faults_add(faults, SEVERITY_WARNING, a->at,
			   "one broker alone: while it is down no order comes, nor while it lies");
	else if (config->brokers == 2 && a->label && b->label && strcmp(a->label, b->label) == 0)
		faults_add_pair(faults, SEVERITY_ERROR, b->at, a->at, "this broker stands twice");
}

/* Two hosts of one key could acknowledge for each other. */
static int check_hosts(struct fleet_config *config, struct faults *faults)
{
	struct table by_key = {0};
	int r = 0;

	for (uint32_t i = 0; i < config->hosts && r == 0; i++) {
		const struct fleet_host *host = &config->item[i];
		uint32_t found = TABLE_NONE;

		if (!host->name.text || !host->key_text)
			continue; /* told */
		r = table_put(&config->by_name, host->name.text, strlen(host->name.text), i,
			      &found);
		if (found != TABLE_NONE)
			faults_add_pair(faults, SEVERITY_ERROR, host->name.at,
					config->item[found].name.at, "host \"%s\" stands twice",
					host->name.text);
		if (r == 0)
			r = table_put(&by_key, host->key.blob.data, host->key.blob.length, i,
				      &found);
		if (r == 0 && found != TABLE_NONE)
			faults_add_pair(
				faults, SEVERITY_ERROR, host->name.at, config->item[found].name.at,
				"the key of host \"%s\" is another host's too", host->name.text);
	}
	table_free(&by_key);
	return r;
}

int fleet_config_read(const struct sources *sources, struct fleet_config *config,
		      struct faults *faults)
{
	struct tree tree = {0};
	struct reader reader = {.tree = &tree, .faults = faults};
	size_t errors = faults->errors;
	int r = tree_read(sources, 0, NULL, &tree, faults);

	if (r < 0)
		return r;
	config->late_ns = default_late_ns;
	read_keys(&reader, &tree.node[0], keys, LENGTH(keys), config, "the fleet's configuration");
	if (config->host.text && !config->key)
		faults_add(faults, SEVERITY_ERROR, config->host.at,
			   "host \"%s\" has no \"key\" to sign with", config->host.text);
	tree_free(&tree);
	check_brokers(config, faults);
	r = check_hosts(config, faults);
	if (r == 0)
		r = reader.error;
	return r < 0 ? r : faults->errors > errors ? -EBADMSG : 0;
}

int fleet_config_load(const char *path, struct fleet_config *config, struct sources *sources,
		      struct faults *faults)
{
	int r = sources_load(path, sources, faults);

	return r < 0 ? r : fleet_config_read(sources, config, faults);
}

void fleet_config_free(struct fleet_config *config)
{
	for (size_t i = 0; i < config->brokers; i++) {
		free(config->broker[i].label);
		free(config->broker[i].host);
		free(config->broker[i].ca);
		free(config->broker[i].cert);
		free(config->broker[i].key);
	}
	for (size_t i = 0; i < config->hosts; i++)
		host_free(&config->item[i]);
	free(config->item);
	table_free(&config->by_name);
	free(config->host.text);
	free(config->key);
	*config = (struct fleet_config){0};
}

const struct fleet_host *fleet_find_host(const struct fleet_config *config, const char *name)
{
	uint32_t found = table_get(&config->by_name, name, strlen(name));

	return found == TABLE_NONE ? NULL : &config->item[found];
}

bool fleet_is_for(const char *const *groups, size_t count, const struct fleet_host *host)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < host->groups.count; j++) {
			if (strcmp(groups[i], host->groups.item[j].text) == 0)
				return true;
		}
	}
	return count == 0;
}
