/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * check.c - `weir check FILE`: every fault with its place, or one line that sums the policy up.
 * Needs neither a daemon nor root.
 */
#include "user/base/hex.h"
#include "user/base/now.h"
#include "user/cmd/host_file.h"
#include "user/cmd/policy_file.h"
#include "user/policy/words.h"

static const char *plural(size_t count)
{
	return count == 1 ? "" : "s";
}

static void print_summary(const char *path, const struct image *image)
{
	size_t services = image->head.services - WEIR_SERVICE_NAMED;
	size_t partners = image->head.partners - 1, grants = image->head.grants - 1;
	char digest[HEX_TEXT(8)];

	printf("%s: good: %s, %s: %zu service%s, %zu partner%s with %zu prefix%s, %zu grant%s in "
	       "%u rule%s, %zu lifeline prefix%s; digest %s\n",
	       path, image->name, mode_name(image->head.mode), services, plural(services), partners,
	       plural(partners), image->prefix_count, image->prefix_count == 1 ? "" : "es", grants,
	       plural(grants), image->head.rules, plural(image->head.rules),
	       image->lifeline_prefix_count, image->lifeline_prefix_count == 1 ? "" : "es",
	       hex_format(image->head.digest, 8, digest));
}

static int check_host(const struct arguments *arguments, const char *path)
{
	struct host_config config = {0};
	int code = host_file_read(arguments, path, &config);

	if (code == CMD_DONE && config.uplinks.count)
		printf("%s: good: %zu uplink%s, ", path, config.uplinks.count,
		       plural(config.uplinks.count));
	else if (code == CMD_DONE)
		printf("%s: good: every interface is an uplink, ", path);
	if (code == CMD_DONE)
		printf("%zu group%s\n", config.groups.count, plural(config.groups.count));
	host_config_free(&config);
	return code;
}

static int run_check(const struct arguments *arguments)
{
	const char *path = arguments->item[0];
	struct policy_file file;
	struct image image;
	int code;

	if (arguments_has(arguments, "--host"))
		return check_host(arguments, path);
	code = policy_file_read(arguments, path, &file);
	if (code == CMD_DONE)
		code = policy_file_compile(arguments, &file, wall_now(), &image);
	if (code == CMD_DONE) {
		faults_print(&file.faults, &file.sources, stderr); /* warnings */
		print_summary(path, &image);
		image_free(&image);
	}
	policy_file_free(&file);
	return code;
}

const struct command command_check = {
	.name = "check",
	.arguments = "FILE",
	.help = "Tell every fault of a policy with its place",
	.options =
		{
			{"--host", NULL, "FILE is the host's configuration, not a policy", false},
			{NULL, NULL, NULL, false},
		},
	.least = 1,
	.most = 1,
	.run = run_check,
};
