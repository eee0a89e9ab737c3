/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* tree.c - one YAML file as a tree of nodes, from libyaml's events. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "user/base/array.h"
#include "user/base/text.h"
#include "user/policy/tree.h"

/*
 * libyaml counts characters; people's editors and this program count bytes of a line. Events come
 * in rising order, so one cursor walks the text once.
 */
struct cursor {
	const char *text;
	size_t length;
	size_t index;  /* characters passed */
	size_t offset; /* bytes passed */
	size_t line_start;
	uint32_t line;
};

struct builder {
	struct tree *tree;
	struct faults *faults;
	struct cursor cursor;
	const char *last_key;
	size_t depth;
	uint32_t open[TREE_MAX_DEPTH]; /* the nodes that are being filled, outermost first */
	uint32_t last_child[TREE_MAX_DEPTH];
	uint32_t children[TREE_MAX_DEPTH];
	uint32_t top_key; /* the last key of the top mapping */
	int documents;
	bool is_done;
};

static void cursor_step(struct cursor *cursor)
{
	if (cursor->text[cursor->offset++] == '\n') {
		cursor->line++;
		cursor->line_start = cursor->offset;
	}
}

static struct position cursor_position(const struct cursor *cursor, uint32_t source)
{
	return (struct position){source, cursor->line,
				 (uint32_t)(cursor->offset - cursor->line_start) + 1};
}

static bool is_inside_character(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* Over what is ASCII, of the next `most` characters. */
static void cursor_skip_ascii(struct cursor *cursor, size_t most)
{
	const char *from = cursor->text + cursor->offset, *end, *newline;
	size_t left = cursor->length - cursor->offset;
	size_t length = text_ascii_length(from, most < left ? most : left);

	end = from + length;
	while ((newline = memchr(from, '\n', end - from))) {
		from = newline + 1;
		cursor->line++;
		cursor->line_start = from - cursor->text;
	}
	cursor->offset += length;
	cursor->index += length;
}

static struct position at_mark(struct builder *b, const yaml_mark_t *mark)
{
	struct cursor *cursor = &b->cursor;

	for (;;) {
		if (cursor->index < mark->index)
			cursor_skip_ascii(cursor, mark->index - cursor->index);
		if (cursor->index >= mark->index || cursor->offset >= cursor->length)
			break;
		do
			cursor->offset++;
		while (cursor->offset < cursor->length &&
		       is_inside_character(cursor->text[cursor->offset]));
		cursor->index++;
	}
	return cursor_position(cursor, b->tree->source);
}

/* Position of a byte that libyaml's reader could not take; it may lie before the cursor. */
static struct position at_offset(const struct builder *b, size_t offset)
{
	struct cursor cursor = {.text = b->cursor.text, .length = b->cursor.length, .line = 1};

	while (cursor.offset < offset && cursor.offset < cursor.length)
		cursor_step(&cursor);
	return cursor_position(&cursor, b->tree->source);
}

static void stop(struct builder *b)
{
	b->tree->is_partial = true;
	b->is_done = true;
}

/* The text of a scalar goes to the end of tree->text. */
static int keep_text(struct tree *tree, const void *text, size_t length, uint32_t *start)
{
	size_t size = tree->text_size ? tree->text_size : 4096;
	char *larger;

	while (size - tree->text_length <= length)
		size *= 2;
	if (size > UINT32_MAX)
		return -ENOMEM;
	if (size != tree->text_size) {
		larger = realloc(tree->text, size);
		if (!larger)
			return -ENOMEM;
		tree->text = larger;
		tree->text_size = size;
	}
	*start = (uint32_t)tree->text_length;
	memcpy(tree->text + tree->text_length, text, length);
	tree->text[tree->text_length + length] = '\0';
	tree->text_length += length + 1;
	return 0;
}

/* Escapes such as "\0" or "\e" put into a scalar what may not stand in the file itself. */
static bool holds_control(const unsigned char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++) {
		if ((text[i] < ' ' && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f)
			return true;
		if (text[i] == 0xc2 && i + 1 < length && text[i + 1] < 0xa0)
			return true; /* U+0080 to U+009F */
	}
	return false;
}

/* Adds a node as the last child of the innermost open one. */
static int add_node(struct builder *b, enum node_kind kind, struct position at, uint32_t *added)
{
	struct tree *tree = b->tree;
	struct node *node;
	size_t level = b->depth;

	if (tree->count == TREE_MAX_NODES) {
		faults_add(b->faults, SEVERITY_ERROR, at, "more than %u values", TREE_MAX_NODES);
		stop(b);
		return 0;
	}
	node = ARRAY_ADD(tree->node, tree->count);
	if (!node)
		return -ENOMEM;
	*added = (uint32_t)tree->count++;
	node->kind = kind;
	node->line = at.line;
	node->column = at.column;
	if (level == 0)
		return 0;
	if (b->last_child[level - 1])
		tree->node[b->last_child[level - 1]].next = *added;
	else
		tree->node[b->open[level - 1]].first = *added;
	b->last_child[level - 1] = *added;
	if (level == 1 && b->children[0] % 2 == 0)
		b->top_key = *added;
	b->children[level - 1]++;
	return 0;
}

static void refuse_decoration(struct builder *b, struct position at, const yaml_char_t *anchor,
			      const yaml_char_t *tag)
{
	if (anchor)
		faults_add(b->faults, SEVERITY_ERROR, at,
			   "anchor &%.60s: anchors and aliases have no place in a policy",
			   (const char *)anchor);
	if (tag)
		faults_add(b->faults, SEVERITY_ERROR, at,
			   "tag %.60s: tags have no place in a policy", (const char *)tag);
}

static int on_scalar(struct builder *b, const yaml_event_t *event, struct position at)
{
	const unsigned char *text = event->data.scalar.value;
	size_t length = event->data.scalar.length;
	uint32_t added = 0;
	int r;

	refuse_decoration(b, at, event->data.scalar.anchor, event->data.scalar.tag);
	r = add_node(b, NODE_SCALAR, at, &added);
	if (r < 0 || b->is_done)
		return r;
	if (holds_control(text, length)) {
		faults_add(b->faults, SEVERITY_ERROR, at, "a control character in a value");
		b->tree->node[added].kind = NODE_BROKEN;
		return 0;
	}
	return keep_text(b->tree, text, length, &b->tree->node[added].text);
}

static int on_open(struct builder *b, enum node_kind kind, struct position at)
{
	uint32_t added = 0;
	int r;

	if (b->depth == TREE_MAX_DEPTH) {
		faults_add(b->faults, SEVERITY_ERROR, at, "nested deeper than %d levels",
			   TREE_MAX_DEPTH);
		stop(b);
		return 0;
	}
	r = add_node(b, kind, at, &added);
	if (r < 0 || b->is_done)
		return r;
	b->open[b->depth] = added;
	b->last_child[b->depth] = 0;
	b->children[b->depth] = 0;
	b->depth++;
	return 0;
}

static int on_alias(struct builder *b, const yaml_event_t *event, struct position at)
{
	uint32_t added;

	faults_add(b->faults, SEVERITY_ERROR, at,
		   "alias *%.60s: anchors and aliases have no place in a policy; write the value "
		   "out",
		   (const char *)event->data.alias.anchor);
	return add_node(b, NODE_BROKEN, at, &added);
}

/* Whether the value just ended is that of the key after which reading may end. */
static bool has_last_key(const struct builder *b)
{
	const struct tree *tree = b->tree;

	return b->last_key && b->depth == 1 && tree->node[0].kind == NODE_MAPPING &&
	       b->children[0] > 0 && b->children[0] % 2 == 0 &&
	       tree->node[b->top_key].kind == NODE_SCALAR &&
	       strcmp(node_text(tree, &tree->node[b->top_key]), b->last_key) == 0;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
	struct position at = at_mark(b, &event->start_mark);
	int r = 0;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (b->documents++ > 0) {
			faults_add(b->faults, SEVERITY_ERROR, at,
				   "a second document: one file holds one");
			b->is_done = true;
		}
		break;
	case YAML_ALIAS_EVENT:
		r = on_alias(b, event, at);
		break;
	case YAML_SCALAR_EVENT:
		r = on_scalar(b, event, at);
		break;
	case YAML_SEQUENCE_START_EVENT:
		refuse_decoration(b, at, event->data.sequence_start.anchor,
				  event->data.sequence_start.tag);
		r = on_open(b, NODE_LIST, at);
		break;
	case YAML_MAPPING_START_EVENT:
		refuse_decoration(b, at, event->data.mapping_start.anchor,
				  event->data.mapping_start.tag);
		r = on_open(b, NODE_MAPPING, at);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		b->depth--;
		break;
	case YAML_STREAM_END_EVENT:
		b->is_done = true;
		break;
	default:
		break;
	}
	if (r == 0 && !b->is_done && has_last_key(b))
		stop(b);
	return r;
}

static void tell_bad_byte(struct builder *b, const yaml_parser_t *parser)
{
	const char *text = b->cursor.text;
	size_t offset = parser->problem_offset;
	bool is_control = strncmp(parser->problem, "control", strlen("control")) == 0;
	struct position at;
	unsigned char byte;

	/* Of a sequence that is cut off, libyaml names the byte that does not continue it. */
	if (!is_control && offset > 0 && strstr(parser->problem, "trailing"))
		do
			offset--;
		while (offset > 0 && is_inside_character(text[offset]));
	at = at_offset(b, offset);
	byte = offset < b->cursor.length ? (unsigned char)text[offset] : 0xff;
	if (byte == 0)
		faults_add(b->faults, SEVERITY_ERROR, at, "a NUL byte");
	else if (is_control)
		faults_add(b->faults, SEVERITY_ERROR, at, "a control character (0x%02x)", byte);
	else
		faults_add(b->faults, SEVERITY_ERROR, at, "not UTF-8 (byte 0x%02x): %s", byte,
			   parser->problem);
}

/* libyaml stopped: where and why. */
static int tell_problem(struct builder *b, const yaml_parser_t *parser)
{
	struct position at;

	if (parser->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	stop(b);
	if (parser->error == YAML_READER_ERROR) {
		tell_bad_byte(b, parser);
		return 0;
	}
	at = at_mark(b, &parser->problem_mark);
	if (parser->context)
		faults_add(b->faults, SEVERITY_ERROR, at, "not YAML: %s, %s (line %zu)",
			   parser->problem, parser->context, parser->context_mark.line + 1);
	else
		faults_add(b->faults, SEVERITY_ERROR, at, "not YAML: %s", parser->problem);
	return 0;
}

static int parse(struct builder *b, yaml_parser_t *parser)
{
	yaml_event_t event;
	int r;

	while (!b->is_done) {
		if (!yaml_parser_parse(parser, &event))
			return tell_problem(b, parser);
		r = on_event(b, &event);
		yaml_event_delete(&event);
		if (r < 0)
			return r;
	}
	return 0;
}

int tree_read(const struct sources *sources, uint32_t index, const char *last_key,
	      struct tree *tree, struct faults *faults)
{
	static const char bom[] = "\xef\xbb\xbf";
	const struct source *source = &sources->item[index];
	size_t skip = source->length >= 3 && memcmp(source->text, bom, 3) == 0 ? 3 : 0;
	struct tree built = {.source = index};
	struct builder b = {
		.tree = &built,
		.faults = faults,
		.last_key = last_key,
		.cursor = {source->text + skip, source->length - skip, 0, 0, 0, 1},
	};
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)b.cursor.text,
				     b.cursor.length);
	r = parse(&b, &parser);
	yaml_parser_delete(&parser);
	if (r == 0 && built.count == 0) {
		if (!built.is_partial)
			faults_add(faults, SEVERITY_ERROR, (struct position){index, 1, 1},
				   "an empty file");
		r = -EBADMSG;
	}
	if (r < 0) {
		tree_free(&built);
		return r;
	}
	*tree = built;
	return 0;
}

void tree_free(struct tree *tree)
{
	free(tree->node);
	free(tree->text);
	*tree = (struct tree){0};
}
