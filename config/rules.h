/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside config/ only: what the values of different variables have to do with each other.
 */
#include "config/config.h"

/* Fill what one variable leaves open and another one says. */
void config_derive(struct config *config);

/* Report each pair of values that cannot go together. Options marked in is_bad have been
 * reported already, and are left out. */
void config_check_rules(
	const struct config *config, const bool is_bad[], struct config_errors *errs);
