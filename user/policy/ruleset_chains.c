/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* ruleset_chains.c - chains of rules, each text once. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "user/base/array.h"
#include "user/policy/ruleset_parts.h"
#include "user/policy/words.h"

int ruleset_chain(struct ruleset_chains *chains, const char *text, size_t length, uint32_t *index)
{
	const char **room, *copy;
	int r;

	*index = table_get(&chains->by_text, text, length);
	if (*index != TABLE_NONE)
		return 0;
	copy = arena_copy(&chains->arena, text, length + 1);
	room = copy ? ARRAY_ADD(chains->text, chains->count) : NULL;
	if (!room)
		return -ENOMEM;
	*room = copy;
	r = table_put(&chains->by_text, copy, length, chains->count, index);
	if (r == 0)
		*index = chains->count++;
	return r;
}

void ruleset_chains_write(const struct ruleset_chains *chains, const char *name, FILE *out)
{
	for (size_t i = 0; i < chains->count; i++)
		fprintf(out, "\tchain %s%zu {\n%s\t}\n", name, i, chains->text[i]);
}

void ruleset_chains_free(struct ruleset_chains *chains)
{
	table_free(&chains->by_text);
	arena_free(&chains->arena);
	free(chains->text);
}

void ruleset_match(FILE *out, const struct ruleset_match *match, bool by_opener)
{
	bool serves = match->direction == WEIR_SERVES;
	char buffer[PROTOCOL_NAME_BYTES];
	const char *protocol = protocol_name(match->protocol, buffer);

	if (!protocol_has_ports(match->protocol) ||
	    (match->port_first == 0 && match->port_last == UINT16_MAX))
		fprintf(out, "meta l4proto %u ", match->protocol);
	else if (match->port_first == match->port_last)
		fprintf(out, "%s %s %u ", protocol, serves ? "sport" : "dport", match->port_first);
	else
		fprintf(out, "%s %s %u-%u ", protocol, serves ? "sport" : "dport",
			match->port_first, match->port_last);
	if (match->protocol == IPPROTO_TCP && by_opener)
		fputs(serves ? "tcp flags & (syn | ack) != syn " /* we open none */
			     : "tcp flags & (syn | ack) != (syn | ack) " /* we accept none */,
		      out);
}
