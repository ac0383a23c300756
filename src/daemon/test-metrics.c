/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET /metrics: in the format that was asked for, and nothing in it that Prometheus would drop. */
#include <stdio.h>
#include <string.h>

#include "daemon/metric-rows.h"
#include "daemon/test-api-core.h"
#include "harness/expo.h"

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define PLAIN "text/plain; version=0.0.4; charset=utf-8"
#define PROMETHEUS                                                                         \
	"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=" \
	"0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

static const char *scrape(struct server *server, const char *accept)
{
	char request[512];

	snprintf(request, sizeof(request),
		 "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n",
		 accept ? accept : "", accept ? "\r\n" : "");
	REQUIRE_EQ(ask(server, request), 200);
	return body_of();
}

TEST("a page of metrics is whole and right, in the format that was asked for")
{
	char why[EXPO_WHY] = "";
	struct server server;

	start(&server);
	server.daemon.rich = true;
	if (!expo_check(scrape(&server, "Accept: " PROMETHEUS), true, why))
		FAIL("%s", why);
	CHECK_IN("Content-Type: " OPENMETRICS "\r\n", reply);
	if (!expo_check(scrape(&server, "Accept: */*"), false, why))
		FAIL("%s", why);
	CHECK_IN("Content-Type: " PLAIN "\r\n", reply);
	if (!expo_check(scrape(&server, NULL), false, why))
		FAIL("%s", why);
	stop(&server);
}

TEST("numbers are what the views have, in base units")
{
	static const struct {
		const char *series;
		double value;
	} wanted[] = {
		{"pshare_saving_bytes", 314572800},
		{"pshare_vm_shrd_bytes{vm=\"web1\"}", 314572800},
		{"pshare_vm_shrd_bytes{vm=\"web2\"}", 314572800},
		{"pshare_vm_pages_refused_total{vm=\"web1\",cause=\"pinned\"}", 7},
		{"pshare_pages_scanned_total", 0},
		{"pshare_state{pshare_state=\"high\"}", 1},
		{"pshare_state{pshare_state=\"low\"}", 0},
		{"pshare_vm_page_in_seconds_bucket{vm=\"web1\",tier=\"zipped\",le=\"8e-06\"}", 4},
		{"pshare_vm_page_in_seconds_bucket{vm=\"web1\",tier=\"zipped\",le=\"4e-06\"}", 1},
		{"pshare_vm_page_in_seconds_count{vm=\"web1\",tier=\"zipped\"}", 6},
		{"pshare_vm_page_in_seconds_sum{vm=\"web1\",tier=\"zipped\"}", 1.234567},
		{"pshare_vm_progress_ratio{vm=\"web1\"}", 0.625},
	};
	struct server server;
	const char *text;

	start(&server);
	text = scrape(&server, NULL);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		double value = expo_value(text, wanted[i].series);

		if (value < wanted[i].value || value > wanted[i].value || value != value)
			FAIL("%s is %g, not %g", wanted[i].series, value, wanted[i].value);
	}
	stop(&server);
}

/* What the tables promise (metric-rows.h), which no compiler holds. */
TEST("rows of a family follow each other, have labels of their own, and the first one has the help")
{
	const struct {
		const struct metric_row *row;
		size_t n;
	} tables[] = {{metric_host_rows, metric_host_count}, {metric_vm_rows, metric_vm_count}};

	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < tables[t].n; i++) {
			const struct metric_row *row = &tables[t].row[i];
			bool same = i && !strcmp(row[-1].name, row->name);

			CHECK_EQ(!row->help, same);
			CHECK(!same || (row->label && row->type == row[-1].type));
			for (size_t k = 0; k < i; k++)
				CHECK(strcmp(tables[t].row[k].name, row->name) != 0 ||
				      strcmp(tables[t].row[k].label, row->label) != 0);
		}
}
