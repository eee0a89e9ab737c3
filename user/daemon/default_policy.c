/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * default_policy.c - the built-in policy, with the lifeline that was kept for it.
 */
#include "user/daemon/default_policy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "user/base/cleanup.h"
#include "user/daemon/interim.h"
#include "user/daemon/recovering.h"

static int keep(const struct host *host)
{
	static const char beside[] = "lifeline.json.new";

	unlinkat(host->state_dir, beside, 0); /* of who was killed here */
	if (linkat(host->state_dir, TRIAL_FILE, host->state_dir, beside, 0) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (renameat(host->state_dir, beside, host->state_dir, LIFELINE_FILE) < 0 ||
	    fsync(host->state_dir) < 0)
		return -errno;
	return 0;
}

void default_keep_lifeline(struct host *host)
{
	int r = host->state_dir < 0 ? 0 : keep(host);

	if (r < 0)
		host_tell(host, "unsaved", RECORD_HIGH,
			  (struct record_field[]){{"error", strerror(-r), 0}}, 1,
			  "the lifeline of the policy on trial could not be kept: %s",
			  strerror(-r));
}

/* -ENOENT: none was kept. */
static int read_kept(const struct host *host, struct policy *policy)
{
	_cleanup_free_ char *path = host_path(host, LIFELINE_FILE);
	struct applied applied = {0};
	struct faults faults = {0};
	int r = path ? applied_load(path, &applied) : -ENOMEM;

	if (r == 0)
		r = policy_read(&applied.sources, policy, &faults);
	faults_free(&faults);
	applied_free(&applied);
	return r;
}

/* Their names and cgroups alone: without budgets, classes, and rules about strangers. */
static int take_services(const struct policy *kept, struct policy *policy)
{
	policy->services = calloc(kept->service_count + 1, sizeof(*policy->services));
	if (!policy->services)
		return -ENOMEM;
	policy->service_count = kept->service_count;
	for (size_t i = 0; i < kept->service_count; i++) {
		policy->services[i].name = kept->services[i].name;
		policy->services[i].cgroups = kept->services[i].cgroups;
	}
	return 0;
}

/* `policy` borrows from `kept`. */
static int compile_with(const struct policy *kept, struct policy *policy, uint64_t wall_ns,
			struct image *image)
{
	struct faults faults = {0};
	int r = take_services(kept, policy);

	policy->lifelines = kept->lifelines;
	policy->lifeline_count = kept->lifeline_count;
	if (r == 0)
		r = image_compile(policy, wall_ns, image, &faults);
	faults_free(&faults);
	free(TAKE_PTR(policy->services));
	policy->lifelines = NULL;
	policy->service_count = policy->lifeline_count = 0;
	return r;
}

int default_image(struct host *host, uint64_t wall_ns, struct image *image)
{
	struct policy policy = {0}, kept = {0};
	int r = policy_default(&policy);

	if (r == 0)
		r = read_kept(host, &kept);
	if (r < 0 && r != -ENOMEM && r != -ENOENT) {
		state_damaged(host, LIFELINE_FILE, "what is cut is cut for the admins too");
		policy_free(&kept);
		kept = (struct policy){0};
		r = -ENOENT;
	}
	if (r == 0 || r == -ENOENT)
		r = compile_with(&kept, &policy, wall_ns, image);
	policy_free(&kept);
	policy_free(&policy);
	return r;
}
