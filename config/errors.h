/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config/ only: the one form in which a mistake is told. */
#include "config/config.h"

struct option;
struct option_parser;

/* Add a line "NAME='VALUE': " and the formatted text. What is not printable in the value
 * is shown as \xNN, and a long value is cut short. */
__attribute__((format(printf, 4, 5))) void config_error(struct config_errors *errs,
	const char *name, const char *value, const char *format, ...);

/* The line for a text that the row's parser refused. */
void config_error_want(struct config_errors *errs, const struct option *row,
	const char *value, const struct option_parser *parser);
