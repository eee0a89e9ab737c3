// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * test_wire.c - how many IP bytes a packet that is cut into segments later will be on the wire
 * (promise 11): each segment has its headers.
 */
#include "tests/prog/asking.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/ip.h>
#include <netinet/in.h>

static const char policy_text[] = "weir: 1\nname: wire\nmode: observe\n";

enum { ETHERNET = 14, IP = 20, PAYLOAD = 2500 };

struct sent {
	uint8_t protocol;
	uint32_t header_bytes; /* of the transport: RFC 9293 3.1, RFC 768, RFC 9260 3 */
};

static uint32_t wire_bytes(struct asking *asking, const struct sent *sent, uint32_t segments)
{
	uint8_t packet[ETHERNET + IP + 60 + PAYLOAD] = {0};
	uint32_t bytes = IP + sent->header_bytes + PAYLOAD;
	struct iphdr *ip = (void *)(packet + ETHERNET);
	struct __sk_buff context = {.gso_segs = segments, .gso_size = segments ? 250 : 0};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = ETHERNET + bytes,
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .ctx_out = &context,
		    .ctx_size_out = sizeof(context));

	packet[12] = 0x08; /* IPv4 */
	ip->version = 4;
	ip->ihl = IP / 4;
	ip->tot_len = htons(bytes);
	ip->protocol = sent->protocol;
	ip->daddr = htonl(0xc6336401);
	packet[ETHERNET + IP + 12] = 8 << 4; /* TCP's header is as long as with timestamps */
	assert_int_equal(
		bpf_prog_test_run_opts(bpf_program__fd(asking->programs->progs.ask_wire), &run), 0);
	return context.mark;
}

static void each_segment_has_its_headers(void **state)
{
	static const struct sent sent[] = {{IPPROTO_TCP, 32}, {IPPROTO_UDP, 8}, {IPPROTO_SCTP, 12}};
	struct asking asking;

	(void)state;
	asking_begin(&asking, compile_good(policy_text));
	for (size_t i = 0; i < sizeof(sent) / sizeof(*sent); i++)
		for (uint32_t segments = 2; segments <= 10; segments += 8)
			assert_int_equal(wire_bytes(&asking, &sent[i], segments),
					 segments * (IP + sent[i].header_bytes) + PAYLOAD);
	assert_int_equal(wire_bytes(&asking, &sent[0], 0), IP + 32 + PAYLOAD);
	asking_end(&asking);
}

static int all_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_segment_has_its_headers),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}

int main(void)
{
	return asking_main(all_tests);
}
