/* SPDX-License-Identifier: Apache-2.0 */
#include "flow/outcome.h"

const struct outcome_row outcome_table[OUTCOMES] = {
#define OUTCOME(row, code, error, no_byte_seen, sentence)                                \
	[OUTCOME_##row] = {.name = #row,                                                 \
		.text = sentence,                                                        \
		.status = code,                                                          \
		.is_error = error,                                                       \
		.safe = no_byte_seen},
#include "flow/outcome.def"
#undef OUTCOME
};
