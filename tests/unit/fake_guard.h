/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fake_guard.h - user/kernel/guard.h without a kernel, for tests of what stands above it: it keeps
 * what it was told, in the order in which it was told. Defining these functions in the test keeps
 * the linker from taking the real ones out of libweir.a.
 */
#ifndef WEIR_FAKE_GUARD_H
#define WEIR_FAKE_GUARD_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/kernel/guard.h"

/* How many accounts it has room for; a test may want more. */
#ifndef FAKE_METERS
#define FAKE_METERS 8
#endif

struct guard {
	struct weir_control control;
	struct weir_policy_head head;
	struct weir_order orders[WEIR_MAX_ORDERS];
	size_t order_count;
	struct weir_cut_entry cuts[WEIR_CUT_ENTRIES];
	size_t cut_count;
	struct weir_meter meters[FAKE_METERS];
	uint64_t meter_keys[FAKE_METERS];
	size_t meter_count;
	uint32_t charges;
	struct weir_meter last_stranger;
	size_t strangers_put;
	struct weir_forgive forgiven;
	int locked;
	char calls[4096]; /* "set_cuts set_orders sever ..." */
	int fail_set_cuts, fail_apply, fail_meters, fail_clear, fail_sever,
		fail_set_orders; /* -errno to give */
	struct sever_result sever;
	struct weir_session sessions[4];
	size_t session_count;
	int fail_sessions;
	bool is_pinned;
};

static struct guard fake;

static void fake_note(const char *call)
{
	size_t used = strlen(fake.calls);

	snprintf(fake.calls + used, sizeof(fake.calls) - used, "%s%s", used ? " " : "", call);
}

static void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.control.active = weir_active(1, 0, 0);
	fake.is_pinned = true;
}

static void fake_raise(void)
{
	fake.control.active += UINT64_C(1) << 32;
}

int guard_open(const char *instance, struct guard **ret, char **problem)
{
	(void)instance;
	(void)problem;
	*ret = &fake;
	return 0;
}

int guard_take_off(struct guard *guard, char **problem)
{
	(void)guard;
	(void)problem;
	fake_note("unload");
	fake.is_pinned = false;
	return 0;
}

bool guard_is_pinned(const char *instance)
{
	(void)instance;
	return fake.is_pinned;
}

void guard_close(struct guard *guard)
{
	(void)guard;
}

int guard_lock(struct guard *guard)
{
	guard->locked++;
	return 0;
}

int guard_lock_told(struct guard *guard, char **problem)
{
	(void)problem;
	return guard_lock(guard);
}

void guard_unlock(struct guard *guard)
{
	guard->locked--;
}

int guard_apply(struct guard *guard, const struct image *image, const struct order_table *cuts,
		char **problem)
{
	(void)problem;
	fake_note("apply");
	if (guard->fail_apply) {
		*problem = strdup("the fake refuses");
		return guard->fail_apply;
	}
	guard->head = image->head;
	guard->cut_count = cuts->count;
	fake_raise();
	return 0;
}

int guard_set_cuts(struct guard *guard, const struct order_table *cuts)
{
	fake_note("set_cuts");
	if (guard->fail_set_cuts)
		return guard->fail_set_cuts;
	guard->cut_count = cuts->count;
	if (cuts->count)
		memcpy(guard->cuts, cuts->entry, cuts->count * sizeof(*cuts->entry));
	fake_raise();
	return 0;
}

int guard_stage_cuts(struct guard *guard, const struct order_table *cuts, uint32_t *slot)
{
	(void)guard;
	(void)cuts;
	fake_note("stage_cuts");
	*slot = 2;
	return 0;
}

int guard_set_clock(struct guard *guard, int64_t wall_offset_ns, bool hours_closed)
{
	fake_note("set_clock");
	guard->control.wall_offset_ns = wall_offset_ns;
	guard->control.hours_closed = hours_closed;
	fake_raise();
	return 0;
}

int guard_clear_latch(struct guard *guard, uint64_t account)
{
	fake_note("clear_latch");
	if (guard->fail_clear)
		return guard->fail_clear;
	for (size_t i = 0; i < guard->meter_count; i++) {
		if (guard->meter_keys[i] == account && guard->meters[i].severed_ns) {
			guard->meters[i].severed_ns = 0;
			return 0;
		}
	}
	return -ENOENT;
}

int guard_clear_strangers(struct guard *guard, uint64_t service_key)
{
	int r = -ENOENT;

	fake_note("clear_strangers");
	if (guard->fail_clear)
		return guard->fail_clear;
	for (size_t i = 0; i < guard->meter_count; i++) {
		struct weir_meter *meter = &guard->meters[i];

		if (guard->meter_keys[i] == WEIR_KEY_PEER && meter->service_key == service_key &&
		    meter->severed_ns) {
			meter->severed_ns = 0;
			r = 0;
		}
	}
	return r;
}

int guard_orders(struct guard *guard, struct weir_order **ret, size_t *count)
{
	*ret = malloc(sizeof(guard->orders));
	memcpy(*ret, guard->orders, sizeof(guard->orders));
	*count = guard->order_count;
	return 0;
}

int guard_set_orders(struct guard *guard, const struct weir_order *orders, size_t count)
{
	fake_note("set_orders");
	if (guard->fail_set_orders)
		return guard->fail_set_orders;
	if (count)
		memcpy(guard->orders, orders, count * sizeof(*orders));
	guard->order_count = count;
	return 0;
}

int guard_sever(struct guard *guard, const struct weir_sever_request *request, bool dry_run,
		void (*each)(const struct weir_selected *selected, void *data), void *data,
		struct sever_result *result, char **problem)
{
	struct weir_selected selected = {.service = 3, .partner = 1, .local_port = 22};

	(void)request;
	fake_note(dry_run ? "look" : "sever");
	if (each)
		each(&selected, data);
	*result = guard->sever;
	if (guard->fail_sever)
		*problem = strdup("the fake severs nothing");
	return guard->fail_sever;
}

int guard_sessions(struct guard *guard,
		   void (*each)(const struct weir_session *session, void *data), void *data,
		   struct guard_reach *reach, char **problem)
{
	*reach = guard->sever.reach;
	for (size_t i = 0; i < guard->session_count; i++)
		each(&guard->sessions[i], data);
	if (guard->fail_sessions)
		*problem = strdup("the fake lists nothing more");
	return guard->fail_sessions;
}

int guard_reach(struct guard *guard, struct guard_reach *reach)
{
	*reach = guard->sever.reach;
	return 0;
}

struct weir_control guard_control(const struct guard *guard)
{
	return guard->control;
}

int guard_policy_head(struct guard *guard, struct weir_policy_head *head)
{
	*head = guard->head;
	return 0;
}

int guard_losses(struct guard *guard, uint64_t losses[WEIR_LOSSES])
{
	(void)guard;
	memset(losses, 0, WEIR_LOSSES * sizeof(*losses));
	return 0;
}

int guard_meters(struct guard *guard,
		 int (*each)(uint64_t key, const struct weir_meter *meter, void *data), void *data)
{
	int r = guard->fail_meters;

	for (size_t i = 0; i < guard->meter_count && r == 0; i++)
		r = each(guard->meter_keys[i], &guard->meters[i], data);
	return r;
}

int guard_accounts(struct guard *guard,
		   int (*each)(uint64_t key, const struct weir_meter *meter, void *data),
		   void *data)
{
	int r = 0;

	for (size_t i = 0; i < guard->meter_count && r == 0; i++)
		if (guard->meter_keys[i] != WEIR_KEY_PEER)
			r = each(guard->meter_keys[i], &guard->meters[i], data);
	return r;
}

/* A peer's meter stands in the slot of its place. */
int guard_strangers(struct guard *guard,
		    int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
		    void *data)
{
	int r = 0;

	for (size_t i = 0; i < guard->meter_count && r == 0; i++)
		if (guard->meter_keys[i] == WEIR_KEY_PEER)
			r = each(i, &guard->meters[i], data);
	return r;
}

int guard_strangers_since(struct guard *guard, uint64_t since_ns,
			  int (*each)(uint32_t slot, const struct weir_meter *meter, void *data),
			  void *data)
{
	(void)since_ns;
	return guard_strangers(guard, each, data);
}

int guard_charges(struct guard *guard, uint32_t *charges)
{
	*charges = guard->charges;
	return 0;
}

int guard_stranger(struct guard *guard, uint32_t slot, struct weir_meter *meter)
{
	if (slot >= guard->meter_count)
		return -ENOENT;
	*meter = guard->meters[slot];
	return 0;
}

static int fake_put(struct guard *guard, size_t i, uint64_t key, const struct weir_meter *meter)
{
	if (i >= sizeof(guard->meters) / sizeof(guard->meters[0]))
		return -E2BIG;
	guard->meter_keys[i] = key;
	guard->meters[i] = *meter;
	if (i >= guard->meter_count)
		guard->meter_count = i + 1;
	return 0;
}

int guard_put_meter(struct guard *guard, uint64_t key, const struct weir_meter *meter)
{
	return fake_put(guard, guard->meter_count, key, meter);
}

/* Slots are many, and only counted. */
int guard_put_stranger(struct guard *guard, uint32_t slot, const struct weir_meter *meter)
{
	(void)slot;
	guard->last_stranger = *meter;
	guard->strangers_put++;
	return 0;
}

const char *guard_former_loss(const struct guard *guard)
{
	(void)guard;
	return NULL;
}

int guard_forgive(struct guard *guard, struct weir_forgive *request, char **problem)
{
	(void)problem;
	fake_note("forgive");
	guard->forgiven = *request;
	request->forgiven_bytes = request->part[0].bytes;
	return 0;
}

int guard_meter(struct guard *guard, uint64_t key, struct weir_meter *meter)
{
	for (size_t i = 0; i < guard->meter_count; i++) {
		if (guard->meter_keys[i] == key) {
			*meter = guard->meters[i];
			return 0;
		}
	}
	return -ENOENT;
}

int guard_peer_meter(struct guard *guard, uint64_t service_key, bool serves, const uint8_t peer[16],
		     struct weir_meter *meter)
{
	(void)service_key;
	(void)serves;
	(void)peer;
	return guard_meter(guard, WEIR_KEY_PEER, meter);
}

int guard_cgroups(struct guard *guard, struct guard_cgroup **ret, size_t *count)
{
	(void)guard;
	*ret = NULL;
	*count = 0;
	return 0;
}

int guard_hooks(struct guard *guard, struct guard_hook **ret, size_t *count)
{
	(void)guard;
	*ret = NULL;
	*count = 0;
	return 0;
}

int guard_inspect(struct guard *guard, struct guard_finding **ret, size_t *count)
{
	*ret = NULL;
	*count = 0;
	return guard->is_pinned ? 0 : -ENOENT;
}

const char *guard_cgroup_path(const struct guard *guard)
{
	(void)guard;
	return "/sys/fs/cgroup";
}

int cgroup_mount_point(char **path)
{
	*path = strdup("/sys/fs/cgroup");
	return 0;
}

#endif
