/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the environment has for us: descriptors and memory; and what we make of it. */
struct shared;

/*
 * Raises the limit of descriptors as far as it goes. Sets max_downstream and the ceiling
 * of shared, whose configuration is there, and logs where they are not what it says. 0 or
 * -errno.
 */
__attribute__((warn_unused_result)) int capacity_apply(struct shared *shared);
