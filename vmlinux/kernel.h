/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * kernel.h - the kernel types that the programs read, trimmed to the fields in use.
 *
 * libbpf relocates each access against the running kernel's BTF (CO-RE), so order and size do not
 * matter here, names do. A suffix after three underscores is a variant of a type that changed.
 */
#ifndef WEIR_VMLINUX_KERNEL_H
#define WEIR_VMLINUX_KERNEL_H

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/kernfs.h. `parent` became `__parent` in 6.15. */
struct kernfs_node {
	const char *name;
	__u64 id;
};

struct kernfs_node___before_6_15 {
	struct kernfs_node *parent;
};

struct kernfs_node___since_6_15 {
	struct kernfs_node *__parent;
};

/* include/linux/cgroup-defs.h */
struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct list_head {
	struct list_head *next;
};

/* include/linux/inetdevice.h, include/net/if_inet6.h: a host's own addresses */
struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	__be32 ifa_local;
};

struct in_device {
	struct in_ifaddr *ifa_list;
};

struct in6_addr___kernel {
	__u8 u6_addr8[16];
};

struct inet6_ifaddr {
	struct in6_addr___kernel addr;
	struct list_head if_list;
};

struct inet6_dev {
	struct list_head addr_list;
};

struct net_device {
	unsigned int mtu;
	struct list_head dev_list;
	struct in_device *ip_ptr;
	struct inet6_dev *ip6_ptr;
};

/* include/net/netns/ipv6.h */
struct netns_sysctl_ipv6 {
	__u8 ip_nonlocal_bind;
};

struct netns_ipv6 {
	struct netns_sysctl_ipv6 sysctl;
};

struct net {
	struct list_head dev_base_head;
	struct netns_ipv6 ipv6;
};

typedef struct {
	__s64 counter;
} atomic64_t;

typedef struct {
	struct net *net;
} possible_net_t;

/* include/net/sock.h */
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num; /* host order */
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr___kernel skc_v6_daddr;
	struct in6_addr___kernel skc_v6_rcv_saddr;
	atomic64_t skc_cookie;
};

/* include/linux/net.h, include/linux/fs.h: what a process holds of a socket */
struct inode {
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct socket {
	struct file *file;
};

struct sock {
	struct sock_common __sk_common;
	struct socket *sk_socket;
	struct sock_cgroup_data sk_cgrp_data;
	__u8 sk_kern_sock : 1;
};

/* include/net/dst.h, include/net/route.h: the path's MTU */
struct dst_entry {
	unsigned long _metrics;
};

struct dst_metrics {
	__u32 metrics[17]; /* RTAX_MAX */
};

struct rtable {
	struct dst_entry dst;
	__u32 rt_pmtu : 31;
};

struct sk_buff {
	struct net_device *dev;
	unsigned long _skb_refdst;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 bytes_acked;
	__u32 snd_una;
	__u32 write_seq;
};

struct udp_sock {
	struct inet_sock inet;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
	unsigned int uid;
};

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
	unsigned int uid;
	int bucket;
};

#pragma clang attribute pop

#endif
