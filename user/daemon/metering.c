/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * metering.c - the meters go to the disk.
 */
#include "user/daemon/metering.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/units.h"
#include "user/daemon/links.h"

/* With the time that a save takes, that is what is lost with the power; restoring.c assumes more.
 */
static const uint64_t SAVED_EVERY_NS = NS_PER_SECOND / 2;

enum { LEAST_JOURNAL = 1 << 20, LONGEST_FILE = 1 << 30 };

/* Account -> what it looked like when it was saved last; open addressing, 0 is no account's key. */
struct stamps {
	uint64_t (*item)[2];
	size_t size, count;
};

struct metering {
	struct guard *guard;
	char *path, *latches_path;
	uint8_t boot_id[16];
	uint64_t link_bytes_per_s;

	pthread_mutex_t saving; /* held while a save runs; guards the next block */
	struct stamps accounts;
	uint64_t *slots;	  /* stamps of the strangers' slots */
	uint64_t strangers_stamp; /* of all accounts of strangers together */
	uint64_t latches_stamp;	  /* of all latches together, as `latches` has them */
	uint32_t charges;	  /* at the last save */
	uint32_t flags;		  /* that the file has */
	bool needs_snapshot;
	int fd; /* of the file, to append */
	size_t snapshot_bytes, journal_bytes;

	pthread_mutex_t mutex; /* of all below; never held for long */
	pthread_cond_t wake;
	struct assumed assumed;
	uint64_t saved_ns; /* wall */
	int trouble;
	bool is_urgent, is_over;

	pthread_t thread;
	bool has_thread;
};

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

/* ---- one save ------------------------------------------------------------------------------- */

struct saving {
	struct metering *metering;
	bool is_whole;
	struct meters_group changed, latched;
	uint64_t strangers_stamp, latches_stamp;
};

static int save_meter(struct saving *saving, uint64_t key, uint32_t slot,
		      const struct weir_meter *meter, uint64_t *stamp)
{
	struct metering *metering = saving->metering;
	struct kept_meter kept = {.key = key, .slot = slot, .meter = *meter};
	uint64_t is = stamp_of(meter);
	int r = 0;

	if (meter->severed_ns) {
		saving->latches_stamp += weir_mix(weir_mix(key + slot) + meter->severed_ns);
		r = meters_group_add(&saving->latched, &kept);
	}
	if (r < 0 || (!saving->is_whole && *stamp == is))
		return r;
	*stamp = is;
	pthread_mutex_lock(&metering->mutex);
	assumed_place(&metering->assumed, &kept);
	pthread_mutex_unlock(&metering->mutex);
	return meters_group_add(&saving->changed, &kept);
}

static int save_account(uint64_t key, const struct weir_meter *meter, void *data)
{
	struct saving *saving = data;
	uint64_t *stamp;

	/* one that is just being made has no keys yet: it has charged nothing either */
	if (key != weir_meter_key(meter->grant_key, meter->service_key, meter->partner_key))
		return 0;
	stamp = stamp_at(&saving->metering->accounts, key);
	if (!stamp)
		return -ENOMEM;
	if (meter->grant_key == WEIR_KEY_STRANGERS)
		saving->strangers_stamp += weir_mix(stamp_of(meter) + key);
	return save_meter(saving, key, METERS_NO_SLOT, meter, stamp);
}

static int save_slot(uint32_t slot, const struct weir_meter *meter, void *data)
{
	struct saving *saving = data;

	return slot < WEIR_STRANGER_SLOTS ? save_meter(saving, WEIR_KEY_PEER, slot, meter,
						       &saving->metering->slots[slot])
					  : 0;
}

/* All strangers' slots together are 47 MB: they are read only when some stranger's account moved,
 * since each packet that meets a slot meets such an account too. */
static int collect(struct saving *saving)
{
	struct metering *metering = saving->metering;
	int r = meters_group_begin(&saving->changed);

	if (r == 0)
		r = meters_group_begin(&saving->latched);
	if (r == 0)
		r = guard_accounts(metering->guard, save_account, saving);
	if (r < 0)
		return r;
	if (saving->is_whole || saving->strangers_stamp != metering->strangers_stamp ||
	    metering->latches_stamp != saving->latches_stamp)
		r = guard_strangers(metering->guard, save_slot, saving);
	return r;
}

static struct meters_head head_now(struct metering *metering, uint32_t flags)
{
	struct weir_control control = guard_control(metering->guard);
	struct meters_head head = {.flags = flags,
				   .boot_ns = boot_now(),
				   .secret = {control.secret[0], control.secret[1]},
				   .link_bytes_per_s = metering->link_bytes_per_s};

	memcpy(head.boot_id, metering->boot_id, sizeof(head.boot_id));
	head.wall_ns = head.boot_ns + control.wall_offset_ns;
	pthread_mutex_lock(&metering->mutex);
	if (metering->assumed.count) {
		head.why = metering->assumed.why;
		head.assumed_since_ns = metering->assumed.since_ns;
	}
	pthread_mutex_unlock(&metering->mutex);
	return head;
}

static int write_snapshot(struct metering *metering, const struct meters_group *group)
{
	int r = file_write_atomic(metering->path, group->data, group->length, 0640);

	if (metering->fd >= 0)
		close(metering->fd);
	metering->fd = -1;
	if (r < 0)
		return r;
	metering->fd = open(metering->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	metering->snapshot_bytes = group->length;
	metering->journal_bytes = 0;
	return metering->fd < 0 ? -errno : 0;
}

static int append(struct metering *metering, const struct meters_group *group)
{
	int r = file_write_all(metering->fd, group->data, group->length);

	if (r == 0 && fdatasync(metering->fd) < 0)
		r = -errno;
	metering->journal_bytes += group->length;
	return r;
}

/* Also another process may have written the file anew, which this one is not told. */
static bool wants_snapshot(const struct metering *metering)
{
	struct stat is;

	return metering->needs_snapshot || metering->fd < 0 || fstat(metering->fd, &is) < 0 ||
	       is.st_nlink == 0 ||
	       (metering->journal_bytes > LEAST_JOURNAL &&
		metering->journal_bytes > metering->snapshot_bytes);
}

static int write_latches(struct saving *saving)
{
	struct metering *metering = saving->metering;
	struct meters_head head = head_now(metering, 0);
	int r;

	if (saving->latches_stamp == metering->latches_stamp)
		return 0;
	meters_group_end(&saving->latched, METERS_SNAPSHOT, &head);
	r = file_write_atomic(metering->latches_path, saving->latched.data, saving->latched.length,
			      0640);
	if (r == 0)
		metering->latches_stamp = saving->latches_stamp;
	return r;
}

/* The caller holds `saving`. A count of charges from before the reading: what comes during it is
 * seen next time. */
enum save { SAVE_IF_CHARGED, SAVE_CHANGES, SAVE_WHOLE };

static int save_locked(struct metering *metering, uint32_t flags, enum save how)
{
	struct saving saving = {.metering = metering, .is_whole = how == SAVE_WHOLE};
	struct meters_head head;
	uint32_t charges;
	int r = guard_charges(metering->guard, &charges);

	if (r < 0)
		return r;
	if (how == SAVE_IF_CHARGED && charges == metering->charges && !metering->needs_snapshot)
		return 0;
	saving.is_whole |= wants_snapshot(metering);
	metering->needs_snapshot = true; /* until it is known to be well */
	r = collect(&saving);
	head = head_now(metering, flags);
	if (r == 0) {
		meters_group_end(&saving.changed,
				 saving.is_whole ? METERS_SNAPSHOT : METERS_CHANGES, &head);
		r = saving.is_whole ? write_snapshot(metering, &saving.changed)
				    : append(metering, &saving.changed);
	}
	if (r == 0)
		r = write_latches(&saving);
	free(saving.changed.data);
	free(saving.latched.data);
	if (r < 0)
		return r;
	metering->needs_snapshot = false;
	metering->charges = charges;
	metering->flags = flags;
	metering->strangers_stamp = saving.strangers_stamp;
	pthread_mutex_lock(&metering->mutex);
	metering->saved_ns = head.wall_ns;
	pthread_mutex_unlock(&metering->mutex);
	return 0;
}

int metering_save(struct metering *metering, uint32_t flags)
{
	int r;

	pthread_mutex_lock(&metering->saving);
	r = save_locked(metering, flags, SAVE_WHOLE);
	pthread_mutex_unlock(&metering->saving);
	return r;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void note_trouble(struct metering *metering, int r)
{
	pthread_mutex_lock(&metering->mutex);
	if (r < 0)
		metering->trouble = r;
	pthread_mutex_unlock(&metering->mutex);
}

/* Half a second from one save to the next; where a save takes long, as long again, up to a second.
 */
static struct timespec next_turn(uint64_t took_ns)
{
	uint64_t wait_ns = took_ns < SAVED_EVERY_NS / 2 ? SAVED_EVERY_NS - took_ns : took_ns;
	struct timespec until;

	if (wait_ns > NS_PER_SECOND)
		wait_ns = NS_PER_SECOND;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)wait_ns;
	until.tv_sec += until.tv_nsec / (long)NS_PER_SECOND;
	until.tv_nsec %= (long)NS_PER_SECOND;
	return until;
}

/* Waits for its turn, or for somebody who is in a hurry. False: it is over. */
static bool wait_turn(struct metering *metering, uint64_t took_ns, enum save *how)
{
	struct timespec until = next_turn(took_ns);
	bool goes_on;
	int r = 0;

	pthread_mutex_lock(&metering->mutex);
	while (!metering->is_urgent && !metering->is_over && r == 0)
		r = pthread_cond_timedwait(&metering->wake, &metering->mutex, &until);
	*how = metering->is_urgent ? SAVE_CHANGES : SAVE_IF_CHARGED;
	metering->is_urgent = false;
	goes_on = !metering->is_over;
	pthread_mutex_unlock(&metering->mutex);
	return goes_on;
}

static void *save_on(void *data)
{
	struct metering *metering = data;
	uint64_t began, took_ns = 0;
	enum save how;

	while (wait_turn(metering, took_ns, &how)) {
		began = boot_now();
		pthread_mutex_lock(&metering->saving);
		note_trouble(metering, save_locked(metering, 0, how));
		pthread_mutex_unlock(&metering->saving);
		took_ns = boot_now() - began;
	}
	return NULL;
}

void metering_hurry(struct metering *metering)
{
	if (!metering)
		return;
	pthread_mutex_lock(&metering->mutex);
	metering->is_urgent = true;
	pthread_cond_signal(&metering->wake);
	pthread_mutex_unlock(&metering->mutex);
}

int metering_trouble(struct metering *metering)
{
	int trouble;

	if (!metering)
		return 0;
	pthread_mutex_lock(&metering->mutex);
	trouble = metering->trouble;
	metering->trouble = 0;
	pthread_mutex_unlock(&metering->mutex);
	return trouble;
}

struct assumed *metering_hold(struct metering *metering)
{
	pthread_mutex_lock(&metering->mutex);
	return &metering->assumed;
}

void metering_release(struct metering *metering)
{
	pthread_mutex_unlock(&metering->mutex);
}

uint64_t metering_saved_ns(struct metering *metering)
{
	uint64_t saved_ns;

	pthread_mutex_lock(&metering->mutex);
	saved_ns = metering->saved_ns;
	pthread_mutex_unlock(&metering->mutex);
	return saved_ns;
}

/* ---- beginning and end ---------------------------------------------------------------------- */

int metering_boot_id(uint8_t id[16])
{
	char text[BOOT_ID_TEXT];
	int r = boot_id(text);
	size_t digits = 0;

	memset(id, 0, 16);
	for (size_t i = 0; r == 0 && text[i] && digits < 32; i++) {
		static const char hexadecimal[] = "0123456789abcdef";
		const char *digit = strchr(hexadecimal, text[i]);

		if (digit) {
			id[digits / 2] |= (digit - hexadecimal) << (digits % 2 ? 0 : 4);
			digits++;
		}
	}
	return r;
}

/* What the file says of this boot, whoever wrote it. */
static int read_assumed(struct metering *metering)
{
	_cleanup_free_ char *data = NULL;
	struct meters_read read = {0};
	size_t length;
	int r = file_read(metering->path, LONGEST_FILE, &data, &length);

	if (r == 0)
		r = meters_file_read((const uint8_t *)data, length, &read);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (memcmp(read.head.boot_id, metering->boot_id, sizeof(metering->boot_id)) == 0) {
		metering->assumed.why = read.head.why;
		metering->assumed.since_ns = read.head.assumed_since_ns;
		metering->link_bytes_per_s = read.head.link_bytes_per_s;
		metering->saved_ns = read.head.wall_ns;
		for (size_t i = 0; i < read.count && r == 0; i++)
			r = assumed_add(&metering->assumed, &read.item[i]);
	}
	assumed_sort(&metering->assumed);
	meters_read_free(&read);
	return r;
}

static void metering_free(struct metering *metering)
{
	assumed_free(&metering->assumed);
	free(metering->accounts.item);
	free(metering->slots);
	free(metering->path);
	free(metering->latches_path);
	if (metering->fd >= 0)
		close(metering->fd);
	free(metering);
}

static int metering_new(struct host *host, struct metering **ret)
{
	struct metering *metering = calloc(1, sizeof(*metering));
	pthread_condattr_t attributes;

	if (!metering)
		return -ENOMEM;
	pthread_mutex_init(&metering->saving, NULL);
	pthread_mutex_init(&metering->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&metering->wake, &attributes);
	metering->guard = host->guard;
	metering->fd = -1;
	metering->needs_snapshot = true;
	metering->latches_stamp = UINT64_MAX; /* not known: written once */
	metering->path = host_path(host, "meters");
	metering->latches_path = host_path(host, "latches");
	metering->slots = calloc(WEIR_STRANGER_SLOTS, sizeof(*metering->slots));
	if (!metering->path || !metering->latches_path || !metering->slots) {
		metering_free(metering);
		return -ENOMEM;
	}
	metering_boot_id(metering->boot_id);
	*ret = metering;
	return 0;
}

int metering_open(struct host *host, struct metering **ret)
{
	struct metering *metering;
	int r = metering_new(host, &metering);

	if (r < 0)
		return r;
	r = read_assumed(metering);
	if (r < 0)
		metering_free(metering);
	else
		*ret = metering;
	return r;
}

int metering_start(struct host *host, struct assumed *assumed, char *const *uplinks,
		   size_t uplink_count)
{
	int r = assumed ? metering_new(host, &host->metering)
			: metering_open(host, &host->metering);
	struct metering *metering = host->metering;

	if (r < 0)
		return r;
	if (assumed) {
		metering->assumed = *assumed;
		*assumed = (struct assumed){0};
	}
	metering->link_bytes_per_s = links_speed(uplinks, uplink_count);
	note_trouble(metering, metering_save(metering, 0));
	return 0;
}

int metering_run(struct metering *metering)
{
	int r = pthread_create(&metering->thread, NULL, save_on, metering);

	metering->has_thread = r == 0;
	return -r;
}

void metering_end(struct metering *metering, bool saves, uint32_t flags)
{
	if (!metering)
		return;
	pthread_mutex_lock(&metering->mutex);
	metering->is_over = true;
	pthread_cond_signal(&metering->wake);
	pthread_mutex_unlock(&metering->mutex);
	if (metering->has_thread)
		pthread_join(metering->thread, NULL);
	if (saves)
		metering_save(metering, flags);
	metering_free(metering);
}
