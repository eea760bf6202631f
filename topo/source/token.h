/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The token of a service account, and what it says without anybody being asked. */

/* What the file holds, without white space, for free(); NULL when that is nothing. */
char *token_read(const char *path);

/* The node that a bound token names (KEP-4193), for free(), or NULL. Read, not verified:
 * the file is our own. */
char *token_node_name(const char *path);
