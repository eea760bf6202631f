/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* llhttp without our byte check before it: to show what it would let through, and that
 * what we let through means the same to a second reader. */
#include "http/head.h"

struct llhttp_outcome {
	bool refused;
	bool has_head;
	bool complete;
	size_t used; /* when complete */
	size_t n_fields;
	size_t n_payload;
	char fields[4096]; /* name:value\n …, without white space around the values */
	char payload[512];
};

struct llhttp_outcome llhttp_alone(enum head_kind kind, struct str bytes);
