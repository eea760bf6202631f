# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on.

peer      one end of a TCP connection, driven by hand, byte for byte
message   HTTP/1.x messages as a strict reader sees them
server    a listening socket whose connections a test answers by hand
backend   an application that answers by itself, for load and balancing
sidecar   the real binary as a process
kube      Kubernetes objects as JSON for NIGH_ENDPOINTS=file:
metrics   a strict reader of the Prometheus text format
dialogue  table rows that are played between a client and an application
pauses    for what has to be quick, on a machine that is not

Every wait has a deadline and says what it waited for.  Nothing sleeps for a
fixed time unless the test wants to see that something does not happen.  A test
may fail neither by bad luck nor because the machine has stood still for seconds.
"""
