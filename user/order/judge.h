/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * judge.h - whether an order is to be carried out: who signed it, who of them counts, and whether
 * that is enough.
 *
 * People are counted, not keys. The time that counts is the verifier's: whoever has a key that ran
 * out could write any `issued`.
 */
#ifndef WEIR_JUDGE_H
#define WEIR_JUDGE_H

#include "user/base/units.h"
#include "user/order/document.h"

/* How far ahead of the verifier's clock an order may be issued; a cut as far as it likes. Whoever
 * signs writes the time: it keeps nobody out, and a clock that is behind would lose a cut. Such a
 * clock ends the cut later, never earlier. */
#define JUDGE_AHEAD_NS (5 * NS_PER_MINUTE)

struct judge_by {
	const struct signers *signers;
	const struct revoked *revoked; /* NULL: none */
	uint64_t now_ns;	       /* wall */
	/*
	 * False while nobody confirmed the clock. Then no time is held against a cut, which would
	 * be lost when it is needed; every other kind is refused.
	 */
	bool clock_is_trusted;
	/* So many principals are enough; 0: as many as the kind takes. */
	unsigned int needed;
	/* Of what is in force of the order's kind; 0: nothing yet. A base or a beat has to be above
	 * it, signers to be the next. Other kinds have no version. */
	uint64_t version;
};

/* One signature, seen by one list of signers. */
struct judged_signature {
	char fingerprint[SSH_FINGERPRINT_TEXT]; /* "": the key could not be read */
	const char *type;			/* of the key, or NULL */
	const char *principal;			/* the list's, which has to outlive it; or NULL */
	bool counts;
	char why[160]; /* it does not count */
};

struct judged_list {
	struct judged_signature signature[DOCUMENT_MAX_SIGNATURES]; /* in the document's order */
	unsigned int principals;				    /* different ones that count */
};

struct judgement {
	struct judged_list current;
	struct judged_list next; /* of kind signers alone: by the list that it encloses */
	unsigned int needed;	 /* principals, of each list */
	bool is_accepted;
	char why[200]; /* it is not, and of too few signatures the first that does not count */
};

/* What an order is about (a cut that a reopening names, names of the policy) is not judged here. */
void judge_document(const struct document *document, const struct judge_by *by,
		    struct judgement *judgement);

#endif
