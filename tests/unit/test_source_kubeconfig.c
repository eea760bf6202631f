/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "topo/source/cluster.h"

#define CONTEXT                                                                          \
	"current-context: here\n"                                                        \
	"contexts:\n"                                                                    \
	"- name: there\n  context: {cluster: no, user: no}\n"                            \
	"- name: here\n  context: {cluster: c, user: u}\n"
#define CLUSTER "clusters:\n- name: c\n  cluster:\n    server: https://k:6443\n"
#define USER    "users:\n- name: u\n  user:\n"

/* What was read as "member=value" lines, without those that are empty; or the fault.
 * FOLDER stands for where the file is. */
struct row {
	const char *text;
	const char *result;
};

static const struct row rows[] = {
	{CONTEXT CLUSTER USER "    token: abc\n", "url=https://k:6443 token=abc"},
	{"{\"current-context\":\"x\",\"contexts\":[{\"name\":\"x\",\"context\":{"
	 "\"cluster\":"
	 "\"c\",\"user\":\"u\"}}],\"clusters\":[{\"name\":\"c\",\"cluster\":{\"server\":"
	 "\"http://[::1]:80/"
	 "\"}}],\"users\":[{\"name\":\"u\",\"user\":{\"token\":\"t\"}}]}",
		"url=http://[::1]:80 token=t"},
	{CONTEXT "clusters:\n- {name: c, cluster: {server: https://k/a/b//}}\n" USER
		 "    token: 'null'\n",
		"url=https://k/a/b token=null"},
	/* files, from the folder of the kubeconfig on */
	{CONTEXT CLUSTER
		"    certificate-authority: ca.crt\n    tls-server-name: api\n" USER
		"    client-certificate: /abs/c.crt\n    client-key: sub/c.key\n",
		"url=https://k:6443 name=api ca=FOLDER/ca.crt cert=/abs/c.crt "
		"key=FOLDER/sub/c.key"},
	{CONTEXT CLUSTER USER "    tokenFile: t\n",
		"url=https://k:6443 token_path=FOLDER/t"},
	{CONTEXT CLUSTER USER "    tokenFile: t\n    token: abc\n",
		"url=https://k:6443 token_path=FOLDER/t"},
	/* held in it; data wins over a file */
	{CONTEXT CLUSTER
		"    certificate-authority-data: Y2E=\n    certificate-authority: "
		"f\n" USER
		"    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n",
		"url=https://k:6443 ca:ca cert:cert key:key"},
	{CONTEXT CLUSTER
		"    certificate-authority-data: |\n      Y2Vy\n      dA==\n" USER
		"    token: t\n",
		"url=https://k:6443 ca:cert token=t"},
	{CONTEXT CLUSTER "    insecure-skip-tls-verify: true\n" USER "    token: t\n",
		"url=https://k:6443 token=t insecure"},
	{CONTEXT CLUSTER "    insecure-skip-tls-verify: false\n" USER "    token: t\n",
		"url=https://k:6443 token=t"},
	/* nothing said is nothing */
	{CONTEXT CLUSTER "users:\n- {name: u, user: {}}\n", "url=https://k:6443"},
	{CONTEXT CLUSTER USER
		"    token: ''\n    exec: null\n    username: ~\n    client-key:\n",
		"url=https://k:6443"},
	{"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\n" CLUSTER,
		"url=https://k:6443"},
	/* pieces that are missing */
	{"", "FOLDER/config: no current-context"},
	{"[]", "FOLDER/config: no current-context"},
	{"current-context: [here]", "FOLDER/config: no current-context"},
	{"current-context: here", "FOLDER/config: no entry 'here' in contexts"},
	{"current-context: here\ncontexts: {name: here}",
		"FOLDER/config: no entry 'here' in contexts"},
	{"current-context: here\ncontexts: [1, [], {}, {name: [here]}]",
		"FOLDER/config: no entry 'here' in contexts"},
	{"current-context: here\ncontexts: [{name: here, context: {}}]",
		"FOLDER/config: context 'here' names no cluster"},
	{"current-context: here\ncontexts: [{name: here}]",
		"FOLDER/config: context 'here' names no cluster"},
	{CONTEXT, "FOLDER/config: no entry 'c' in clusters"},
	{CONTEXT CLUSTER, "FOLDER/config: no entry 'u' in users"},
	{CONTEXT "clusters: [{name: c, cluster: {}}]\n" USER "    token: t",
		"FOLDER/config: clusters: no server that begins with https://"},
	{CONTEXT "clusters: [{name: c, cluster: {server: 'k:6443'}}]\n" USER
		 "    token: t",
		"FOLDER/config: clusters: no server that begins with https://"},
	{CONTEXT "clusters: [{name: c, cluster: {server: [k]}}]\n" USER "    token: t",
		"FOLDER/config: clusters: no server that begins with https://"},
	/* what is refused */
	{CONTEXT CLUSTER USER "    exec: {command: login}\n",
		"FOLDER/config: users: 'exec' is not supported; use token, tokenFile or "
		"client-certificate"},
	{CONTEXT CLUSTER USER "    auth-provider: {name: gcp}\n",
		"FOLDER/config: users: 'auth-provider' is not"},
	{CONTEXT CLUSTER USER "    username: me\n",
		"FOLDER/config: users: 'username' is not"},
	{CONTEXT CLUSTER "    proxy-url: http://p\n" USER "    token: t\n",
		"FOLDER/config: clusters: proxy-url is not supported"},
	{CONTEXT CLUSTER "    certificate-authority-data: '%%%%'\n" USER "    token: t\n",
		"FOLDER/config: certificate-authority-data is not base64"},
	{CONTEXT CLUSTER USER "    client-key-data: abc\n",
		"FOLDER/config: client-key-data is not base64"},
	/* not YAML */
	{"a: [", "FOLDER/config: line 2: not a kubeconfig: "},
	{"a: b\n\tc: d\n", "FOLDER/config: line 2: not a kubeconfig: "},
	{"a: \xff\n", "FOLDER/config: line 1: not a kubeconfig: "},
};

static void print_pem(FILE *out, const char *name, const struct cluster_pem *pem)
{
	if (pem->path)
		fprintf(out, " %s=%s", name, pem->path);
	if (pem->data)
		fprintf(out, " %s:%s", name, pem->data);
}

static char *read_text(const char *path)
{
	struct cluster cluster;
	char *fault = cluster_of_kubeconfig(&cluster, path), *text;
	size_t len;
	FILE *out;

	if (fault) {
		cluster_fini(&cluster);
		return fault;
	}
	out = open_memstream(&text, &len);
	fprintf(out, "url=%s", cluster.url);
	if (cluster.server_name)
		fprintf(out, " name=%s", cluster.server_name);
	print_pem(out, "ca", &cluster.ca);
	print_pem(out, "cert", &cluster.certificate);
	print_pem(out, "key", &cluster.key);
	if (cluster.token)
		fprintf(out, " token=%s", cluster.token);
	if (cluster.token_path)
		fprintf(out, " token_path=%s", cluster.token_path);
	if (cluster.insecure)
		fputs(" insecure", out);
	fclose(out);
	cluster_fini(&cluster);
	return text;
}

/* In place of each FOLDER; what stands behind the end of a fault is left out. */
static bool matches(const char *text, const char *want, const char *folder, bool is_fault)
{
	char full[1024] = "";

	for (const char *at; (at = strstr(want, "FOLDER"));
		want = at + strlen("FOLDER")) {
		strncat(full, want, (size_t)(at - want));
		strcat(full, folder);
	}
	strcat(full, want);
	return is_fault ? strncmp(text, full, strlen(full)) == 0
			: strcmp(text, full) == 0;
}

Test(kubeconfig, rows)
{
	char folder[] = "/tmp/nigh-test-XXXXXX", path[64];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/config", folder);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		FILE *file = fopen(path, "w");
		char *text;

		fputs(rows[i].text, file);
		fclose(file);
		text = read_text(path);
		cr_expect(matches(text, rows[i].result, folder,
				  strncmp(rows[i].result, "FOLDER", 6) == 0),
			"%s\nhas %s\nnot %s", rows[i].text, text, rows[i].result);
		free(text);
	}
	unlink(path);
	rmdir(folder);
}

Test(kubeconfig, no_file)
{
	struct cluster cluster;
	char *fault = cluster_of_kubeconfig(&cluster, "/nowhere/config");

	cr_expect_str_eq(fault, "/nowhere/config: No such file or directory");
	free(fault);
	fault = cluster_of_kubeconfig(&cluster, "/");
	cr_expect_not_null(fault);
	free(fault);
	cluster_fini(&cluster);
}

Test(cluster, of_a_pod)
{
	static const struct {
		const char *host, *port;
		bool near;
	} rows_[] = {
		{NULL, NULL, false},
		{"10.96.0.1", NULL, false},
		{NULL, "443", false},
		{"10.96.0.1", "", false},
		{"10.96.0.1", "443", true},
		{"fd00::1", "443", true},
	};

	for (size_t i = 0; i < sizeof(rows_) / sizeof(*rows_); i++) {
		struct cluster cluster;
		char *fault;

		unsetenv("KUBERNETES_SERVICE_HOST");
		unsetenv("KUBERNETES_SERVICE_PORT");
		if (rows_[i].host)
			setenv("KUBERNETES_SERVICE_HOST", rows_[i].host, 1);
		if (rows_[i].port)
			setenv("KUBERNETES_SERVICE_PORT", rows_[i].port, 1);
		cr_expect_eq(cluster_is_near(), rows_[i].near, "%zu", i);
		fault = cluster_of_pod(&cluster);
		/* No service account is mounted where tests run. */
		cr_expect(fault && strstr(fault, rows_[i].near ? "no service account"
							       : "not in a pod"),
			"%zu: %s", i, fault);
		free(fault);
		cluster_fini(&cluster);
	}
}
