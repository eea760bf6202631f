/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rows of outcome.def as an enum and a table. */
#include <stdbool.h>
#include <stdint.h>

enum outcome {
#define OUTCOME(name, status, is_error, safe, text) OUTCOME_##name,
#include "flow/outcome.def"
#undef OUTCOME
	OUTCOMES,
};

struct outcome_row {
	const char *name;
	const char *text;
	uint16_t status;
	bool is_error;
	bool safe;
};

extern const struct outcome_row outcome_table[OUTCOMES];
