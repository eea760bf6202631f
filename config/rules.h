/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config/ only: what the values of different variables have to do with each other.
 */
#include "config/config.h"

/* A configuration while it is being loaded. */
struct config_loading {
	struct config *config;
	struct config_errors *errs;
	const char
		*texts[CONFIG_N_ROWS]; /* what each value was read from, NULL for none */
	bool is_bad[CONFIG_N_ROWS];    /* reported already: no rule looks at it */
};

/* Fill what one variable leaves open and another one says. */
void rules_derive(struct config *config);

/* Report each pair of values that cannot go together. */
void rules_check(const struct config_loading *loading);
