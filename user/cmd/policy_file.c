/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * policy_file.c - a policy file for the commands that need no daemon.
 */
#include "user/cmd/policy_file.h"

#include <errno.h>
#include <string.h>

/* -EBADMSG has its faults; anything else is an error of the system's. */
static int refuse(const struct arguments *arguments, const struct policy_file *file,
		  const char *what, int error)
{
	if (error != -EBADMSG)
		return command_refuse(arguments, "%s: %s", what, strerror(-error));
	faults_print(&file->faults, &file->sources, stderr);
	return CMD_REFUSED;
}

int policy_file_read(const struct arguments *arguments, const char *path, struct policy_file *file)
{
	int r;

	*file = (struct policy_file){0};
	r = sources_load(path, &file->sources, &file->faults);
	if (!r)
		r = policy_read(&file->sources, &file->policy, &file->faults);
	if (!r)
		r = policy_check(&file->policy, &file->faults);
	return r ? refuse(arguments, file, path, r) : CMD_DONE;
}

int policy_file_compile(const struct arguments *arguments, struct policy_file *file,
			uint64_t now_ns, struct image *image)
{
	int r = image_compile(&file->policy, now_ns, image, &file->faults);

	return r ? refuse(arguments, file, file->sources.item[0].name, r) : CMD_DONE;
}

void policy_file_free(struct policy_file *file)
{
	policy_free(&file->policy);
	sources_free(&file->sources);
	faults_free(&file->faults);
}
