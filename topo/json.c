/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/json.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "topo/arena.h"

void json_set_fault(struct json_fault *fault, const char *format, ...)
{
	if (fault->text)
		return;
	va_list args;
	va_start(args, format);
	fault->text = arena_xvprintf(format, args);
	va_end(args);
}

static const char *skip_separators(const char *cursor, const char *end)
{
	static const char mark[] = {'\xef', '\xbb', '\xbf'}; /* UTF-8 byte order mark */
	if (end - cursor >= 3 && !memcmp(cursor, mark, sizeof(mark)))
		cursor += sizeof(mark);
	while (cursor < end) {
		if (end - cursor >= 3 && !memcmp(cursor, "---", 3))
			cursor += 3;
		else if (strchr(" \t\r\n", *cursor) && *cursor != '\0')
			cursor++;
		else
			break;
	}
	return cursor;
}

bool json_next_document(
	const char **cursor, const char *end, cJSON **out, struct json_fault *fault)
{
	*out = NULL;
	*cursor = skip_separators(*cursor, end);
	if (*cursor == end)
		return false;
	const char *stop = NULL;
	*out = cJSON_ParseWithLengthOpts(*cursor, (size_t)(end - *cursor), &stop, false);
	if (!*out)
		json_set_fault(fault, "not complete and correct JSON");
	if (stop)
		*cursor = stop;
	return *out != NULL;
}

const cJSON *json_member(const cJSON *object, const char *name)
{
	const cJSON *found = NULL;
	const cJSON *item;
	if (!cJSON_IsObject(object))
		return NULL;
	cJSON_ArrayForEach(item, object)
	{
		if (!strcmp(item->string, name))
			found = item;
	}
	return cJSON_IsNull(found) ? NULL : found;
}

const cJSON *json_object(const cJSON *object, const char *name, struct json_fault *fault)
{
	const cJSON *item = json_member(object, name);
	if (!item || cJSON_IsObject(item))
		return item;
	json_set_fault(fault, "%s is not an object", name);
	return NULL;
}

const cJSON *json_array(const cJSON *object, const char *name, struct json_fault *fault)
{
	const cJSON *item = json_member(object, name);
	if (!item || cJSON_IsArray(item))
		return item;
	json_set_fault(fault, "%s is not an array", name);
	return NULL;
}

const char *json_string(const cJSON *object, const char *name, struct json_fault *fault)
{
	const cJSON *item = json_member(object, name);
	if (!item)
		return NULL;
	if (!cJSON_IsString(item))
		json_set_fault(fault, "%s is not a string", name);
	return cJSON_GetStringValue(item);
}

bool json_bool(
	const cJSON *object, const char *name, bool if_absent, struct json_fault *fault)
{
	const cJSON *item = json_member(object, name);
	if (!item)
		return if_absent;
	if (!cJSON_IsBool(item))
		json_set_fault(fault, "%s is not true or false", name);
	return cJSON_IsTrue(item);
}

unsigned json_port(const cJSON *object, const char *name, struct json_fault *fault)
{
	const cJSON *item = json_member(object, name);
	if (!item)
		return 0;
	double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
	/* Written so that NaN fails it too. */
	if (!(value >= 0 && value <= 65535 && value == (double)(unsigned)value)) {
		json_set_fault(fault, "%s is not a number from 1 to 65535", name);
		return 0;
	}
	return (unsigned)value;
}
