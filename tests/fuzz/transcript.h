/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What went over the simulated connections, read by the reference when all of them have
 * ended: which requests the clients sent and which of them the upstreams got, which
 * responses the upstreams sent and what the clients got. Ends the process where a promise
 * of the specification is broken.
 */
void transcript_check(void);
