/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * confine.h - what the agent gives up before it speaks to a broker: capabilities, other programs,
 * writing files, and memory without end.
 */
#ifndef WEIR_FLEET_CONFINE_H
#define WEIR_FLEET_CONFINE_H

#include <stdbool.h>

/* 0, or -errno with `problem`: then it must not go on. *is_filtered: false on a kernel without
 * filters on system calls, and in a sanitized build. */
int confine(bool *is_filtered, char **problem);

/* No capability, and none to come: 0 or -errno. For who hears no broker, and begins those who do.
 */
int confine_capabilities(void);

#endif
