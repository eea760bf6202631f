/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One line per event on standard error, `key=value` or JSON, written at once and never
 * waited for: what the sink does not take is counted and reported with the next line that
 * gets through (dropped=N). Safe from any thread.
 */
#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Call once, before the first line and before there are threads. */
void log_init(enum log_level level, bool json);

/* Whether a line of this level would be written: ask before costly arguments. */
bool log_enabled(enum log_level level);

/*
 * `tag` names the flow (may be NULL). `pairs` is `key=%s other=%u …`: each word is a key,
 * an equals sign and one conversion out of %s %d %u %zu %lu %ld %.*s. A NULL string is
 * left out with its key.
 */
void log_at(enum log_level level, const char *tag, const char *event, const char *pairs,
	...) __attribute__((format(printf, 4, 5)));
