# SPDX-License-Identifier: Apache-2.0
"""What the tests against a real Kubernetes control plane stand on.

api       a client of the API server: one method per verb
objects   Kubernetes objects as the tests write them
certs     keys and certificates, made by openssl
servers   etcd, two API servers and the controller manager as processes
audit     what was asked of the API server, by its own log
account   a service account: its rights, its tokens and its directory in a pod
dns       the cluster's DNS
cluster   all of it together
world     one test's namespace: services, pods that answer, sidecars

All runs in network and mount namespaces of its own (see ../run): pods have addresses
of 198.18.0.0/16, API servers of 198.19.0.0/16, which are all of this machine.
"""
