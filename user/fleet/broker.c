/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* broker.c - the connection to one broker. */
#include "user/fleet/broker.h"

#include <errno.h>
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "user/base/now.h"
#include "user/base/text.h"
#include "user/fleet/pace.h"

enum { KEEPALIVE_SECONDS = 30, IN_FLIGHT = 65535, READS_AT_ONCE = 64 };

static const uint64_t patience_ns = 10 * NS_PER_SECOND;
static const uint64_t retry_least_ns = NS_PER_SECOND / 2;
static const uint64_t retry_most_ns = 30 * NS_PER_SECOND;
static const uint64_t steady_ns = 10 * NS_PER_SECOND; /* up for so long, it was no failure */

const char *broker_name_client(const char *kind, char client[BROKER_CLIENT])
{
	uint64_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = wall_now(); /* never, after the boot */
	snprintf(client, BROKER_CLIENT, "%.8s:%016" PRIx64, kind, chance);
	return client;
}

void broker_init(struct broker *broker, const struct fleet_broker *config, size_t index,
		 const char *client, const struct broker_events *events)
{
	*broker = (struct broker){.config = config, .index = index, .events = *events};
	snprintf(broker->client, sizeof(broker->client), "%s", client);
	mosquitto_lib_init(); /* counts by itself how often it was called */
}

/* ---- an end --------------------------------------------------------------------------------- */

/* Half of it to one and a half. */
static uint64_t jittered(uint64_t ns)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
		chance = 0;
	return ns / 2 + (ns >> 16) * (chance >> 16);
}

static uint64_t retry_after(unsigned int failures)
{
	uint64_t ns = retry_least_ns << (failures < 8 ? failures : 8);

	return jittered(ns < retry_most_ns ? ns : retry_most_ns);
}

/* Not from within the library. */
static void end(struct broker *broker, uint64_t now_ns)
{
	mosquitto_destroy(broker->library);
	broker->library = NULL;
	if (broker->is_up && now_ns - broker->up_ns > steady_ns)
		broker->failures = 0;
	broker->retry_ns = now_ns + retry_after(broker->failures++);
	broker->is_up = broker->is_over = false;
	text_make_plain(broker->why);
	broker->events.down(broker->events.data, broker->index,
			    broker->why[0] ? broker->why : "the connection broke off");
}

static void must_end(struct broker *broker, const char *why)
{
	if (!broker->is_over)
		snprintf(broker->why, sizeof(broker->why), "%s", why);
	broker->is_over = true;
}

/* What the library logged before says more than its number. */
static void failed(struct broker *broker, int error)
{
	if (broker->why[0])
		broker->is_over = true;
	else
		must_end(broker,
			 error == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(error));
}

/* ---- what the library tells ----------------------------------------------------------------- */

static void on_log(struct mosquitto *library, void *data, int level, const char *text)
{
	struct broker *broker = data;

	(void)library;
	if (level == MOSQ_LOG_ERR && !broker->is_over)
		snprintf(broker->why, sizeof(broker->why), "%s", text);
}

static void on_connect(struct mosquitto *library, void *data, int reason, int flags,
		       const mosquitto_property *properties)
{
	struct broker *broker = data;

	(void)library;
	(void)flags;
	(void)properties;
	if (reason != 0) {
		must_end(broker, mosquitto_reason_string(reason));
		return;
	}
	broker->is_up = true;
	broker->up_ns = boot_now();
	broker->patience_ns = 0;
	broker->why[0] = '\0';
	broker->events.up(broker->events.data, broker->index);
}

static void on_disconnect(struct mosquitto *library, void *data, int reason,
			  const mosquitto_property *properties)
{
	struct broker *broker = data;

	(void)library;
	(void)properties;
	if (!broker->why[0])
		must_end(broker, reason >= MQTT_RC_UNSPECIFIED ? mosquitto_reason_string(reason)
							       : "the connection broke off");
	broker->is_over = true;
}

/* A malformed answer may have no reason in it at all (CVE-2024-10525). */
static void on_subscribe(struct mosquitto *library, void *data, int number, int count,
			 const int *granted, const mosquitto_property *properties)
{
	struct broker *broker = data;

	(void)library;
	(void)properties;
	broker->patience_ns = 0;
	if (count != 1 || !granted) {
		must_end(broker, "its answer to a subscription is malformed");
		return;
	}
	broker->events.subscribed(broker->events.data, broker->index, number, granted[0] <= 2);
}

static void on_publish(struct mosquitto *library, void *data, int number, int reason,
		       const mosquitto_property *properties)
{
	struct broker *broker = data;

	(void)library;
	(void)properties;
	broker->events.published(broker->events.data, broker->index, number,
				 reason >= MQTT_RC_UNSPECIFIED ? mosquitto_reason_string(reason)
							       : NULL);
}

static void on_message(struct mosquitto *library, void *data,
		       const struct mosquitto_message *message,
		       const mosquitto_property *properties)
{
	struct broker *broker = data;

	(void)library;
	(void)properties;
	if (broker->is_over || !message->topic || message->payloadlen < 0)
		return;
	broker->events.message(broker->events.data, broker->index, message->topic, message->payload,
			       message->payloadlen, message->retain);
}

/* ---- a beginning ---------------------------------------------------------------------------- */

static int set_up(struct mosquitto *library, const struct fleet_broker *config)
{
	int r = mosquitto_int_option(library, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);

	if (r == 0)
		r = mosquitto_int_option(library, MOSQ_OPT_TCP_NODELAY, 1);
	if (r == 0) /* else what a broker holds for us comes in steps of 20 */
		r = mosquitto_int_option(library, MOSQ_OPT_RECEIVE_MAXIMUM, IN_FLIGHT);
	if (r == 0)
		r = mosquitto_int_option(library, MOSQ_OPT_SEND_MAXIMUM, IN_FLIGHT);
	if (r == 0)
		r = mosquitto_tls_set(library, config->ca, NULL, config->cert, config->key, NULL);
	if (r == 0)
		r = mosquitto_tls_opts_set(library, 1, "tlsv1.3", NULL);
	return r;
}

static void listen_to(struct mosquitto *library)
{
	mosquitto_log_callback_set(library, on_log);
	mosquitto_connect_v5_callback_set(library, on_connect);
	mosquitto_disconnect_v5_callback_set(library, on_disconnect);
	mosquitto_subscribe_v5_callback_set(library, on_subscribe);
	mosquitto_publish_v5_callback_set(library, on_publish);
	mosquitto_message_v5_callback_set(library, on_message);
}

/* A name of DNS is looked up here, and meanwhile all waits: weir-fleet(5) says so. */
static void begin(struct broker *broker, uint64_t now_ns)
{
	int r = MOSQ_ERR_NOMEM;

	broker->why[0] = '\0';
	broker->is_over = false;
	broker->patience_ns = now_ns + patience_ns;
	broker->misc_ns = now_ns + NS_PER_SECOND;
	broker->library = mosquitto_new(broker->client, true, broker);
	if (broker->library) {
		listen_to(broker->library);
		r = set_up(broker->library, broker->config);
	}
	if (r == 0)
		r = mosquitto_connect_async(broker->library, broker->config->host,
					    broker->config->port, KEEPALIVE_SECONDS);
	if (r > 0) {
		failed(broker, r);
		end(broker, now_ns);
	}
}

void broker_close(struct broker *broker)
{
	if (broker->is_up)
		mosquitto_disconnect(broker->library);
	mosquitto_destroy(broker->library);
	broker->library = NULL;
	broker->is_up = false;
	mosquitto_lib_cleanup();
}

/* ---- work ----------------------------------------------------------------------------------- */

int broker_fd(const struct broker *broker)
{
	return broker->library ? mosquitto_socket(broker->library) : -1;
}

bool broker_wants_write(const struct broker *broker)
{
	return broker->library && mosquitto_want_write(broker->library);
}

/* What TLS has taken in already makes no descriptor readable. */
static bool has_more(const struct broker *broker)
{
	SSL *ssl = mosquitto_ssl_get(broker->library);

	return ssl && SSL_pending(ssl) > 0;
}

static int read_all(struct broker *broker)
{
	int r, times = 0;

	do
		r = mosquitto_loop_read(broker->library, 1);
	while (r == 0 && !broker->is_over && has_more(broker) && ++times < READS_AT_ONCE);
	return r;
}

void broker_handle(struct broker *broker, bool is_readable, bool is_writable, uint64_t now_ns)
{
	int r = 0;

	if (!broker->library)
		return;
	if (is_readable)
		r = read_all(broker);
	if (r == 0 && is_writable && !broker->is_over)
		r = mosquitto_loop_write(broker->library, 1);
	if (r > 0)
		failed(broker, r);
	if (broker->is_over)
		end(broker, now_ns);
}

uint64_t broker_tick(struct broker *broker, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	if (!broker->library && broker->retry_ns <= now_ns)
		begin(broker, now_ns);
	if (broker->library && broker->misc_ns <= now_ns) {
		int r = mosquitto_loop_misc(broker->library);

		broker->misc_ns = now_ns + NS_PER_SECOND;
		if (r > 0)
			failed(broker, r);
	}
	if (broker->library && broker->patience_ns && broker->patience_ns <= now_ns)
		must_end(broker, "it does not answer");
	if (broker->library && broker->is_over)
		end(broker, now_ns);
	if (!broker->library)
		return broker->retry_ns;
	if (has_more(broker))
		return now_ns;
	sooner(&next, broker->misc_ns);
	if (broker->patience_ns)
		sooner(&next, broker->patience_ns);
	return next;
}

bool broker_publish(struct broker *broker, const char *topic, const char *text, size_t length,
		    int *number)
{
	if (!broker->is_up || broker->is_over)
		return false;
	return mosquitto_publish(broker->library, number, topic, (int)length, text, 1, true) == 0;
}

bool broker_subscribe(struct broker *broker, const char *filter, int *number)
{
	if (!broker->is_up || broker->is_over ||
	    mosquitto_subscribe(broker->library, number, filter, 1) != 0)
		return false;
	broker->patience_ns = boot_now() + patience_ns;
	return true;
}
