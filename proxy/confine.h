/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the process gives up, so that whoever takes it over has little to do with it. Both
 * hold until its end, for every thread.
 */
#include <stdbool.h>

/* No program that is started from here on can gain rights. 0 or -errno. */
__attribute__((warn_unused_result)) int confine_rights(void);

/*
 * From here on the kernel refuses each system call that is not in confine.def, to all
 * threads that are and will be. 0; -EOPNOTSUPP where the kernel or the container does not
 * let us, and nothing has changed; or another -errno.
 */
__attribute__((warn_unused_result)) int confine_calls(void);
