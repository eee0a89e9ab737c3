/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* order_file.c - signed orders, and who may sign them, from files. */
#include "user/cmd/order_file.h"

#include <errno.h>
#include <string.h>

#include "user/base/array.h"
#include "user/base/cleanup.h"
#include "user/base/file.h"
#include "user/daemon/paths.h"

/* -EBADMSG is of `fault`; anything else is an error of the system's. */
static int tell(const struct arguments *arguments, const char *path,
		const struct order_fault *fault, int error)
{
	if (error == 0)
		return CMD_DONE;
	if (error != -EBADMSG)
		return command_refuse(arguments, "%s: %s", path, strerror(-error));
	fprintf(stderr, "%s:%u:%u: %s\n", path, fault->line, fault->column, fault->text);
	return CMD_REFUSED;
}

int order_file_read(const struct arguments *arguments, const char *path, struct order_file *file)
{
	struct order_fault fault = {0};
	int r;

	*file = (struct order_file){0};
	if (strcmp(path, "-") == 0)
		r = file_read_fd(STDIN_FILENO, DOCUMENT_MAX_BYTES, &file->text, &file->length);
	else
		r = file_read(path, DOCUMENT_MAX_BYTES, &file->text, &file->length);
	if (r == 0)
		r = document_read(file->text, file->length, &file->document, &fault);
	return tell(arguments, path, &fault, r);
}

void order_file_free(struct order_file *file)
{
	document_free(&file->document);
	free(file->text);
	*file = (struct order_file){0};
}

int signers_file_read(const struct arguments *arguments, const char *path, struct signers *signers)
{
	_cleanup_free_ char *text = NULL, *of_host = path ? NULL : path_config("allowed_signers");
	const char *name = path ? path : of_host;
	struct order_fault fault = {0};
	size_t length;
	int r = name ? file_read(name, SIGNERS_MAX_BYTES, &text, &length) : -ENOMEM;

	*signers = (struct signers){0};
	if (r == 0)
		r = signers_read(text, length, 1, signers, &fault);
	return tell(arguments, name, &fault, r);
}

int revoked_file_read(const struct arguments *arguments, const char *path, struct revoked *revoked)
{
	_cleanup_free_ char *text = NULL, *of_host = path ? NULL : path_config("revoked_signers");
	const char *name = path ? path : of_host;
	struct order_fault fault = {0};
	size_t length;
	int r = name ? file_read(name, SIGNERS_MAX_BYTES, &text, &length) : -ENOMEM;

	*revoked = (struct revoked){0};
	if (r == -ENOENT && !path)
		return CMD_DONE;
	if (r == 0)
		r = revoked_read(text, length, revoked, &fault);
	return tell(arguments, name, &fault, r);
}

int content_file_read(const struct arguments *arguments, const char *path, size_t most, char **text,
		      size_t *length)
{
	return tell(arguments, path, NULL, file_read(path, most, text, length));
}

static int take_source(struct sources *sources, const char *name, const char *text, size_t length)
{
	_cleanup_free_ char *copy = strdup(name), *whole = malloc(length + 1);
	struct source *source = ARRAY_ADD(sources->item, sources->count);

	if (!copy || !whole || !source)
		return -ENOMEM;
	memcpy(whole, text, length);
	whole[length] = '\0';
	*source = (struct source){TAKE_PTR(copy), TAKE_PTR(whole), length};
	sources->count++;
	return 0;
}

/* The lines of the policy are counted in the file that encloses it. */
static void move_faults(struct faults *faults, uint32_t first)
{
	for (size_t i = 0; i < faults->count; i++) {
		faults->item[i].at.line += first - 1;
		if (faults->item[i].other.line)
			faults->item[i].other.line += first - 1;
	}
}

int enclosed_policy_read(const struct arguments *arguments, const char *name, const char *text,
			 size_t length, uint32_t first, struct policy_file *file)
{
	int r;

	*file = (struct policy_file){0};
	r = take_source(&file->sources, name, text, length);
	if (r == 0)
		r = policy_read(&file->sources, &file->policy, &file->faults);
	if (r == 0)
		r = policy_check(&file->policy, &file->faults);
	move_faults(&file->faults, first);
	if (r == -EBADMSG)
		faults_print(&file->faults, &file->sources, stderr);
	else if (r < 0)
		command_refuse(arguments, "%s: %s", name, strerror(-r));
	return r < 0 ? CMD_REFUSED : CMD_DONE;
}
