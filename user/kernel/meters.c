/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * meters.c - meters written: before the first packet, and back when something was only assumed.
 */
#include "user/kernel/internal.h"

#include <errno.h>

#include "forgive.skel.h"

int guard_charges(struct guard *guard, uint32_t *charges)
{
	char value[4096];
	uint32_t zero = 0;
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	int err =
		guard_settle(guard); /* which counts: a save right after it finds the same number */

	if (err)
		return err;
	if (bpf_obj_get_info_by_fd(guard->map_fd[MAP_METER_LOCK], &info, &length))
		return -errno;
	if (info.value_size > sizeof(value) || info.value_size < WEIR_LOCK_CHARGES + 4)
		return -EPROTO;
	if (bpf_map_lookup_elem(guard->map_fd[MAP_METER_LOCK], &zero, value))
		return -errno;
	memcpy(charges, value + WEIR_LOCK_CHARGES, sizeof(*charges));
	return 0;
}

int guard_put_meter(struct guard *guard, uint64_t key, const struct weir_meter *meter)
{
	return bpf_map_update_elem(guard->map_fd[MAP_METERS], &key, meter, BPF_ANY) ? -errno : 0;
}

int guard_put_stranger(struct guard *guard, uint32_t slot, const struct weir_meter *meter)
{
	slot_note_written(guard->strangers_met, slot);
	return bpf_map_update_elem(guard->map_fd[MAP_STRANGERS], &slot, meter, BPF_ANY) ? -errno
											: 0;
}

/* ---- forgiving ------------------------------------------------------------------------------- */

struct forgiver {
	struct forgive_bpf *skeleton;
};

void forgiver_free(struct forgiver *forgiver)
{
	if (!forgiver)
		return;
	forgive_bpf__destroy(forgiver->skeleton);
	free(forgiver);
}

static void cleanup_forgiver(struct forgiver **forgiver)
{
	forgiver_free(*forgiver);
}

int forgiver_load(struct guard *guard, char **problem)
{
	_cleanup_(cleanup_forgiver) struct forgiver *forgiver = NULL;
	int err;

	if (guard->forgiver)
		return 0;
	forgiver = calloc(1, sizeof(*forgiver));
	if (!forgiver)
		return -ENOMEM;
	libbpf_capture();
	forgiver->skeleton = forgive_bpf__open();
	if (!forgiver->skeleton)
		return problem_libbpf(problem, -errno, "cannot read the program that forgives");
	err = maps_reuse(forgiver->skeleton->obj, guard->instance, "forgive_request", problem);
	if (err)
		return err;
	err = bpf_object__load(forgiver->skeleton->obj);
	if (err)
		return problem_libbpf(problem, err, "cannot load the program that forgives");
	guard->forgiver = TAKE_PTR(forgiver);
	return 0;
}

int guard_forgive(struct guard *guard, struct weir_forgive *request, char **problem)
{
	char packet[64] = ""; /* nobody looks at it */
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof(packet));
	uint32_t zero = 0;
	int err = forgiver_load(guard, problem), map, program;

	if (err)
		return err;
	map = bpf_map__fd(guard->forgiver->skeleton->maps.forgive_request);
	program = bpf_program__fd(guard->forgiver->skeleton->progs.weir_forgive);
	if (bpf_map_update_elem(map, &zero, request, BPF_ANY) ||
	    bpf_prog_test_run_opts(program, &options) || bpf_map_lookup_elem(map, &zero, request))
		return problem_set(problem, -errno, "cannot forgive: %s", strerror(errno));
	return options.retval ? -EIO : 0;
}
