/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * frames.c - the load of tests/bench/xdp: UDP frames, one for each IPv4 source address (4 bytes
 * each) of a file.
 *
 * `frames test PROGRAM REPEAT FILE` runs an XDP program (by its id) on the first of them, and tells
 * the nanoseconds per run, by its own clock (BPF_PROG_TEST_RUN tells whole ones). `frames each
 * PROGRAM FILE` runs it once on each; what that took, the kernel's statistics know. `frames send
 * INTERFACE TIMES FILE` sends them all TIMES times, and tells the nanoseconds per frame. `frames
 * fill MAP FILE` makes them keys of a hash with 8 bytes for each CPU. A run that does not drop ends
 * the program.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include "load.h"

enum { BATCH = 64, FRAME = 128 };

struct frame {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	char data[FRAME - sizeof(struct ethhdr) - sizeof(struct iphdr) - sizeof(struct udphdr)];
} __attribute__((packed));

static uint32_t *source;
static size_t count;

static void read_sources(const char *path)
{
	FILE *file = fopen(path, "r");
	uint32_t one;

	if (!file)
		die(path);
	while (fread(&one, sizeof(one), 1, file) == 1) {
		if (count % 4096 == 0)
			source = realloc(source, (count + 4096) * sizeof(*source));
		source[count++] = one;
	}
	fclose(file);
	if (!count)
		die(path);
}

static struct frame frame_from(uint32_t from)
{
	struct frame frame = {
		.eth = {.h_dest = {2, 0, 0, 0, 0, 1}, .h_source = {2, 0, 0, 0, 0, 2}},
		.ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
	};

	frame.eth.h_proto = htons(ETH_P_IP);
	frame.ip.tot_len = htons(sizeof(frame) - sizeof(frame.eth));
	frame.ip.saddr = from;
	frame.ip.daddr = inet_addr("203.0.113.10");
	frame.udp.source = htons(40000);
	frame.udp.dest = htons(9000);
	frame.udp.len = htons(sizeof(frame) - sizeof(frame.eth) - sizeof(frame.ip));
	return frame;
}

/* Nanoseconds per run, the call's own part of them included. */
static double run(int program, uint32_t from, int repeat)
{
	struct frame frame = frame_from(from);
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = &frame, .data_size_in = sizeof(frame),
		    .repeat = repeat);
	uint64_t since = now_ns();

	if (bpf_prog_test_run_opts(program, &options))
		die("BPF_PROG_TEST_RUN");
	if (options.retval != XDP_DROP) {
		fprintf(stderr, "not dropped: verdict %u\n", options.retval);
		exit(1);
	}
	return (double)(now_ns() - since) / repeat;
}

static int program_of(const char *id)
{
	int fd = bpf_prog_get_fd_by_id(atoi(id));

	if (fd < 0)
		die("BPF_PROG_GET_FD_BY_ID");
	return fd;
}

static int fill(const char *id)
{
	int cpus = libbpf_num_possible_cpus(), fd = bpf_map_get_fd_by_id(atoi(id));
	uint64_t *values = calloc(cpus, sizeof(*values));

	if (fd < 0)
		die("BPF_MAP_GET_FD_BY_ID");
	for (int cpu = 0; cpu < cpus; cpu++)
		values[cpu] = 1; /* to xdp-filter: as a source */
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, &source[i], values, BPF_ANY))
			die("BPF_MAP_UPDATE_ELEM");
	return 0;
}

static void send_batch(int fd, struct mmsghdr *message, unsigned int length)
{
	for (unsigned int done = 0; done < length;) {
		int sent = sendmmsg(fd, message + done, length - done, 0);

		if (sent < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg");
		done += sent > 0 ? sent : 0;
	}
}

static int send_all(const char *interface, long times)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
				 .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct frame *frame = calloc(count, sizeof(*frame));
	struct iovec *iov = calloc(count, sizeof(*iov));
	struct mmsghdr *message = calloc(count, sizeof(*message));
	uint64_t since;

	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)))
		die(interface);
	for (size_t i = 0; i < count; i++) {
		frame[i] = frame_from(source[i]);
		iov[i] = (struct iovec){&frame[i], sizeof(frame[i])};
		message[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
	}
	since = now_ns();
	for (long turn = 0; turn < times; turn++)
		for (size_t i = 0; i < count; i += BATCH)
			send_batch(fd, message + i, count - i < BATCH ? count - i : BATCH);
	printf("%.1f\n", (double)(now_ns() - since) / ((double)times * count));
	return 0;
}

int main(int words, char **word)
{
	if (words < 4) {
		fputs("usage: frames test PROGRAM REPEAT FILE | each PROGRAM FILE | "
		      "send INTERFACE TIMES FILE | fill MAP FILE\n",
		      stderr);
		return 2;
	}
	read_sources(word[words - 1]);
	if (!strcmp(word[1], "test"))
		printf("%.3f\n", run(program_of(word[2]), source[0], atoi(word[3])));
	else if (!strcmp(word[1], "each"))
		for (size_t i = 0, fd = program_of(word[2]); i < count; i++)
			run(fd, source[i], 1);
	else if (!strcmp(word[1], "send"))
		return send_all(word[2], atol(word[3]));
	else if (!strcmp(word[1], "fill"))
		return fill(word[2]);
	return 0;
}
