/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the API server is and who we are to it: from the service account of the pod, or
 * from a kubeconfig file outside of one. Files that change while we run (token, CA) are
 * named here, not read.
 */
#include <stdbool.h>
#include <stddef.h>

/* PEM, from a file that is read again for each connection, or held here; both NULL when
 * there is none. */
struct cluster_pem {
	char *path;
	char *data;
};

struct cluster {
	char *url;         /* "https://10.96.0.1:443", no slash at the end */
	char *server_name; /* that the certificate is for, when it is not the host's */
	struct cluster_pem ca, certificate, key;
	char *token;
	char *token_path; /* read again when it is a minute old, and after a 401 */
	bool insecure;    /* insecure-skip-tls-verify */
};

/* NULL, or what is missing in one sentence, for free(). Call cluster_fini in any case. */
char *cluster_of_pod(struct cluster *out);

/* The same from the current context of a kubeconfig file. */
char *cluster_of_kubeconfig(struct cluster *out, const char *path);

void cluster_fini(struct cluster *cluster);

/* Whether the environment is that of a pod with an API server. */
bool cluster_is_near(void);
