/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* signing.h - keys and signatures for tests, made by OpenSSH in a directory of their own. */
#ifndef WEIR_SIGNING_H
#define WEIR_SIGNING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "user/base/file.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Where the tests of this process work. */
static char signing_directory[] = "/tmp/weir-test-signing-XXXXXX";

/* Runs a command of the shell in the directory; its exit status. What it says is not shown. */
static inline int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int shell(const char *format, ...)
{
	char command[4096];
	va_list arguments;
	int used = snprintf(command, sizeof(command), "cd %s && exec >said 2>&1 && ",
			    signing_directory);

	va_start(arguments, format);
	used += vsnprintf(command + used, sizeof(command) - used, format, arguments);
	va_end(arguments);
	assert_in_range(used, 1, sizeof(command) - 1);
	return WEXITSTATUS(system(command));
}

static inline const char *path_of(const char *name)
{
	static char path[4][128];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[0]), "%s/%s", signing_directory, name);
	return path[next];
}

/* A file of the directory as text, malloc'd. */
static inline char *take_file(const char *name)
{
	size_t length = 0;
	char *text = NULL;

	assert_int_equal(file_read(path_of(name), 1 << 20, &text, &length), 0);
	return text;
}

static inline void put_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

/* "ssh-ed25519 AAAA...", malloc'd. */
static inline char *public_of(const char *key)
{
	assert_int_equal(shell("cut -d ' ' -f 1,2 %s.pub | tr -d '\n'", key), 0);
	return take_file("said");
}

/* `kind` is what ssh-keygen takes: "-t rsa -b 3072". */
static inline void make_key(const char *name, const char *kind)
{
	assert_int_equal(shell("ssh-keygen -q %s -N '' -C %s -f %s", kind, name, name), 0);
}

/* The armored signature over a text, malloc'd. */
static inline char *sign_text(const char *key, const char *in, const char *text,
			      const char *options)
{
	put_file("text", text);
	assert_int_equal(
		shell("rm -f text.sig; ssh-keygen -Y sign -n %s -f %s %s text", in, key, options),
		0);
	return take_file("text.sig");
}

static inline int open_signing(void **state)
{
	(void)state;
	return mkdtemp(signing_directory) ? 0 : -1;
}

static inline int close_signing(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", signing_directory);
	return system(command);
}

#endif
