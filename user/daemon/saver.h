/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * saver.h - one save: what changed in the meters since the last one, onto the disk.
 *
 * Only meters that changed are appended; when they outgrow the snapshot it is written anew. Knows
 * of no thread and no turn (metering.h).
 */
#ifndef WEIR_SAVER_H
#define WEIR_SAVER_H

#include <pthread.h>

#include "user/daemon/assumed.h"
#include "user/kernel/guard.h"

struct saver;

struct saver_options {
	struct guard *guard;
	const char *path, *latches_path, *latches_copy;
	/* What each head says: boot_id, link_bytes_per_s. */
	const struct meters_head *about;
	const struct assumed *assumed;
	pthread_mutex_t *mutex; /* held while these two are read, and for no system call */
};

/* Everything that `options` points to outlives the saver. -ENOMEM. */
int saver_new(const struct saver_options *options, struct saver **ret);
void saver_free(struct saver *saver);

enum save {
	SAVE_IF_CHARGED, /* nothing, when no packet met a meter since the last save */
	SAVE_CHANGES,	 /* also those that an order changed */
	SAVE_WHOLE,	 /* a snapshot */
};

/* Saves under these flags (enum meters_flag), and those that are latched where they changed.
 * *saved_ns (wall) is left alone when there was nothing to save. One call at a time. After an error
 * the next save is a snapshot. 0 or -errno. */
int saver_save(struct saver *saver, uint32_t flags, enum save how, uint64_t *saved_ns);

#endif
