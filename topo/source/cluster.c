/* SPDX-License-Identifier: Apache-2.0 */
#include "topo/source/cluster.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/arena.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

bool cluster_is_near(void)
{
	return variable("KUBERNETES_SERVICE_HOST") && variable("KUBERNETES_SERVICE_PORT");
}

char *cluster_of_pod(struct cluster *out)
{
	const char *host = variable("KUBERNETES_SERVICE_HOST");
	const char *port = variable("KUBERNETES_SERVICE_PORT");
	bool is_ipv6 = host && strchr(host, ':') != NULL;

	*out = (struct cluster){0};
	if (!cluster_is_near())
		return arena_xprintf("not in a pod: KUBERNETES_SERVICE_HOST and "
				     "KUBERNETES_SERVICE_PORT are not both set");
	/* automountServiceAccountToken: false leaves it out. */
	if (access(ACCOUNT "token", F_OK) != 0)
		return arena_xprintf("no service account: %stoken is not there", ACCOUNT);
	out->url = arena_xprintf(
		"https://%s%s%s:%s", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port);
	out->ca.path = arena_xprintf("%sca.crt", ACCOUNT);
	out->token_path = arena_xprintf("%stoken", ACCOUNT);
	return NULL;
}

static void pem_fini(struct cluster_pem *pem)
{
	free(pem->path);
	free(pem->data);
}

void cluster_fini(struct cluster *cluster)
{
	free(cluster->url);
	free(cluster->server_name);
	pem_fini(&cluster->ca);
	pem_fini(&cluster->certificate);
	pem_fini(&cluster->key);
	free(cluster->token);
	free(cluster->token_path);
	*cluster = (struct cluster){0};
}
