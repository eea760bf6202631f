/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/source/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <openssl/evp.h>

#include "topo/arena.h"
#include "topo/json.h"

#define TOKEN_MAX_BYTES 16384

/* base64url without padding (RFC 7515 section 2) to text, for free(), or NULL. */
static char *decode(const char *text)
{
	size_t len = strlen(text);
	char *out = arena_xprintf("%s%s", text, &"==="[3 - (4 - len % 4) % 4]);
	int n;

	for (char *p = out; *p; p++) {
		if (*p == '-')
			*p = '+';
		else if (*p == '_')
			*p = '/';
	}
	n = EVP_DecodeBlock((unsigned char *)out, (unsigned char *)out, (int)strlen(out));
	if (n < 0) {
		free(out);
		return NULL;
	}
	out[n] = '\0';
	return out;
}

char *token_read(const char *path)
{
	char text[TOKEN_MAX_BYTES];
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = '\0';
	text[strcspn(text, " \t\r\n")] = '\0';
	return *text ? arena_xprintf("%s", text) : NULL;
}

/* The part between the first two dots, decoded, for free(); NULL when there is none. */
static char *read_payload(const char *path)
{
	char *token = token_read(path);
	char *payload = token ? strchr(token, '.') : NULL;
	char *end = payload ? strchr(payload + 1, '.') : NULL;
	char *out = NULL;

	if (end) {
		*end = '\0';
		out = decode(payload + 1);
	}
	free(token);
	return out;
}

char *token_node_name(const char *path)
{
	char *payload = read_payload(path), *out = NULL;
	cJSON *claims = payload ? cJSON_Parse(payload) : NULL;
	const cJSON *node = json_member(json_member(claims, "kubernetes.io"), "node");
	const char *name = cJSON_GetStringValue(json_member(node, "name"));

	if (name && *name)
		out = arena_xprintf("%s", name);
	cJSON_Delete(claims);
	free(payload);
	return out;
}
