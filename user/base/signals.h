/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* signals.h - the signals that end a daemon, as a descriptor for its loop. */
#ifndef WEIR_SIGNALS_H
#define WEIR_SIGNALS_H

/* SIGTERM and SIGINT: blocked, and read from this signalfd (non-blocking); SIGPIPE is ignored.
 * Before any thread is there, so that all inherit the mask. The descriptor, or -1 with errno. */
int signals_open(void);

#endif
