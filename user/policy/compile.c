/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * compile.c - a checked policy -> the tables of bpf/abi.h, part by part.
 */
#include "user/policy/compile.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/cleanup.h"

int compile_fault(struct compile *c, struct position at, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	faults_add(c->faults, SEVERITY_ERROR, at, "%s", text ? text : "out of memory");
	return -EBADMSG;
}

void compile_limits(const struct budget *budget, struct weir_limits *limits)
{
	struct weir_limit *window = limits->window;

	*limits = (struct weir_limits){0};
	for (size_t i = 0; i < budget->count && i < WEIR_WINDOWS; i++) {
		size_t at = i;

		for (; at > 0 && window[at - 1].window_ns > budget->window[i].window_ns; at--)
			window[at] = window[at - 1];
		window[at] = budget->window[i];
	}
}

bool compile_holds(const uint8_t outer[16], uint8_t bits, const uint8_t inner[16])
{
	size_t bytes = bits / 8, rest = bits % 8;

	if (memcmp(outer, inner, bytes))
		return false;
	return !rest || !((outer[bytes] ^ inner[bytes]) >> (8 - rest));
}

int image_compile(const struct policy *policy, uint64_t now_wall_ns, struct image *image,
		  struct faults *faults)
{
	static int (*const parts[])(struct compile * c) = {
		compile_names,	  compile_records,  compile_hours,  compile_paths,
		compile_prefixes, compile_lifeline, compile_grants,
	};
	struct image made = {0};
	struct compile c = {
		.policy = policy,
		.now_ns = now_wall_ns,
		.image = &made,
		.faults = faults,
	};

	made.head.mode = policy->mode;
	made.four_eyes = policy->four_eyes;
	memcpy(made.head.digest, policy->digest, sizeof(made.head.digest));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int r = parts[i](&c);

		if (r) {
			image_free(&made);
			return r;
		}
	}
	*image = made;
	return 0;
}
