/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * retire.c - emptying the tries of a policy that no packet uses any more.
 *
 * The kernel frees a trie in one go (kernel/bpf/lpm_trie.c, trie_free()), which can stall a CPU for
 * seconds when it holds millions of entries. So its entries are deleted first, some at a time, in a
 * thread that nobody waits for. Only the tries are worth it; other tables are freed at once.
 */
#include "user/kernel/internal.h"

#include <errno.h>
#include <fcntl.h>

#define STEP 1024u /* entries at a time */

enum { EMPTIED = -2 }; /* in the place of a descriptor: this process has emptied it */

static const enum guard_map trie_maps[TRIES] = {MAP_PREFIXES4, MAP_PREFIXES6};

void retire_keep(struct guard *guard, const struct tables *tables, uint32_t slot)
{
	for (size_t i = 0; i < TRIES; i++) {
		cleanup_close(&guard->trie_fd[slot][i]);
		guard->trie_fd[slot][i] = fcntl(tables->fd[trie_maps[i]], F_DUPFD_CLOEXEC, 3);
	}
}

static bool has_id(int fd, uint32_t id)
{
	struct bpf_map_info info = {};
	uint32_t length = sizeof(info);

	return fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &length) && info.id == id;
}

/* What is kept is not what the slot holds when another process has filled it since. */
static int trie_open(struct guard *guard, uint32_t slot, size_t which)
{
	int outer_fd = guard->map_fd[trie_maps[which]], *kept = &guard->trie_fd[slot][which], fd;
	uint32_t id;

	if (outer_fd < 0 || *kept == EMPTIED || bpf_map_lookup_elem(outer_fd, &slot, &id))
		return -1;
	fd = has_id(*kept, id) ? *kept : bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return -1;
	if (fd != *kept)
		cleanup_close(kept);
	*kept = EMPTIED;
	return fd;
}

void retire_open(struct guard *guard, uint32_t slot, struct tries *tries)
{
	for (size_t i = 0; i < TRIES; i++) {
		int fd = trie_open(guard, slot, i);

		if (fd >= 0)
			tries->fd[tries->count++] = fd;
	}
}

static void drain_in_batches(int fd)
{
	LIBBPF_OPTS(bpf_map_batch_opts, options);
	_cleanup_free_ struct weir_prefix6 *keys = calloc(STEP, sizeof(*keys));
	_cleanup_free_ uint32_t *values = calloc(STEP, sizeof(*values));
	struct weir_prefix6 next;

	while (keys && values) {
		uint32_t n = STEP;

		if (bpf_map_lookup_batch(fd, NULL, &next, keys, values, &n, &options) &&
		    errno != ENOENT)
			return;
		if (!n || bpf_map_delete_batch(fd, keys, &n, &options))
			return;
	}
}

/* What is left where the kernel has no batches for tries. */
static void drain_one_by_one(int fd)
{
	struct weir_prefix6 key; /* the larger of the two */

	while (!bpf_map_get_next_key(fd, NULL, &key))
		if (bpf_map_delete_elem(fd, &key))
			return;
}

void retire_drain(const struct tries *tries)
{
	for (size_t i = 0; i < tries->count; i++) {
		drain_in_batches(tries->fd[i]);
		drain_one_by_one(tries->fd[i]);
		close(tries->fd[i]);
	}
}

static void *drain(void *data)
{
	retire_drain(data);
	free(data);
	return NULL;
}

void retire_begin(struct guard *guard, const struct tries *tries)
{
	struct tries *work = malloc(sizeof(*work));

	task_join(&guard->drain);
	if (work) {
		*work = *tries;
		if (!pthread_create(&guard->drain.thread, NULL, drain, work)) {
			guard->drain.is_running = true;
			return;
		}
		free(work);
	}
	retire_drain(tries);
}

void retire_end(struct guard *guard)
{
	struct tries tries = {.count = 0};

	task_join(&guard->drain);
	for (uint32_t slot = 0; slot < WEIR_POLICY_SLOTS; slot++) {
		if (guard->is_off)
			retire_open(guard, slot, &tries);
	}
	retire_drain(&tries);
	for (uint32_t slot = 0; slot < WEIR_POLICY_SLOTS; slot++) {
		for (size_t i = 0; i < TRIES; i++)
			cleanup_close(&guard->trie_fd[slot][i]);
	}
}
