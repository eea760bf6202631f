/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading JSON the way Kubernetes does: null is the same as absent, the last of two equal
 * keys wins, names are case-sensitive. A member of the wrong type is a fault, never a
 * guess. The first fault is kept; after it the getters go on returning "absent", so that
 * a caller reads a whole object and asks once at its end.
 */
#include <stdbool.h>
#include <stddef.h>

struct cJSON;

/* What was wrong first; zeroed is "nothing". */
struct json_fault {
	char *text; /* "endpoints is not an array", for free() */
};

/*
 * Parse the next document between *cursor and end, and move the cursor behind it. White
 * space and lines of "---" may stand between documents. False with *out NULL at the end,
 * false with a fault when there is something that is not JSON.
 */
bool json_next_document(const char **cursor, const char *end, struct cJSON **out,
	struct json_fault *fault);

/* A member, or NULL when it is absent or null, or object is NULL. */
const struct cJSON *json_member(const struct cJSON *object, const char *name);

/* A member of that type, or NULL. */
const struct cJSON *json_object(
	const struct cJSON *object, const char *name, struct json_fault *fault);
const struct cJSON *json_array(
	const struct cJSON *object, const char *name, struct json_fault *fault);
const char *json_string(
	const struct cJSON *object, const char *name, struct json_fault *fault);
bool json_bool(const struct cJSON *object, const char *name, bool if_absent,
	struct json_fault *fault);
/* 1 to 65535, or 0 when it is absent or 0. */
unsigned json_port(
	const struct cJSON *object, const char *name, struct json_fault *fault);

__attribute__((format(printf, 2, 3))) void json_set_fault(
	struct json_fault *fault, const char *format, ...);
