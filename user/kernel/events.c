/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * events.c - the ring buffer that the programs write events into.
 */
#include "user/kernel/internal.h"

#include <errno.h>

static int note_unread(struct guard *guard, uint64_t count)
{
	const uint32_t loss = WEIR_LOST_UNREAD;
	int cpus = libbpf_num_possible_cpus(), fd = guard->map_fd[MAP_LOSSES];
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;

	if (!values)
		return cpus < 0 ? cpus : -ENOMEM;
	if (bpf_map_lookup_elem(fd, &loss, values))
		return -errno;
	values[0] += count;
	return bpf_map_update_elem(fd, &loss, values, BPF_ANY) ? -errno : 0;
}

static int on_unread(void *data, void *sample, size_t size)
{
	uint64_t *count = data;

	(void)sample, (void)size;
	++*count;
	return 0;
}

void events_give_up(struct guard *guard, int ring_fd)
{
	struct bpf_map_info given_up, own;
	struct ring_buffer *ring;
	uint64_t count = 0;

	if (map_info(ring_fd, &given_up) || map_info(guard->map_fd[MAP_EVENTS], &own) ||
	    given_up.id == own.id)
		return;
	ring = ring_buffer__new(ring_fd, on_unread, &count, NULL);
	if (ring)
		ring_buffer__consume(ring);
	ring_buffer__free(ring);
	if (count)
		note_unread(guard, count);
}

static int on_sample(void *data, void *sample, size_t size)
{
	struct guard *guard = data;

	/* a record of another size is of another build: its fields would mislead */
	if (size != sizeof(struct weir_event))
		note_unread(guard, 1);
	else if (guard->event_each)
		guard->event_each(sample, guard->event_data);
	return ++guard->events_taken < guard->events_most ? 0 : -EAGAIN;
}

static int ring_open(struct guard *guard)
{
	if (guard->ring)
		return 0;
	guard->ring = ring_buffer__new(guard->map_fd[MAP_EVENTS], on_sample, guard, NULL);
	return guard->ring ? 0 : -errno;
}

int guard_events_fd(struct guard *guard)
{
	int err = ring_open(guard);

	return err ? err : ring_buffer__epoll_fd(guard->ring);
}

int guard_events_consume(struct guard *guard, int most,
			 void (*each)(const struct weir_event *event, void *data), void *data)
{
	int err = ring_open(guard);

	if (err)
		return err;
	guard->event_each = each;
	guard->event_data = data;
	guard->events_taken = 0;
	guard->events_most = most;
	err = ring_buffer__consume(guard->ring);
	return err == -EAGAIN ? guard->events_taken : err;
}
