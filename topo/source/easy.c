/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/source/easy.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/crypto.h>

#include "topo/arena.h"
#include "topo/memory.h"

#define CONNECT_TIMEOUT_MS 5000L

/* A dead peer is found by unanswered probes within 15 + 3 x 5 seconds. */
#define KEEPALIVE_IDLE_S     15L
#define KEEPALIVE_INTERVAL_S 5L
#define KEEPALIVE_PROBES     3
#define UNACKED_MS           20000

/* Of curl's buffer per request: events are small and come one by one. */
#define BUFFER_BYTES 8192L

static int on_socket_made(void *arg, curl_socket_t fd, curlsocktype purpose)
{
	int probes = KEEPALIVE_PROBES, unacked_ms = UNACKED_MS;

	(void)arg;
	(void)purpose;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
	return CURL_SOCKOPT_OK;
}

static void set_pem(CURL *easy, CURLoption path_option, CURLoption blob_option,
	const struct cluster_pem *pem)
{
	struct curl_blob blob = {.flags = CURL_BLOB_COPY};

	if (pem->data) {
		blob.data = pem->data;
		blob.len = strlen(pem->data);
		curl_easy_setopt(easy, blob_option, &blob);
	} else if (pem->path) {
		curl_easy_setopt(easy, path_option, pem->path);
	}
}

static void set_tls(CURL *easy, const struct cluster *cluster)
{
	set_pem(easy, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB, &cluster->ca);
	set_pem(easy, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB, &cluster->certificate);
	set_pem(easy, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB, &cluster->key);
	/* Only the cluster's own authority counts, and it may be replaced. */
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	if (cluster->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
}

static void set_headers(struct easy *easy, const char *token, const char *accept)
{
	char *line = arena_xprintf("Accept: %s", accept);

	easy->headers = curl_slist_append(NULL, line);
	free(line);
	if (token) {
		line = arena_xprintf("Authorization: Bearer %s", token);
		easy->headers = curl_slist_append(easy->headers, line);
		free(line);
	}
	curl_easy_setopt(easy->handle, CURLOPT_HTTPHEADER, easy->headers);
}

/* libcurl compares the certificate with the host of the URL: that gets the name, and the
 * connection still goes to where the server is. */
static char *rename_server(struct easy *easy, const char *url, const char *name)
{
	CURLU *parts = curl_url();
	char *host = NULL, *port = NULL, *renamed = NULL, *line;

	if (curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ==
			CURLUE_OK &&
		curl_url_set(parts, CURLUPART_HOST, name, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
		line = arena_xprintf("::%s:%s", host, port);
		easy->connect_to = curl_slist_append(NULL, line);
		curl_easy_setopt(easy->handle, CURLOPT_CONNECT_TO, easy->connect_to);
		free(line);
	}
	line = arena_xprintf("%s", renamed ? renamed : url);
	curl_free(host);
	curl_free(port);
	curl_free(renamed);
	curl_url_cleanup(parts);
	return line;
}

static void set_url(struct easy *easy, const struct cluster *cluster, const char *path)
{
	char *url = arena_xprintf("%s%s", cluster->url, path);
	char *renamed = cluster->server_name
				? rename_server(easy, url, cluster->server_name)
				: NULL;

	curl_easy_setopt(easy->handle, CURLOPT_URL, renamed ? renamed : url);
	free(renamed);
	free(url);
}

/*
 * Requests wait to see whether a connection that is being made can be shared: TLS tells.
 * Without it they would wait until the first one is over, and a watch never is.
 */
static void set_sharing(CURL *handle, const struct cluster *cluster)
{
	bool is_tls = strncmp(cluster->url, "https:", 6) == 0;

	curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(handle, CURLOPT_PIPEWAIT, (long)is_tls);
}

void easy_init(struct easy *easy, const struct cluster *cluster, const char *token,
	const struct api_request *request)
{
	CURL *handle;
	unsigned n_tries = 0;

	while (!(handle = curl_easy_init()))
		memory_wait(&n_tries);
	*easy = (struct easy){.handle = handle};
	set_url(easy, cluster, request->path);
	set_tls(handle, cluster);
	set_headers(easy, token, request->accept);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, "nigh/" NIGH_VERSION);
	curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
	set_sharing(handle, cluster);
	/* http_proxy in our environment is meant for the application, and may be us. */
	curl_easy_setopt(handle, CURLOPT_PROXY, "");
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT, (long)request->timeout_s);
	curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(handle, CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	curl_easy_setopt(handle, CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, on_socket_made);
	curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, easy->problem);
}

void easy_fini(struct easy *easy)
{
	curl_easy_cleanup(easy->handle);
	curl_slist_free_all(easy->headers);
	curl_slist_free_all(easy->connect_to);
	*easy = (struct easy){0};
}

static void *crypto_malloc(size_t n_bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_malloc(n_bytes);
}

static void *crypto_realloc(void *old, size_t n_bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	return memory_realloc(old, n_bytes);
}

static void crypto_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	free(block);
}

/*
 * Both would go on without what they found no memory for: libcurl's options, such as the
 * authority to believe, are copies; OpenSSL that could not begin never does.
 */
void easy_begin(void)
{
	unsigned n_tries = 0;

	CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free);
	while (curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_malloc, free,
		       memory_realloc, memory_strdup, memory_calloc) != CURLE_OK)
		memory_wait(&n_tries);
}

void easy_end(void)
{
	curl_global_cleanup();
}
