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

/* base64url without padding (RFC 7515 section 2) to bytes, in place; NUL at the end. */
static int decode(char *text)
{
	size_t len = strlen(text);
	char *padded = arena_xprintf("%s%s", text, "===" + (3 - (4 - len % 4) % 4));
	int n;

	for (char *p = padded; *p; p++)
		*p = *p == '-' ? '+' : *p == '_' ? '/' : *p;
	n = EVP_DecodeBlock(
		(unsigned char *)text, (unsigned char *)padded, (int)strlen(padded));
	free(padded);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

char *token_node_name(const char *path)
{
	char text[TOKEN_MAX_BYTES], *payload, *end, *out = NULL;
	FILE *file = fopen(path, "re");
	const cJSON *node;
	const char *name;
	cJSON *claims;
	size_t n;

	if (!file)
		return NULL;
	n = fread(text, 1, sizeof(text) - 4, file);
	fclose(file);
	text[n] = '\0';
	payload = strchr(text, '.');
	end = payload ? strchr(payload + 1, '.') : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	if (decode(payload + 1) < 0)
		return NULL;
	claims = cJSON_Parse(payload + 1);
	node = json_member(json_member(claims, "kubernetes.io"), "node");
	name = cJSON_GetStringValue(json_member(node, "name"));
	if (name && *name)
		out = arena_xprintf("%s", name);
	cJSON_Delete(claims);
	return out;
}
