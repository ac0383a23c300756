/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * scrape: what Prometheus gets of a real daemon with real VMs, and of one that lies; the alert
 * rules and the dashboard of contrib/, each expression of them asked of a real Prometheus.
 *
 * promtool and prometheus are of the package prometheus, which nothing else needs: where it is not
 * installed its tests are skipped.
 */
#include "harness/harness.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "harness/expo.h"
#include "lib/fakevmm.h"
#include "lib/peer.h"

#define PAGES 2048u
#define SOON_MS 60000
#define TEXT_MAX (4u << 20)
#define EXPRESSIONS_MAX 256

static struct t_daemon d;
static struct fakevmm v;
static int port;
static char text[TEXT_MAX];

/* One that nobody has at this moment. */
static int free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = t_sys(socket(AF_INET, SOCK_STREAM, 0));

	t_sys(bind(fd, (struct sockaddr *)&at, len));
	t_sys(getsockname(fd, (struct sockaddr *)&at, &len));
	close(fd);
	return ntohs(at.sin_port);
}

static void start(void)
{
	char number[16];

	t_need_product();
	port = free_port();
	snprintf(number, sizeof(number), "%d", port);
	t_daemon_init(&d);
	t_daemon_start(&d, (const char *const[]){"--http", number, "--swap-dir", d.dir, NULL}, NULL,
		       NULL);
	t_daemon_full_speed(&d);
}

static void start_vm(void)
{
	start();
	fv_start(&v, &d, (struct t_vm_opts){.name = "one", .salt = "metrics"});
	fv_map(&v, PAGES, FV_MAP_DONTFORK | FV_MAP_NOHUGE);
	fv_do(&v, FV_POOL, 0, 0, PAGES / 2, 1, 0); /* one content: shared */
	fv_do(&v, FV_UNIQUE, 0, PAGES / 2, PAGES / 2, 0, 0);
	REQUIRE(fv_wait_shared(&v, 0, PAGES / 2, 60));
}

/* GET of a path of the daemon's port, or of Prometheus'. */
static const char *fetch(int at, const char *path, const char *more, const char *query)
{
	char url[128];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", at, path);
	*text = '\0';
	if (query)
		(void)TEST_RUN(text, sizeof(text), "curl", "-s", "-m", "10", "-G",
			       "--data-urlencode", query, url);
	else
		(void)TEST_RUN(text, sizeof(text), "curl", "-s", "-m", "10", "-H",
			       more ? more : "X: x", url);
	return text;
}

static double value(const char *series)
{
	return expo_value(fetch(port, "/metrics", NULL, NULL), series);
}

static void check_page(void)
{
	char why[EXPO_WHY];

	if (!expo_check(fetch(port, "/metrics", NULL, NULL), false, why))
		FAIL("%s", why);
	if (!expo_check(fetch(port, "/metrics", "Accept: application/openmetrics-text", NULL), true,
			why))
		FAIL("%s", why);
}

TEST_SECONDS("page-ins of each tier and first writes are in histograms, and the page is whole", 200)
{
	start_vm();
	check_page();
	REQUIRE_EQ(t_http(&d, "PUT", "/v1/vms/one/suspend", "{\"value\": true}", text,
			  sizeof(text)),
		   200);
	REQUIRE_WITHIN(SOON_MS, value("pshare_vm_out_bytes{vm=\"one\",tier=\"zipped\"}") +
						value("pshare_vm_out_bytes{vm=\"one\",tier="
						      "\"swapped\"}") >
					0);
	fv_check(&v, 0);
	REQUIRE_WITHIN(SOON_MS,
		       value("pshare_vm_page_in_seconds_count{vm=\"one\",tier=\"zipped\"}") +
				       value("pshare_vm_page_in_seconds_count{vm=\"one\",tier="
					     "\"swapped\"}") >
			       0);
	CHECK_GT(value("pshare_vm_wait_seconds_total{vm=\"one\"}"), 0);
	CHECK_GT(value("pshare_vm_first_write_probe_seconds_count{vm=\"one\"}"), 0);
	CHECK_GT(value("pshare_vm_first_write_probe_seconds_sum{vm=\"one\"}"), 0);
	check_page();
	fv_end(&v);
	t_daemon_free(&d);
}

static bool is_guarded(void)
{
	return t_http(&d, "GET", "/v1/vms/one", NULL, text, sizeof(text)) == 200 &&
	       strstr(text, "\"pins\":\"guarded\"");
}

/* Under a filter that forbids to fork, with an O_DIRECT file, on a host without swap, nobody can
 * tell pins: frames are guarded. */
TEST_SECONDS("a first write that the agent settles is counted with its time", 120)
{
	static const char count[] = "pshare_vm_first_write_settled_seconds_count{vm=\"one\"}";
	struct sysinfo info;

	if (sysinfo(&info) == 0 && info.freeswap > 0)
		SKIP("this host has swap, by which pins are told");
	start();
	fv_start(&v, &d, (struct t_vm_opts){.name = "one", .salt = "metrics"});
	fv_do(&v, FV_SANDBOX, 0, 0, 0, 0, 0);
	if (fv_try(&v, (struct fv_cmd){.op = FV_DIRECT, .arg = 1}).error)
		SKIP("no file can be read with O_DIRECT here");
	REQUIRE_EQ(fv_map(&v, PAGES, FV_MAP_DONTFORK | FV_MAP_NOHUGE), 0);
	fv_do(&v, FV_POOL, 0, 0, PAGES, 1, 0);
	REQUIRE_WITHIN(SOON_MS, is_guarded());
	REQUIRE(fv_wait_shared(&v, 0, PAGES, 60));
	CHECK_EQ(value(count), 0);
	fv_do(&v, FV_PATCH, 0, 0, PAGES / 2, 7, 0);
	REQUIRE_WITHIN(SOON_MS, value(count) > 0);
	CHECK_GT(value("pshare_vm_first_write_settled_seconds_sum{vm=\"one\"}"), 0);
	fv_check(&v, 0);
	check_page();
	fv_end(&v);
	t_daemon_free(&d);
}

TEST_SECONDS("VMs that want one name have two labels", 120)
{
	struct peer a, b;

	start();
	peer_join(&a, &d, "twin", "metrics");
	peer_join(&b, &d, "twin", "metrics");
	check_page();
	CHECK_EQ(value("pshare_vm_size_bytes{vm=\"twin\"}"), 0);
	CHECK_EQ(value("pshare_vm_size_bytes{vm=\"twin.2\"}"), 0);
	peer_close(&a);
	peer_close(&b);
	t_daemon_free(&d);
}

TEST_SECONDS("promtool has nothing to say of the page", 120)
{
	char path[192], command[256];
	FILE *file;

	if (TEST_RUN(NULL, 0, "promtool", "--version") != 0)
		SKIP("promtool is not installed (Debian: prometheus)");
	start_vm();
	snprintf(path, sizeof(path), "%s/page", d.dir);
	fetch(port, "/metrics", NULL, NULL);
	file = fopen(path, "w");
	REQUIRE(file);
	fputs(text, file);
	fclose(file);
	snprintf(command, sizeof(command), "promtool check metrics < %s", path);
	CHECK_EQ(TEST_RUN(text, sizeof(text), "sh", "-c", command), 0);
	CHECK_STR(text, "");
	fv_end(&v);
	t_daemon_free(&d);
}

TEST_SECONDS("what a hostile agent counts shrinks nothing, and breaks no histogram", 120)
{
	struct peer p;
	uint64_t seed = test_seed();

	start();
	peer_join(&p, &d, "liar", "metrics");
	p.map->stats.scanned = 1000;
	p.map->stats.latency[PS_TIER_ZIP][3] = 7;
	p.map->times.timed[PS_TIMED_WRITE].count[2] = 5;
	REQUIRE_WITHIN(SOON_MS, value("pshare_vm_pages_scanned_total{vm=\"liar\"}") == 1000);
	p.map->stats.scanned = 10;
	p.map->stats.latency[PS_TIER_ZIP][3] = 0;
	p.map->times.timed[PS_TIMED_WRITE].count[2] = 0;
	CHECK_EQ(value("pshare_vm_pages_scanned_total{vm=\"liar\"}"), 1000);
	CHECK_EQ(value("pshare_vm_page_in_seconds_count{vm=\"liar\",tier=\"zipped\"}"), 7);
	CHECK_EQ(value("pshare_vm_first_write_settled_seconds_count{vm=\"liar\"}"), 5);
	for (int round = 0; round < 20; round++) {
		uint64_t *words = (uint64_t *)&p.map->stats;
		double all = value("pshare_vm_page_in_seconds_count{vm=\"liar\",tier=\"zipped\"}");

		for (size_t i = 0; i < 4096 / sizeof(*words); i++)
			words[i] = t_rand(&seed) >> t_below(&seed, 64);
		check_page();
		CHECK_GE(value("pshare_vm_page_in_seconds_count{vm=\"liar\",tier=\"zipped\"}"),
			 all);
	}
	peer_close(&p);
	t_daemon_free(&d);
}

/* ---- Prometheus ----------------------------------------------------------------------------- */

static pid_t prometheus;
static int prometheus_port;

static void need_prometheus(void)
{
	if (TEST_RUN(NULL, 0, "prometheus", "--version") != 0)
		SKIP("prometheus is not installed (Debian: prometheus)");
}

static void write_config(const char *path)
{
	FILE *file = fopen(path, "w");

	REQUIRE(file);
	fprintf(file,
		"global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
		"rule_files: [%s]\n"
		"scrape_configs:\n"
		"  - job_name: pshare\n"
		"    static_configs: [{targets: [\"127.0.0.1:%d\"]}]\n",
		test_source("contrib/prometheus/pshare.rules.yml"), port);
	fclose(file);
}

static void start_prometheus(void)
{
	char config[192], data[192], listen[64], log[192];

	prometheus_port = free_port();
	snprintf(config, sizeof(config), "%s/prometheus.yml", d.dir);
	snprintf(data, sizeof(data), "--storage.tsdb.path=%s/data", d.dir);
	snprintf(listen, sizeof(listen), "--web.listen-address=127.0.0.1:%d", prometheus_port);
	snprintf(log, sizeof(log), "%s/prometheus.log", d.dir);
	write_config(config);
	prometheus = t_sys(fork());
	if (!prometheus) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t_sys(!freopen(log, "w", stderr) ? -1 : 0);
		execlp("prometheus", "prometheus", "--config.file", config, data, listen, NULL);
		_exit(127);
	}
}

static void end_prometheus(void)
{
	int status;

	kill(prometheus, SIGTERM);
	if (t_wait(prometheus, 20, &status))
		kill(prometheus, SIGKILL);
}

/* The answer's data, to be given back; fails the test if the expression is refused. */
static json_t *query(const char *expression)
{
	char line[2048];
	json_t *answer, *data;

	snprintf(line, sizeof(line), "query=%s", expression);
	answer = json_loads(fetch(prometheus_port, "/api/v1/query", NULL, line), 0, NULL);
	if (!answer || strcmp(json_string_value(json_object_get(answer, "status")), "success") != 0)
		FAIL("%s: %.300s", expression, text);
	data = json_incref(json_object_get(json_object_get(answer, "data"), "result"));
	json_decref(answer);
	return data;
}

static size_t results(const char *expression)
{
	json_t *data = query(expression);
	size_t n = json_array_size(data);

	json_decref(data);
	return n;
}

/* What a browser would put in place of the dashboard's variables. */
static void fill_in(const char *from, char *to, size_t size)
{
	static const char *const words[][2] = {
		{"$__rate_interval", "10s"}, {"$job", ".*"}, {"$instance", ".*"}, {"$vm", ".*"}};
	size_t len = 0;

	while (*from && len + 1 < size) {
		size_t i = 0;

		while (i < 4 && strncmp(from, words[i][0], strlen(words[i][0])) != 0)
			i++;
		if (i == 4) {
			to[len++] = *from++;
			continue;
		}
		len += (size_t)snprintf(to + len, size - len, "%s", words[i][1]);
		from += strlen(words[i][0]);
	}
	to[len < size ? len : size - 1] = '\0';
	if (strchr(to, '$'))
		FAIL("%s: a variable that nobody knows", to);
}

/* These say nothing on a host of which all is well, or for a VM that nothing was done to. */
static bool may_be_empty(const char *expression)
{
	static const char *const words[] = {"refused", "histogram_quantile", "page_in_seconds_sum"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(expression, words[i]))
			return true;
	return false;
}

static void check_dashboard(void)
{
	json_t *dashboard = json_load_file(test_source("contrib/grafana/pshare.json"), 0, NULL);
	const json_t *panels = json_object_get(dashboard, "panels"), *panel, *target;
	size_t i, k, n = 0;

	REQUIRE(dashboard);
	json_array_foreach((json_t *)(uintptr_t)panels, i, panel)
	{
		json_array_foreach(json_object_get(panel, "targets"), k, target)
		{
			char expression[2048];

			fill_in(json_string_value(json_object_get(target, "expr")), expression,
				sizeof(expression));
			if (!results(expression) && !may_be_empty(expression))
				FAIL("%s: nothing", expression);
			n++;
		}
	}
	CHECK_GT(n, 40);
	json_decref(dashboard);
}

/* Every metric that a text names is there. */
static void check_names(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[2048], expression[256];

	REQUIRE(file);
	while (fgets(line, sizeof(line), file)) {
		for (const char *at = strstr(line, "pshare_"); at; at = strstr(at + 1, "pshare_")) {
			size_t len = strspn(at, "abcdefghijklmnopqrstuvwxyz_");

			if (line[0] == '#')
				continue;
			snprintf(expression, sizeof(expression), "count({__name__=\"%.*s\"})",
				 (int)len, at);
			if (!results(expression) &&
			    !strstr(expression, "pages_refused")) /* of a VM: by cause */
				FAIL("%s: there is no such metric: %s", path, expression);
		}
	}
	fclose(file);
}

/* Each rule was evaluated, and none failed. */
static bool rules_are_well(size_t *n)
{
	json_t *answer = json_loads(fetch(prometheus_port, "/api/v1/rules", NULL, NULL), 0, NULL);
	const json_t *group =
		json_array_get(json_object_get(json_object_get(answer, "data"), "groups"), 0);
	const json_t *rule;
	size_t i;
	bool well = true;

	*n = json_array_size(json_object_get(group, "rules"));
	json_array_foreach(json_object_get(group, "rules"), i, rule)
	{
		const char *health = json_string_value(json_object_get(rule, "health"));

		if (health && !strcmp(health, "err"))
			FAIL("%s: %s", json_string_value(json_object_get(rule, "name")),
			     json_string_value(json_object_get(rule, "lastError")));
		well &= health && !strcmp(health, "ok");
	}
	json_decref(answer);
	return well && *n;
}

TEST_SECONDS("a real Prometheus takes the page, and knows each expression of rules and dashboard",
	     300)
{
	size_t n = 0;

	need_prometheus();
	start_vm();
	start_prometheus();
	REQUIRE_WITHIN(SOON_MS, strstr(fetch(prometheus_port, "/-/ready", NULL, NULL), "Ready"));
	REQUIRE_WITHIN(SOON_MS, results("up{job=\"pshare\"} == 1") == 1);
	/* two scrapes are needed for a rate */
	REQUIRE_WITHIN(SOON_MS, results("rate(pshare_cpu_seconds_total[10s])") == 2);
	CHECK_EQ(results("pshare_vm_shrd_bytes{vm=\"one\"}"), 1);
	CHECK_EQ(results("pshare_vm_page_in_seconds_bucket{vm=\"one\",tier=\"zipped\"}"),
		 PS_LATENCY_BUCKETS);
	REQUIRE_WITHIN(SOON_MS, rules_are_well(&n));
	CHECK_GT(n, 10);
	check_dashboard();
	check_names(test_source("contrib/prometheus/pshare.rules.yml"));
	check_names(test_source("contrib/grafana/pshare.json"));
	end_prometheus();
	fv_end(&v);
	t_daemon_free(&d);
}

TEST_SECONDS("alerts fire when they should, and say what they should", 60)
{
	if (TEST_RUN(NULL, 0, "promtool", "--version") != 0)
		SKIP("promtool is not installed (Debian: prometheus)");
	CHECK_EQ(TEST_RUN(text, sizeof(text), "promtool", "check", "rules",
			  test_source("contrib/prometheus/pshare.rules.yml")),
		 0);
	CHECK_EQ(TEST_RUN(text, sizeof(text), "promtool", "test", "rules",
			  test_source("contrib/prometheus/pshare.rules.test.yml")),
		 0);
	CHECK_IN("SUCCESS", text);
}
