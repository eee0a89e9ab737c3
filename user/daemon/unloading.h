/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* unloading.h - takes a guard off that this build cannot open. */
#ifndef WEIR_UNLOADING_H
#define WEIR_UNLOADING_H

/* In this process, with its line in the journal. 0; -errno with `problem`; -ESRCH: its policy takes
 * two people for that, and so a daemon; DONE_IN_PART (host.h): it is off, but the journal lacks it.
 */
int unload_any(const char *instance, char **problem);

#endif
