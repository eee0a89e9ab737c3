/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* in_force.c - of the kinds of orders that have versions, the one that is in force. */
#include "user/daemon/in_force.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "user/base/cleanup.h"
#include "user/base/file.h"

static char *path_of(const struct host *host, enum order_kind kind)
{
	char name[32];

	snprintf(name, sizeof(name), "%s.order", kind_name(kind));
	return host_path(host, name);
}

int in_force_read(const struct host *host, enum order_kind kind, struct in_force *in_force,
		  char **problem)
{
	_cleanup_free_ char *path = path_of(host, kind);
	struct order_fault fault;
	size_t length;
	int r;

	*in_force = (struct in_force){0};
	if (host->state_dir < 0)
		return 0;
	r = path ? file_read(path, DOCUMENT_MAX_BYTES, &in_force->text, &length) : -ENOMEM;
	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = document_read(in_force->text, length, &in_force->document, &fault);
	if (r == -EBADMSG)
		return tell_problem(problem, r,
				    "%s:%u:%u: %s; so which version is in force is not known", path,
				    fault.line, fault.column, fault.text);
	if (r < 0)
		return tell_problem(problem, r, "cannot read %s: %s", path, strerror(-r));
	if (in_force->document.kind != kind)
		return tell_problem(problem, -EBADMSG, "%s is of kind %s", path,
				    kind_name(in_force->document.kind));
	return 0;
}

void in_force_free(struct in_force *in_force)
{
	document_free(&in_force->document);
	free(in_force->text);
	*in_force = (struct in_force){0};
}

int in_force_keep(const struct host *host, enum order_kind kind, const char *text, size_t length)
{
	_cleanup_free_ char *path = path_of(host, kind);

	if (host->state_dir < 0)
		return -ENOENT;
	return path ? file_write_atomic(path, text, length, 0640) : -ENOMEM;
}

/* All zero, which is no policy's, when it cannot be made. */
static void note_texts(const struct document *document, struct in_force_note *note)
{
	struct source source = {.text = (char *)document->content,
				.length = document->content_length};
	const struct sources sources = {&source, 1};

	if (document->kind == ORDER_BASE && document->content &&
	    sources_digest(&sources, note->texts) < 0)
		memset(note->texts, 0, sizeof(note->texts));
}

/* Reads the file again only when it is another one: a policy in it may be of many MiB. */
static void look(const struct host *host, enum order_kind kind, struct in_force_note *note)
{
	_cleanup_free_ char *path = path_of(host, kind), *problem = NULL;
	struct in_force in_force;
	struct stat st = {0};

	if (!path || stat(path, &st) < 0)
		st = (struct stat){0};
	if (note->is_read && note->inode == st.st_ino &&
	    note->changed.tv_sec == st.st_mtim.tv_sec &&
	    note->changed.tv_nsec == st.st_mtim.tv_nsec)
		return;
	*note = (struct in_force_note){.is_read = true, .inode = st.st_ino, .changed = st.st_mtim};
	note->is_damaged = in_force_read(host, kind, &in_force, &problem) < 0;
	note->version = in_force.document.version;
	note->issued_ns = in_force.document.issued_ns;
	strcpy(note->order, in_force.document.id);
	note_texts(&in_force.document, note);
	in_force_free(&in_force);
}

bool in_force_base_holds(struct host *host)
{
	static const uint8_t none[32];
	struct in_force_note *note = &host->in_force[ORDER_BASE];

	look(host, ORDER_BASE, note);
	return note->version && !note->is_damaged && memcmp(note->texts, none, 32) != 0 &&
	       memcmp(note->texts, host->texts_digest, 32) == 0;
}

static void put_one(struct host *host, enum order_kind kind, struct json_out *reply)
{
	struct in_force_note *note = &host->in_force[kind];

	look(host, kind, note);
	if (!note->version && !note->is_damaged)
		return;
	json_open(reply, kind_name(kind), '{');
	json_put_bool(reply, "damaged", note->is_damaged);
	json_put_uint(reply, "version", note->version);
	json_put_text(reply, "order", note->order);
	json_put_uint(reply, "issued", note->issued_ns / NS_PER_SECOND);
	if (kind == ORDER_BASE)
		json_put_bool(reply, "holds", in_force_base_holds(host));
	json_close(reply, '}');
}

void in_force_put(struct host *host, struct json_out *reply)
{
	json_open(reply, "in_force", '{');
	put_one(host, ORDER_BASE, reply);
	put_one(host, ORDER_SIGNERS, reply);
	put_one(host, ORDER_BEAT, reply);
	json_close(reply, '}');
}
