/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * tree.h - one YAML file as a tree of nodes that know where they stood.
 *
 * The YAML that a policy needs: mappings, lists and scalars. Aliases, anchors and tags are faults:
 * nothing expands, so no file can be larger than it looks.
 */
#ifndef WEIR_TREE_H
#define WEIR_TREE_H

#include "user/policy/policy.h"

#define TREE_MAX_DEPTH 16
#define TREE_MAX_NODES (4u << 20)

enum node_kind {
	NODE_SCALAR,
	NODE_LIST,
	NODE_MAPPING, /* its children are key, value, key, value, ... */
	NODE_BROKEN,  /* already told as a fault: to be passed over */
};

struct node {
	enum node_kind kind;
	uint32_t text;	/* of a scalar: where it starts in tree.text, with a NUL after it */
	uint32_t first; /* child; 0: none, since the root is nobody's child */
	uint32_t next;
	uint32_t line, column; /* 1-based, in bytes */
};

struct tree {
	struct node *node; /* node[0] is the root */
	size_t count;
	char *text;
	size_t text_length, text_size;
	uint32_t source;
	bool is_partial; /* reading stopped at a fault: keys may be missing through no fault */
};

/*
 * Reads source number `index`. 0, -ENOMEM, or -EBADMSG when nothing could be read. What is wrong
 * with its YAML goes to `faults`; the tree then holds what stood before. With `last_key`, reading
 * ends after that key of the top mapping and its value (is_partial is set).
 */
int tree_read(const struct sources *sources, uint32_t index, const char *last_key,
	      struct tree *tree, struct faults *faults);
void tree_free(struct tree *tree);

static inline const char *node_text(const struct tree *tree, const struct node *node)
{
	return tree->text + node->text;
}

static inline struct position node_position(const struct tree *tree, const struct node *node)
{
	return (struct position){tree->source, node->line, node->column};
}

/* First child and next sibling, or NULL. */
static inline const struct node *node_first(const struct tree *tree, const struct node *node)
{
	return node->first ? &tree->node[node->first] : NULL;
}

static inline const struct node *node_next(const struct tree *tree, const struct node *node)
{
	return node->next ? &tree->node[node->next] : NULL;
}

#endif
