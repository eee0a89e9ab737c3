/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * reading.c - the texts of a policy, read and checked.
 */
#include "user/daemon/reading.h"

#include <malloc.h>
#include <string.h>

#include "user/base/cleanup.h"
#include "user/base/now.h"
#include "user/daemon/applied.h"

/* The same person reads the difference in between, but no answer is waited for. */
static const uint64_t kept_ns = 5 * NS_PER_SECOND;

int reading_make(const struct sources *sources, struct reading *reading)
{
	int r = policy_read(sources, &reading->policy, &reading->faults);

	return r < 0 ? r : policy_check(&reading->policy, &reading->faults);
}

void reading_free(struct reading *reading)
{
	policy_free(&reading->policy);
	faults_free(&reading->faults);
	*reading = (struct reading){0};
}

void reading_keep(struct kept_reading *kept, const struct sources *sources, struct reading *reading)
{
	reading_drop(kept);
	if (sources_digest(sources, kept->digest) < 0)
		return;
	kept->reading = *reading;
	*reading = (struct reading){0};
	kept->until_ns = boot_now() + kept_ns;
}

int reading_take(struct kept_reading *kept, const struct sources *sources, struct reading *reading)
{
	uint8_t digest[32];

	if (!kept->until_ns || sources_digest(sources, digest) < 0 ||
	    memcmp(kept->digest, digest, sizeof(digest)) != 0)
		return reading_make(sources, reading);
	*reading = kept->reading;
	*kept = (struct kept_reading){0};
	return 0;
}

uint64_t reading_drop_due(struct kept_reading *kept, uint64_t now_ns)
{
	if (kept->until_ns && now_ns >= kept->until_ns) {
		reading_drop(kept);
		malloc_trim(0);
	}
	return kept->until_ns;
}

void reading_drop(struct kept_reading *kept)
{
	reading_free(&kept->reading);
	*kept = (struct kept_reading){0};
}

int policy_to_image(const struct sources *sources, uint64_t wall_ns, struct image *image,
		    struct faults *faults)
{
	struct policy policy = {0};
	int r = policy_read(sources, &policy, faults);

	if (r == 0)
		r = policy_check(&policy, faults);
	if (r == 0)
		r = image_compile(&policy, wall_ns, image, faults);
	policy_free(&policy);
	return r;
}
