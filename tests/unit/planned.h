/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * planned.h - a host of a_host.h with events, people of two_people.h, and a plan of one stage.
 */
#ifndef WEIR_PLANNED_H
#define WEIR_PLANNED_H

#include "tests/unit/two_people.h"
#include "user/base/file.h"
#include "user/daemon/planning.h"
#include "user/event/sink.h"

#define NEXT "{\"request\":\"plan-next\"}"

/* All is cut, and a plan of one stage waits. */
__attribute__((unused)) static void begins_plan_of(struct host *host, const char *target,
						   uint32_t approvals)
{
	char request[512];

	snprintf(request, sizeof(request),
		 "{\"request\":\"plan-start\",\"files\":[{\"name\":\"back.yaml\",\"text\":"
		 "\"weir-plan: 1\\nname: back\\nreason: incident\\nstages:\\n- name: first\\n"
		 "  targets: \\\"%s\\\"\\n  approvals: %u\\n  watch: 1h\\n\"}]}",
		 target, approvals);
	done(cut(host, target));
	does(host, &alice, request);
}

__attribute__((unused)) static void begins_plan(struct host *host, uint32_t approvals)
{
	begins_plan_of(host, "partner:nord", approvals);
}

/* The one stage, as status tells it; of `status`, which has to be freed. */
__attribute__((unused)) static json_object *stage_of(json_object *status)
{
	return json_object_array_get_idx(member(member(status, "plan"), "stages"), 0);
}

/* How often the events say so. */
__attribute__((unused)) static size_t told(struct host *host, const char *text)
{
	char *path = host_path(host, SINK_FILE), *events = NULL;
	size_t length, count = 0;

	assert_int_equal(file_read(path, 1 << 20, &events, &length), 0);
	for (const char *at = events; (at = strstr(at, text)); at++)
		count++;
	free(events);
	free(path);
	return count;
}

__attribute__((unused)) static int host_with_events_up(void **state)
{
	struct host *host;

	passed_ns = 0;
	host_up(state);
	host = *state;
	sink_open(&host->sink, host->state_dir);
	return 0;
}

#endif
