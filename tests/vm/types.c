/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * types.c - includes vmlinux/kernel.h, whose types `about types` compares with a kernel's. One that
 * no kernel of today has in this shape has a suffix, and who uses it asks first.
 */
#include <linux/bpf.h>

#include "vmlinux/kernel.h"

struct kernfs_node the_kernfs_node;
struct cgroup the_cgroup;
struct sock_cgroup_data the_sock_cgroup_data;
struct list_head the_list_head;
struct in_ifaddr the_in_ifaddr;
struct in_device the_in_device;
struct inet6_ifaddr the_inet6_ifaddr;
struct inet6_dev the_inet6_dev;
struct net_device the_net_device;
struct netns_sysctl_ipv6 the_netns_sysctl_ipv6;
struct netns_ipv6 the_netns_ipv6;
struct net the_net;
struct sock_common the_sock_common;
struct sock the_sock;
struct dst_entry the_dst_entry;
struct rtable the_rtable;
struct sk_buff the_sk_buff;
struct bpf_iter_meta the_bpf_iter_meta;
struct inet_sock the_inet_sock;
struct inet_connection_sock the_inet_connection_sock;
struct tcp_sock the_tcp_sock;
struct udp_sock the_udp_sock;
struct bpf_iter__tcp the_bpf_iter__tcp;
struct bpf_iter__udp the_bpf_iter__udp;
struct inode the_inode;
struct file the_file;
struct socket the_socket;
struct dst_metrics the_dst_metrics;
