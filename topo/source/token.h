/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the token of a service account says without being asked anybody. */

/* The node that a bound token names (KEP-4193), for free(), or NULL. Read, not verified:
 * the file is our own. */
char *token_node_name(const char *path);
