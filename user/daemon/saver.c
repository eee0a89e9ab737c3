/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * saver.c - one save: what changed in the meters since the last one, onto the disk.
 */
#include "user/daemon/saver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/host.h"

enum { LEAST_JOURNAL = 1 << 20 };

/*
 * What is lost with the power is what left since the last save that is whole began to read: the
 * time that it took, the wait, and the time that the next one takes. A head says the uplinks' speed
 * while all of that was at most half of METERS_UNSAVED_SECONDS in each save of the last minute.
 */
static const uint64_t LONGEST_LAG_NS = METERS_UNSAVED_SECONDS * NS_PER_SECOND / 2;
static const uint64_t SLOW_FOR_NS = 60 * NS_PER_SECOND;

/* Account -> what it looked like when it was saved last; open addressing, 0 is no account's key. */
struct stamps {
	uint64_t (*item)[2];
	size_t size, count;
};

struct saver {
	struct saver_options options;
	struct stamps accounts;
	uint64_t *slots;	 /* stamps of the strangers' slots */
	uint64_t *slot_latches;	 /* stamps of their latches; 0: none */
	uint64_t slots_latched;	 /* sum of these */
	uint64_t latches;	 /* stamp of all latches, as the file of latches has them */
	uint64_t began_ns;	 /* boot, of the last save */
	uint64_t saved_until_ns; /* boot: what left before it is on the disk */
	uint64_t slow_until_ns;	 /* boot */
	uint32_t charges;	 /* at the last save */
	bool needs_snapshot;
	bool is_unwatched; /* what is on the disk says so */
	bool says_slow;	   /* likewise: the head is without the speed */
	int fd;		   /* of the file, to append */
	size_t snapshot_bytes, journal_bytes;
};

int saver_new(const struct saver_options *options, struct saver **ret)
{
	struct saver *saver = calloc(1, sizeof(*saver));

	if (!saver)
		return -ENOMEM;
	saver->options = *options;
	saver->fd = -1;
	saver->needs_snapshot = true;
	saver->latches = UINT64_MAX; /* not known: written once */
	saver->slots = calloc(WEIR_STRANGER_SLOTS, sizeof(*saver->slots));
	saver->slot_latches = calloc(WEIR_STRANGER_SLOTS, sizeof(*saver->slot_latches));
	if (!saver->slots || !saver->slot_latches) {
		saver_free(saver);
		return -ENOMEM;
	}
	*ret = saver;
	return 0;
}

void saver_free(struct saver *saver)
{
	if (!saver)
		return;
	free(saver->accounts.item);
	free(saver->slots);
	free(saver->slot_latches);
	if (saver->fd >= 0)
		close(saver->fd);
	free(saver);
}

/* ---- what changed --------------------------------------------------------------------------- */

static uint64_t stamp_of(const struct weir_meter *meter)
{
	const uint64_t words[] = {
		meter->sent_bytes[0],	     meter->sent_bytes[1],   meter->sent_packets[0],
		meter->sent_packets[1],	     meter->acked_bytes[0],  meter->acked_bytes[1],
		meter->refused_bytes,	     meter->refused_packets, meter->would_refuse_bytes,
		meter->would_refuse_packets, meter->severed_ns};
	uint64_t stamp = 1;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		stamp = weir_mix(stamp + words[i]);
	for (size_t i = 0; i < WEIR_WINDOWS; i++) {
		stamp = weir_mix(stamp + meter->window[i].window_ns);
		stamp = weir_mix(stamp + meter->window[i].slice_start_ns);
		stamp = weir_mix(stamp + meter->window[i].used_bytes);
	}
	return stamp ?: 1;
}

static uint64_t stamp_of_latch(uint64_t key, uint32_t slot, const struct weir_meter *meter)
{
	return meter->severed_ns ? weir_mix(weir_mix(key + slot) + meter->severed_ns) : 0;
}

static uint64_t *stamp_find(const struct stamps *stamps, uint64_t key)
{
	size_t i = weir_mix(key) & (stamps->size - 1);

	while (stamps->item[i][0] && stamps->item[i][0] != key)
		i = (i + 1) & (stamps->size - 1);
	return stamps->item[i];
}

static int stamps_grow(struct stamps *stamps)
{
	struct stamps larger = {.size = stamps->size ? 2 * stamps->size : 1024};

	larger.item = calloc(larger.size, sizeof(*larger.item));
	if (!larger.item)
		return -ENOMEM;
	for (size_t i = 0; i < stamps->size; i++) {
		if (stamps->item[i][0])
			memcpy(stamp_find(&larger, stamps->item[i][0]), stamps->item[i],
			       sizeof(*stamps->item));
	}
	larger.count = stamps->count;
	free(stamps->item);
	*stamps = larger;
	return 0;
}

/* The account's stamp, made when it has none. NULL: no memory. */
static uint64_t *stamp_at(struct stamps *stamps, uint64_t key)
{
	uint64_t *item;

	if (2 * (stamps->count + 1) > stamps->size && stamps_grow(stamps) < 0)
		return NULL;
	item = stamp_find(stamps, key);
	if (!item[0]) {
		item[0] = key;
		stamps->count++;
	}
	return &item[1];
}

/* ---- collecting ----------------------------------------------------------------------------- */

struct saving {
	struct saver *saver;
	bool is_whole;
	struct meters_group group;
	uint64_t latched; /* stamps of the latches of all accounts, strangers' slots apart */
};

/* One that is just being made has no keys yet: it has charged nothing either. */
static bool is_made(uint64_t key, const struct weir_meter *meter)
{
	return key == weir_meter_key(meter->grant_key, meter->service_key, meter->partner_key);
}

static int save_meter(struct saving *saving, const struct kept_meter *found, uint64_t *stamp)
{
	const struct saver_options *options = &saving->saver->options;
	struct kept_meter kept = *found;
	uint64_t is = stamp_of(&kept.meter);

	if (!saving->is_whole && *stamp == is)
		return 0;
	*stamp = is;
	pthread_mutex_lock(options->mutex);
	assumed_place(options->assumed, &kept);
	pthread_mutex_unlock(options->mutex);
	return meters_group_add(&saving->group, &kept);
}

static int save_account(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct saving *saving = data;
	const struct kept_meter found = {.key = key, .slot = METERS_NO_SLOT, .meter = *meter};
	uint64_t *stamp;

	if (!is_made(key, meter))
		return 0;
	stamp = stamp_at(&saving->saver->accounts, key);
	if (!stamp)
		return -ENOMEM;
	saving->latched += stamp_of_latch(key, METERS_NO_SLOT, meter);
	return save_meter(saving, &found, stamp);
}

static int save_slot(uint32_t slot, const struct weir_meter *meter, void *data)
{
	struct saving *saving = data;
	struct saver *saver = saving->saver;
	const struct kept_meter found = {.key = WEIR_KEY_PEER, .slot = slot, .meter = *meter};
	uint64_t latch = stamp_of_latch(WEIR_KEY_PEER, slot, meter);

	if (slot >= WEIR_STRANGER_SLOTS)
		return 0;
	saver->slots_latched += latch - saver->slot_latches[slot];
	saver->slot_latches[slot] = latch;
	return save_meter(saving, &found, &saver->slots[slot]);
}

static int collect(struct saving *saving, enum save how)
{
	struct saver *saver = saving->saver;
	struct guard *guard = saver->options.guard;
	uint64_t since_ns = saver->began_ns;
	int r = meters_group_begin(&saving->group);

	saver->began_ns = boot_now();
	if (r == 0)
		r = guard_accounts(guard, save_account, saving);
	if (r < 0)
		return r;
	/* an order changes slots that no packet meets */
	return saving->is_whole || how != SAVE_IF_CHARGED
		       ? guard_strangers(guard, save_slot, saving)
		       : guard_strangers_since(guard, since_ns, save_slot, saving);
}

/* How far the disk lagged behind, up to now. */
static void note_lag(struct saver *saver)
{
	uint64_t now = boot_now();

	if (now - saver->saved_until_ns > LONGEST_LAG_NS)
		saver->slow_until_ns = now + SLOW_FOR_NS;
}

static bool is_slow(const struct saver *saver)
{
	return boot_now() < saver->slow_until_ns;
}

static struct meters_head head_now(const struct saver *saver, uint32_t flags)
{
	const struct saver_options *options = &saver->options;
	struct weir_control control = guard_control(options->guard);
	struct meters_head head;

	pthread_mutex_lock(options->mutex);
	head = *options->about;
	if (options->assumed->count) {
		head.why = options->assumed->why;
		head.assumed_since_ns = options->assumed->since_ns;
	}
	pthread_mutex_unlock(options->mutex);
	if (is_slow(saver))
		head.link_bytes_per_s = 0;
	head.flags = flags;
	head.boot_ns = boot_now();
	head.wall_ns = head.boot_ns + control.wall_offset_ns;
	memcpy(head.secret, control.secret, sizeof(head.secret));
	return head;
}

/* ---- writing -------------------------------------------------------------------------------- */

static int write_snapshot(struct saver *saver, const struct meters_group *group)
{
	int r = file_write_atomic(saver->options.path, group->data, group->length, 0640);

	if (saver->fd >= 0)
		close(saver->fd);
	saver->fd = -1;
	if (r < 0)
		return r;
	saver->fd = open(saver->options.path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	saver->snapshot_bytes = group->length;
	saver->journal_bytes = 0;
	return saver->fd < 0 ? -errno : 0;
}

static int append(struct saver *saver, const struct meters_group *group)
{
	int r = file_write_all(saver->fd, group->data, group->length);

	if (r == 0 && fdatasync(saver->fd) < 0)
		r = -errno;
	saver->journal_bytes += group->length;
	return r;
}

/* The head that was written last counts on a disk that turned out to be slow. */
static int say_slow(struct saver *saver, uint32_t flags)
{
	struct meters_head head = head_now(saver, flags);
	struct meters_group group = {0};
	int r = meters_group_begin(&group);

	if (r == 0) {
		meters_group_end(&group, METERS_CHANGES, &head);
		r = append(saver, &group);
	}
	free(group.data);
	saver->says_slow = true;
	return r;
}

/* Also another process may have written the file anew, which this one is not told. */
static bool wants_snapshot(const struct saver *saver)
{
	struct stat is;

	return saver->needs_snapshot || saver->fd < 0 || fstat(saver->fd, &is) < 0 ||
	       is.st_nlink == 0 ||
	       (saver->journal_bytes > LEAST_JOURNAL &&
		saver->journal_bytes > saver->snapshot_bytes);
}

/* ---- latches -------------------------------------------------------------------------------- */

struct latching {
	struct meters_group group;
	uint64_t stamp;
};

static int latch_add(struct latching *latching, const struct kept_meter *kept)
{
	if (!kept->meter.severed_ns)
		return 0;
	latching->stamp += stamp_of_latch(kept->key, kept->slot, &kept->meter);
	return meters_group_add(&latching->group, kept);
}

static int latch_account(uint64_t key, const struct weir_meter *meter, void *data)
{
	const struct kept_meter kept = {.key = key, .slot = METERS_NO_SLOT, .meter = *meter};

	return is_made(key, meter) ? latch_add(data, &kept) : 0;
}

static int latch_slot(uint32_t slot, const struct weir_meter *meter, void *data)
{
	const struct kept_meter kept = {.key = WEIR_KEY_PEER, .slot = slot, .meter = *meter};

	return latch_add(data, &kept);
}

/* The file has all of them each time: it is small, and to be read when the other one is damaged.
 * The copy comes last: while it is older, the file itself is good. */
static int write_latches(struct saver *saver)
{
	struct latching latching = {0};
	struct meters_head head = head_now(saver, 0);
	int r = meters_group_begin(&latching.group);

	if (r == 0)
		r = guard_accounts(saver->options.guard, latch_account, &latching);
	if (r == 0)
		r = guard_strangers(saver->options.guard, latch_slot, &latching);
	if (r == 0) {
		meters_group_end(&latching.group, METERS_SNAPSHOT, &head);
		r = file_write_atomic(saver->options.latches_path, latching.group.data,
				      latching.group.length, 0640);
	}
	if (r == 0)
		r = file_write_atomic(saver->options.latches_copy, latching.group.data,
				      latching.group.length, 0640);
	free(latching.group.data);
	if (r == 0)
		saver->latches = latching.stamp;
	return r;
}

/* ---- one save ------------------------------------------------------------------------------- */

static int save(struct saving *saving, uint32_t flags, enum save how, uint64_t *saved_ns)
{
	struct saver *saver = saving->saver;
	struct meters_head head;
	int r = collect(saving, how);

	if (r < 0)
		return r;
	note_lag(saver);
	saver->says_slow = is_slow(saver);
	head = head_now(saver, flags);
	meters_group_end(&saving->group, saving->is_whole ? METERS_SNAPSHOT : METERS_CHANGES,
			 &head);
	r = saving->is_whole ? write_snapshot(saver, &saving->group)
			     : append(saver, &saving->group);
	if (r == 0 && saving->latched + saver->slots_latched != saver->latches)
		r = write_latches(saver);
	if (r == 0)
		*saved_ns = head.wall_ns;
	return r;
}

static bool is_due(const struct saver *saver, enum save how, uint32_t charges)
{
	return how != SAVE_IF_CHARGED || charges != saver->charges || saver->needs_snapshot ||
	       saver->says_slow != is_slow(saver);
}

/* The count of charges is from before the reading: what comes during it is seen next time. */
int saver_save(struct saver *saver, uint32_t flags, enum save how, uint64_t *saved_ns)
{
	struct saving saving = {.saver = saver};
	uint64_t since = boot_now();
	uint32_t charges;
	int r = guard_charges(saver->options.guard, &charges);

	if (r < 0)
		return r;
	saver->saved_until_ns = saver->saved_until_ns ?: since;
	if (!is_due(saver, how, charges)) {
		saver->saved_until_ns = since;
		return 0;
	}
	saving.is_whole = how == SAVE_WHOLE || wants_snapshot(saver);
	saver->needs_snapshot = true; /* until it is known to be well */
	r = save(&saving, flags, how, saved_ns);
	free(saving.group.data);
	note_lag(saver);
	if (r == 0 && is_slow(saver) && !saver->says_slow)
		r = say_slow(saver, flags);
	if (r < 0) {
		if (!saver->is_unwatched)
			saver->is_unwatched =
				meters_mark(saver->options.path, METERS_UNWATCHED) == 0;
		return r;
	}
	saver->needs_snapshot = saver->is_unwatched = false;
	saver->charges = charges;
	saver->saved_until_ns = since;
	return 0;
}
