/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/local_response.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"

static const struct {
	uint16_t status;
	const char *reason;
} reasons[] = {
	{400, "Bad Request"},
	{408, "Request Timeout"},
	{421, "Misdirected Request"},
	{431, "Request Header Fields Too Large"},
	{501, "Not Implemented"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
	{505, "HTTP Version Not Supported"},
};

static const char *reason_of(uint16_t status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* Who answers in place of a server says when (RFC 9110 section 6.6.1). */
static void print_date(char *out, size_t size)
{
	time_t now = (time_t)clock_wall_s();
	struct tm tm;

	gmtime_r(&now, &tm);
	(void)strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* After these the bytes that follow cannot be trusted to be a request. */
static bool leaves_framing_unknown(uint16_t status)
{
	return status == 400 || status == 408 || status == 431 || status == 501 ||
	       status == 505;
}

void local_response_write(
	struct exchange *exchange, enum outcome outcome, const char *detail)
{
	const struct outcome_row *row = &outcome_table[outcome];
	struct client *client = exchange->client;
	/* A response for which there is no memory says that the request was seen. */
	bool says_safe = row->safe && !exchange->response_began &&
			 client_direction(client) == INBOUND;
	char body[512], head[512], date[32];
	int body_len, head_len;

	exchange->status = row->status;
	exchange->head_sent = true;
	exchange->persist = exchange->client_keeps_alive && exchange->request_body.done &&
			    !leaves_framing_unknown(row->status) &&
			    !client->stream.at_eof && !client_retires(client);
	body_len = snprintf(body, sizeof(body), "nigh: %s%s%s\n", row->text,
		detail ? ": " : "", detail ? detail : "");
	if (body_len >= (int)sizeof(body))
		body_len = (int)sizeof(body) - 1;
	print_date(date, sizeof(date));
	head_len = snprintf(head, sizeof(head),
		"HTTP/1.1 %u %s\r\nServer: nigh\r\nDate: %s\r\n"
		"Content-Type: text/plain\r\nContent-Length: %d\r\n%s%s%s%s\r\n",
		row->status, reason_of(row->status), date, body_len,
		says_safe ? "nigh-not-processed: " : "", says_safe ? row->name : "",
		says_safe ? "\r\n" : "",
		!exchange->persist        ? "Connection: close\r\n"
		: exchange->client_is_1_0 ? "Connection: keep-alive\r\n"
					  : "");
	struct iovec iov[2] = {
		{head, (size_t)head_len},
		{body, exchange->method == METHOD_HEAD ? 0 : (size_t)body_len},
	};
	/* A client that does not take it will be noticed when the connection ends. */
	if (stream_write(&client->stream, iov, 2) != 0)
		exchange->persist = false;
}
