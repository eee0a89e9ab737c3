/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * metering.c - the meters go to the disk: when, and from beginning to end.
 */
#include "user/daemon/metering.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/base/hex.h"
#include "user/base/units.h"
#include "user/daemon/latches.h"
#include "user/daemon/links.h"
#include "user/daemon/notify.h"
#include "user/daemon/recovering.h"
#include "user/daemon/saver.h"

/* With the time that two saves take, that is what is lost with the power; saver.c watches it. */
static const uint64_t SAVED_EVERY_NS = NS_PER_SECOND / 2;
static const uint64_t LONGEST_SAVE_NS = 2 * NS_PER_SECOND;

struct metering {
	char *path, *latches_path, *latches_copy;
	char *const *uplinks;
	size_t uplink_count;

	pthread_mutex_t saving; /* held while a save runs; guards `saver` */
	struct saver *saver;

	pthread_mutex_t mutex; /* of all below; never held for long */
	pthread_cond_t wake;
	struct assumed assumed;
	struct meters_head about; /* boot_id, link_bytes_per_s: the most since it is known */
	uint64_t saved_ns;	  /* wall */
	uint64_t running_ns; /* boot time at which the save began that runs now; 0: none runs */
	int trouble;	     /* -errno of the last save, 0 when it was well */
	bool is_urgent, is_over;

	pthread_t thread;
	bool has_thread;
};

static int save(struct metering *metering, uint32_t flags, enum save how)
{
	uint64_t saved_ns = 0;
	int r;

	pthread_mutex_lock(&metering->saving);
	pthread_mutex_lock(&metering->mutex);
	metering->running_ns = boot_now();
	pthread_mutex_unlock(&metering->mutex);
	r = saver_save(metering->saver, flags, how, &saved_ns);
	pthread_mutex_lock(&metering->mutex);
	if (saved_ns)
		metering->saved_ns = saved_ns;
	metering->trouble = r;
	metering->running_ns = 0;
	pthread_mutex_unlock(&metering->mutex);
	pthread_mutex_unlock(&metering->saving);
	return r;
}

int metering_save(struct metering *metering, uint32_t flags)
{
	return save(metering, flags, SAVE_WHOLE);
}

/* ---- the thread ----------------------------------------------------------------------------- */

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
		save(metering, 0, how);
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
	if (metering->running_ns && boot_now() > metering->running_ns + LONGEST_SAVE_NS)
		trouble = -ETIME;
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
	char text[BOOT_ID_TEXT], digits[33];
	int r = boot_id(text), used = 0;

	for (size_t i = 0; r == 0 && text[i] && used < 32; i++) {
		if (text[i] != '-')
			digits[used++] = text[i];
	}
	digits[used] = '\0';
	if (r < 0 || !hex_parse(digits, id, 16))
		memset(id, 0, 16);
	return r;
}

/* What the file says of this boot, whoever wrote it. 0 or -errno: then nothing. */
static int read_assumed(struct metering *metering)
{
	_cleanup_free_ char *data = NULL;
	struct meters_read read = {0};
	size_t length;
	int r = file_read(metering->path, METERS_MOST_BYTES, &data, &length);

	if (r == 0)
		r = meters_file_read((const uint8_t *)data, length, &read);
	if (r < 0)
		return r;
	if (memcmp(read.head.boot_id, metering->about.boot_id, sizeof(metering->about.boot_id)) ==
	    0) {
		metering->assumed.why = read.head.why;
		metering->assumed.since_ns = read.head.assumed_since_ns;
		metering->about.link_bytes_per_s = read.head.link_bytes_per_s;
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
	saver_free(metering->saver);
	free(metering->path);
	free(metering->latches_path);
	free(metering->latches_copy);
	free(metering);
}

static int metering_new(struct host *host, struct metering **ret)
{
	struct metering *metering = calloc(1, sizeof(*metering));
	pthread_condattr_t attributes;
	int r = -ENOMEM;

	if (!metering)
		return r;
	pthread_mutex_init(&metering->saving, NULL);
	pthread_mutex_init(&metering->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&metering->wake, &attributes);
	metering->path = host_path(host, "meters");
	metering->latches_path = host_path(host, LATCHES_FILE);
	metering->latches_copy = host_path(host, LATCHES_COPY);
	if (metering->path && metering->latches_path && metering->latches_copy)
		r = saver_new(&(struct saver_options){.guard = host->guard,
						      .path = metering->path,
						      .latches_path = metering->latches_path,
						      .latches_copy = metering->latches_copy,
						      .about = &metering->about,
						      .assumed = &metering->assumed,
						      .mutex = &metering->mutex},
			      &metering->saver);
	if (r < 0) {
		metering_free(metering);
		return r;
	}
	metering_boot_id(metering->about.boot_id);
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
	if (r == -EBADMSG && host->is_daemon)
		state_damaged(
			host, "meters",
			"the kernel has them; what of them was only assumed counts as measured");
	if (r == -ENOMEM)
		metering_free(metering);
	else
		*ret = metering;
	return r == -ENOMEM ? r : 0;
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
	metering->uplinks = uplinks;
	metering->uplink_count = uplink_count;
	metering_look_at_links(metering);
	metering_save(metering, 0);
	return 0;
}

/* A daemon that nobody restarts may end, and the guard goes on for any time without a save. */
void metering_look_at_links(struct metering *metering)
{
	uint64_t speed = 0;

	if (!metering)
		return;
	if (notify_watchdog_ns())
		speed = links_speed(metering->uplinks, metering->uplink_count);
	pthread_mutex_lock(&metering->mutex);
	if (speed == 0 || speed > metering->about.link_bytes_per_s)
		metering->about.link_bytes_per_s = speed;
	pthread_mutex_unlock(&metering->mutex);
}

int metering_run(struct metering *metering)
{
	int r = pthread_create(&metering->thread, NULL, save_on, metering);

	metering->has_thread = r == 0;
	return -r;
}

int metering_end(struct metering *metering, bool saves, uint32_t flags)
{
	int r = 0;

	if (!metering)
		return 0;
	pthread_mutex_lock(&metering->mutex);
	metering->is_over = true;
	pthread_cond_signal(&metering->wake);
	pthread_mutex_unlock(&metering->mutex);
	if (metering->has_thread)
		pthread_join(metering->thread, NULL);
	if (saves)
		r = metering_save(metering, flags);
	metering_free(metering);
	return r;
}
