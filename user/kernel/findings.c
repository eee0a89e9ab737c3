/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * findings.c - lists of what is not as it was put.
 */
#include "user/kernel/internal.h"

#include "user/base/array.h"

struct guard_finding *finding_add(struct finding_list *list, const char *what, const char *where,
				  bool is_open, const char *format, ...)
{
	struct guard_finding *finding = ARRAY_ADD(list->item, list->count);
	va_list words;

	if (!finding)
		return NULL;
	list->count++;
	snprintf(finding->what, sizeof(finding->what), "%s", what);
	snprintf(finding->where, sizeof(finding->where), "%s", where);
	va_start(words, format);
	vsnprintf(finding->detail, sizeof(finding->detail), format, words);
	va_end(words);
	finding->is_open = is_open;
	return finding;
}

void finding_add_mended(struct finding_list *list, const char *what, const char *where,
			bool is_open, const char *detail)
{
	struct guard_finding *finding = finding_add(list, what, where, is_open, "%s", detail);

	if (finding)
		finding->is_repaired = true;
}

void finding_list_free(struct finding_list *list)
{
	free(list->item);
	*list = (struct finding_list){0};
}
