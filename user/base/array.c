/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* array.c - arrays that grow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "user/base/array.h"

void *array_room(void *array_pointer, size_t count, size_t size)
{
	void *array, *larger;

	memcpy(&array, array_pointer, sizeof(array));
	if ((count & (count - 1)) == 0) { /* 0 or a power of two: full */
		if (count > SIZE_MAX / 4 / size)
			return NULL;
		larger = realloc(array, (count ? count * 2 : 1) * size);
		if (!larger)
			return NULL;
		array = larger;
		memcpy(array_pointer, &array, sizeof(array));
	}
	return memset((char *)array + count * size, 0, size);
}
