/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * config.h - /etc/weir/fleet.yaml: the brokers, and who is in the fleet. See weir-fleet(5).
 *
 *	weir: 1
 *	host: hub-1				of an agent: the name of this host
 *	key: /etc/weir/fleet/host.pem		and the key that signs what it says
 *	brokers:
 *	  - {host: a.example, port: 8883, ca: /..., cert: /..., key: /...}
 *	  - {host: b.example, ca: /..., cert: /..., key: /...}
 *	hosts:					of who pushes: all hosts, with their keys
 *	  - {name: hub-1, groups: [berlin], key: ssh-ed25519 AAAA...}
 *	late: 5m				after which a host counts as late
 */
#ifndef WEIR_FLEET_CONFIG_H
#define WEIR_FLEET_CONFIG_H

#include "user/base/table.h"
#include "user/order/ssh_key.h"
#include "user/policy/policy.h"

#define FLEET_CONFIG_PATH "/etc/weir/fleet.yaml"

enum {
	FLEET_BROKERS = 2, /* at most: of more than two nobody would know which to believe */
	FLEET_HOSTS = 100000,
	FLEET_NAME = 48, /* bytes of a host's name, a group's: NAME_BYTES of the policy */
};

struct fleet_broker {
	char *label; /* HOST:PORT, as messages name it */
	char *host;  /* a name of DNS or an address; its certificate has to name it */
	uint16_t port;
	char *ca, *cert, *key; /* PEM files */
	struct position at;
};

/* A host as those who push know it. */
struct fleet_host {
	struct name name;
	struct names groups;
	char *key_text;
	uint8_t *blob; /* what `key` points into */
	struct ssh_key key;
};

struct fleet_config {
	struct name host; /* .text NULL: this is no host of the fleet */
	char *key;	  /* PEM file of its Ed25519 key */
	struct fleet_broker broker[FLEET_BROKERS];
	size_t brokers;
	struct fleet_host *item;
	size_t hosts;
	struct table by_name; /* -> index in `item` */
	uint64_t late_ns;
};

/*
 * Reads the file. 0, perhaps with warnings in `faults`; -EBADMSG with faults, which need `sources`
 * to be printed; -errno. All three are to be freed in each case; start from all zero.
 */
int fleet_config_load(const char *path, struct fleet_config *config, struct sources *sources,
		      struct faults *faults);
/* The same from a text that is there. */
int fleet_config_read(const struct sources *sources, struct fleet_config *config,
		      struct faults *faults);
void fleet_config_free(struct fleet_config *config);

/* The host of this name, or NULL. */
const struct fleet_host *fleet_find_host(const struct fleet_config *config, const char *name);

/* Whether an order for these groups is for a host of those; for no group: for all hosts. */
bool fleet_is_for(const char *const *groups, size_t count, const struct fleet_host *host);

#endif
