/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/drain.h"

#include "flow/client.h"
#include "flow/exchange.h"

void drain_begin(struct worker *worker)
{
	worker->draining = true;
}

void drain_close_door(struct worker *worker, const struct front *front)
{
	for (size_t i = 0; i < worker->n_doors; i++)
		if (worker->doors[i].front == front)
			listener_close(&worker->doors[i].listener);
	clients_close_idle(worker, front);
}

void drain_add_status(struct worker *worker, struct drain_status *status)
{
	status->inbound += worker->gauges.open[INBOUND][DOWNSTREAM];
	status->outbound_in_flight += worker->gauges.in_flight[OUTBOUND];
	list_each_safe (node, next, &worker->clients) {
		const struct client *client = container_of(node, struct client, node);

		if (client_direction(client) != OUTBOUND)
			continue;
		/* A response that waits here to be read is not over. */
		if (!client->exchange && stream_is_blocked(&client->stream))
			status->outbound_in_flight++;
	}
	status->outbound_open += worker->gauges.open[OUTBOUND][DOWNSTREAM];
	status->outbound_opened += worker->counters.opened[OUTBOUND][DOWNSTREAM];
	status->outbound_bytes += worker->counters.bytes[OUTBOUND][DOWNSTREAM];
}

void drain_cut_off(struct worker *worker, unsigned *n_cut)
{
	list_each_safe (node, next, &worker->clients) {
		struct client *client = container_of(node, struct client, node);

		if (client->exchange) {
			(*n_cut)++;
			exchange_end(client->exchange, OUTCOME_cut_off, CLIENT_RESETS);
		} else if (stream_is_blocked(&client->stream)) {
			(*n_cut)++;
			client_drop(client, true);
		}
	}
}
