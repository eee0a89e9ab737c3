/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * fuzz_policy.c - a policy of any bytes is read, checked and compiled, or refused with a fault; the
 * same bytes give the same tables, and do not differ from themselves. A ruleset is made of them,
 * and a host's configuration and a plan are read from the same bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/policy/difference.h"
#include "user/policy/host_config.h"
#include "user/policy/image.h"
#include "user/policy/plan.h"
#include "user/policy/ruleset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A moment in 2026, so that a finding can be repeated. */
static const uint64_t now_ns = UINT64_C(1790000000) * 1000000000;

static int compile(const struct sources *sources, struct policy *policy, struct image *image)
{
	struct faults faults = {0};
	int r = policy_read(sources, policy, &faults);

	if (r == 0)
		r = policy_check(policy, &faults);
	if (r == 0)
		r = image_compile(policy, now_ns, image, &faults);
	if (r < 0 && faults.errors == 0)
		abort(); /* refused, and nobody says why */
	if (r == 0 && faults.errors != 0)
		abort();
	faults_free(&faults);
	return r;
}

/* Whatever names and addresses are in it: nothing of the policy's text gets into the ruleset's,
 * which root's nft reads. */
static void write_ruleset(const struct image *image)
{
	struct ruleset ruleset = {.instance = "fuzz", .image = image, .wall_ns = now_ns};
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out || ruleset_write(&ruleset, out) < 0 || fclose(out) != 0)
		abort();
	if (length != strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789 _\t\n#(),:;{}@\"!=<>&|./-"))
		abort();
	free(text);
}

static void read_host(const struct sources *sources)
{
	struct host_config config = {0};
	struct faults faults = {0};

	if (host_config_read(sources, &config, &faults) < 0 && faults.errors == 0)
		abort();
	host_config_free(&config);
	faults_free(&faults);
}

static void read_plan(const struct sources *sources)
{
	struct plan plan = {0};
	struct faults faults = {0};
	int r = plan_read(sources, &plan, &faults);

	if (r < 0 && faults.errors == 0)
		abort();
	for (size_t i = 0; r == 0 && i < plan.count; i++) {
		const struct plan_stage *stage = &plan.stage[i];

		if (!stage->targets.count || !stage->name.text || !stage->approvals ||
		    !stage->parts || stage->parts > WEIR_WHOLE)
			abort();
	}
	plan_free(&plan);
	faults_free(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct source source = {(char *)"fuzz.yaml", text, size};
	struct sources sources = {&source, 1};
	struct policy policy = {0}, again = {0};
	struct image image = {0}, other = {0};
	struct difference difference = {0};

	memcpy(text, data, size);
	text[size] = '\0';
	if (compile(&sources, &policy, &image) == 0) {
		if (compile(&sources, &again, &other) < 0 ||
		    memcmp(&image.head, &other.head, sizeof(image.head)) != 0)
			abort();
		if (difference_make(&policy, &again, &difference) < 0 || difference.count)
			abort();
		write_ruleset(&image);
		policy_free(&again);
		image_free(&other);
		policy_free(&policy);
		image_free(&image);
	} else {
		policy_free(&policy);
	}
	difference_free(&difference);
	read_host(&sources);
	read_plan(&sources);
	free(text);
	return 0;
}
