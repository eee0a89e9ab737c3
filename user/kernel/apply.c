/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * apply.c - an image becomes a policy slot: fresh inner maps, then the slot, then one switch.
 *
 * The inner maps are filled before anybody can see them and before the lock is taken. A slot that
 * is not active is quiet while the lock is ours (lock.c), so its head may be written in place.
 */
#include "user/kernel/internal.h"

#include <errno.h>

#include "user/base/address.h"

#define CHUNK 16384u /* entries that are converted at once */

static int inner_create(enum guard_map map, size_t count, int *fd)
{
	const struct map_layout *layout = &map_layouts[map];
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = layout->flags);
	uint32_t entries = count ? count : 1;

	*fd = bpf_map_create(layout->type, layout->name, layout->key_size, layout->value_size,
			     entries, &options);
	return *fd < 0 ? -errno : 0;
}

static int array_build(struct tables *tables, enum guard_map map, const void *values, size_t count)
{
	int err = inner_create(map, count, &tables->fd[map]);

	return err ? err
		   : map_fill_array(tables->fd[map], 0, values, map_layouts[map].value_size, count);
}

/*
 * Keys and values of a hash or a trie, made from the image in chunks. `convert` writes item
 * `index`, or says false when it does not belong into this map.
 */
struct source_table {
	enum guard_map map;
	const struct image *image;
	size_t count;
	bool (*convert)(const struct source_table *table, size_t index, void *key, void *value);
};

static size_t table_members(const struct source_table *table)
{
	char key[sizeof(struct weir_path_key)], value[16];
	size_t members = 0;

	for (size_t i = 0; i < table->count; i++)
		members += table->convert(table, i, key, value);
	return members;
}

static int table_fill(const struct source_table *table, int fd, char *keys, char *values)
{
	const struct map_layout *layout = &map_layouts[table->map];
	size_t n = 0;
	int err = 0;

	for (size_t i = 0; !err && i < table->count; i++) {
		n += table->convert(table, i, keys + n * layout->key_size,
				    values + n * layout->value_size);
		if (n < CHUNK && i + 1 < table->count)
			continue;
		err = map_fill(fd, keys, layout->key_size, values, layout->value_size, n);
		n = 0;
	}
	return err;
}

static int table_build(struct tables *tables, const struct source_table *table)
{
	const struct map_layout *layout = &map_layouts[table->map];
	_cleanup_free_ char *keys = calloc(CHUNK, layout->key_size);
	_cleanup_free_ char *values = calloc(CHUNK, layout->value_size);
	int err;

	if (!keys || !values)
		return -ENOMEM;
	err = inner_create(table->map, table_members(table), &tables->fd[table->map]);
	return err ? err : table_fill(table, tables->fd[table->map], keys, values);
}

/* ::/0 is an IPv6 prefix, though IPv4's mapped form lies in it. */
static bool is_prefix4(const uint8_t address[16], uint8_t bits)
{
	return bits >= 96 && address_is_v4(address);
}

static bool prefix_key4(const uint8_t address[16], uint8_t bits, struct weir_prefix4 *key)
{
	if (!is_prefix4(address, bits))
		return false;
	key->prefixlen = bits - 96;
	memcpy(key->address, address + 12, sizeof(key->address));
	return true;
}

static bool prefix_key6(const uint8_t address[16], uint8_t bits, struct weir_prefix6 *key)
{
	if (is_prefix4(address, bits))
		return false;
	key->prefixlen = bits;
	memcpy(key->address, address, sizeof(key->address));
	return true;
}

static bool convert_prefix(const struct source_table *table, size_t index, void *key, void *value)
{
	const struct image_prefix *prefix = &table->image->prefixes[index];

	memcpy(value, &prefix->partner, sizeof(prefix->partner));
	return table->map == MAP_PREFIXES4 ? prefix_key4(prefix->address, prefix->bits, key)
					   : prefix_key6(prefix->address, prefix->bits, key);
}

static bool convert_lifeline(const struct source_table *table, size_t index, void *key, void *value)
{
	const struct image_lifeline_prefix *prefix = &table->image->lifeline_prefixes[index];

	memcpy(value, &prefix->rules, sizeof(prefix->rules));
	return table->map == MAP_LIFELINE4 ? prefix_key4(prefix->address, prefix->bits, key)
					   : prefix_key6(prefix->address, prefix->bits, key);
}

static bool convert_step(const struct source_table *table, size_t index, void *key, void *value)
{
	const struct image_step *step = &table->image->steps[index];

	memcpy(key, &step->key, sizeof(step->key));
	memcpy(value, &step->step, sizeof(step->step));
	return true;
}

static bool convert_pair(const struct source_table *table, size_t index, void *key, void *value)
{
	const struct image_pair *pair = &table->image->pairs[index];

	memcpy(key, &pair->key, sizeof(pair->key));
	memcpy(value, &pair->rules, sizeof(pair->rules));
	return true;
}

static int arrays_build(const struct image *image, struct tables *tables)
{
	const struct {
		enum guard_map map;
		const void *values;
		size_t count;
	} array[] = {
		{MAP_SERVICES, image->services, image->head.services},
		{MAP_PARTNERS, image->partners, image->head.partners},
		{MAP_GRANTS, image->grants, image->head.grants},
		{MAP_RULES, image->rules, image->head.rules},
		{MAP_HOURS, image->hours, image->head.hours},
		{MAP_LIFELINES, image->lifeline_rules, image->head.lifeline_rules},
	};
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(array) / sizeof(*array); i++)
		err = array_build(tables, array[i].map, array[i].values, array[i].count);
	return err;
}

int tables_build(const struct image *image, struct tables *tables, char **problem)
{
	const struct source_table table[] = {
		{MAP_PREFIXES4, image, image->prefix_count, convert_prefix},
		{MAP_PREFIXES6, image, image->prefix_count, convert_prefix},
		{MAP_LIFELINE4, image, image->lifeline_prefix_count, convert_lifeline},
		{MAP_LIFELINE6, image, image->lifeline_prefix_count, convert_lifeline},
		{MAP_PATHS, image, image->step_count, convert_step},
		{MAP_PAIRS, image, image->pair_count, convert_pair},
	};
	int err;

	for (size_t i = 0; i < MAPS_SLOTTED; i++)
		tables->fd[i] = -1;
	err = arrays_build(image, tables);
	for (size_t i = 0; !err && i < sizeof(table) / sizeof(*table); i++)
		err = table_build(tables, &table[i]);
	if (!err)
		return 0;
	tables_close(tables);
	return problem_set(problem, err, "cannot fill the policy's tables: %s", strerror(-err));
}

void tables_close(struct tables *tables)
{
	for (size_t i = 0; i < MAPS_SLOTTED; i++) {
		if (tables->fd[i] > 0)
			close(tables->fd[i]);
		tables->fd[i] = -1;
	}
}

/* Each update of an outer map waits for a grace period. In threads they wait for the same one. */
struct installation {
	pthread_t thread;
	bool has_thread;
	int outer_fd, inner_fd, err;
	uint32_t slot;
};

static void *install(void *data)
{
	struct installation *work = data;

	work->err = bpf_map_update_elem(work->outer_fd, &work->slot, &work->inner_fd, BPF_ANY)
			    ? -errno
			    : 0;
	return NULL;
}

int tables_install(struct guard *guard, const struct tables *tables,
		   const struct weir_policy_head *head, uint32_t slot, char **problem)
{
	struct installation work[MAPS_SLOTTED];
	int err = 0;

	for (size_t i = 0; i < MAPS_SLOTTED; i++) {
		work[i] = (struct installation){
			.outer_fd = guard->map_fd[i], .inner_fd = tables->fd[i], .slot = slot};
		work[i].has_thread = !pthread_create(&work[i].thread, NULL, install, &work[i]);
		if (!work[i].has_thread)
			install(&work[i]);
	}
	for (size_t i = 0; i < MAPS_SLOTTED; i++) {
		if (work[i].has_thread)
			pthread_join(work[i].thread, NULL);
		if (work[i].err && !err)
			err = problem_set(problem, work[i].err, "cannot install the table %s: %s",
					  map_layouts[i].name, strerror(-work[i].err));
	}
	if (!err && bpf_map_update_elem(guard->map_fd[MAP_POLICY_HEADS], &slot, head, BPF_ANY))
		err = -errno;
	retire_keep(guard, tables, slot); /* also what is installed in part */
	return err;
}

void commit(struct guard *guard, uint32_t policy_slot, uint32_t cut_slot)
{
	uint32_t generation = weir_generation(guard->control->active) + 1;

	/* 0 is what zeroed storage holds: it must never be a generation */
	__atomic_store_n(&guard->control->active,
			 weir_active(generation ?: 1, policy_slot, cut_slot), __ATOMIC_SEQ_CST);
}

static int apply_locked(struct guard *guard, const struct tables *tables,
			const struct weir_policy_head *head, const struct order_table *cuts,
			char **problem)
{
	uint64_t active = guard->control->active;
	uint32_t slot = (weir_policy_slot(active) + 1) % WEIR_POLICY_SLOTS;
	uint32_t cut_slot = (weir_cut_slot(active) + 1) % WEIR_CUT_SLOTS;
	struct tries tries = {.count = 0};
	int err;

	err = cuts_fill(guard, cuts, cut_slot);
	if (err)
		return problem_set(problem, err, "cannot fill the cuts: %s", strerror(-err));
	retire_open(guard, slot, &tries); /* of a process that ended before they were empty */
	err = tables_install(guard, tables, head, slot, problem);
	if (!err) {
		commit(guard, slot, cut_slot);
		if (!grace_wait(guard)) /* else its forerunner stays as it is */
			retire_open(guard, weir_policy_slot(active), &tries);
	}
	retire_begin(guard, &tries);
	return err;
}

int guard_apply(struct guard *guard, const struct image *image, const struct order_table *cuts,
		char **problem)
{
	_cleanup_tables_ struct tables tables = {};
	int err = tables_build(image, &tables, problem);

	if (err)
		return err;
	err = lock_quiet(guard);
	if (err)
		return lock_problem(guard, err, problem);
	err = apply_locked(guard, &tables, &image->head, cuts, problem);
	guard_unlock(guard);
	return err;
}
