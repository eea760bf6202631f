/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config/ only: the environment as a list of strings, and names in it that are
 * nobody's. */
#include "config/config.h"

/* The value of the first variable of that name, without white space at its ends; NULL
 * when there is none or nothing else in it. The copy belongs to memory. */
char *environment_find(char *const *env, const char *name, struct config_memory **memory);

/* Report each non-empty NIGH_ variable that is no row of options.def. */
void environment_check_names(
	char *const *env, struct config_memory **memory, struct config_errors *errs);
