/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "harness/harness.h"
#include "policy/accept.h"

#define OM "application/openmetrics-text"

TEST("Prometheus gets OpenMetrics, as its versions ask for it")
{
	CHECK(accept_openmetrics(OM ";version=1.0.0," OM ";version=0.0.1;q=0.75,"
				    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"));
	CHECK(accept_openmetrics(OM ";version=1.0.0;escaping=allow-utf-8;q=0.6," OM
				    ";version=0.0.1;q=0.5,text/plain;version=1.0.0;"
				    "escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
				    "*/*;q=0.2"));
	CHECK(accept_openmetrics(OM));
	CHECK(accept_openmetrics("Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1"));
}

TEST("who names no format of ours, or would rather have the other, gets the plain text")
{
	static const char *const headers[] = {
		"",
		"*/*",
		"text/html,application/xhtml+xml,*/*;q=0.8",
		"text/plain;version=0.0.4",
		"text/plain;q=0.9," OM ";q=0.8",
		OM ";version=2.0.0,text/plain;q=0.1",
		OM ";q=0",
		OM ";q=0.0000",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
		"x\"," OM "\"",
	};

	CHECK(!accept_openmetrics(NULL));
	for (unsigned int i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		CHECK(!accept_openmetrics(headers[i]));
}

TEST("what is no header is read to its end, and no further")
{
	static const char *const headers[] = {
		",",
		";",
		"=",
		",,;;==",
		OM ";",
		OM ";q",
		OM ";q=",
		OM ";version",
		"\"",
		"\"\\",
		OM ";version=\"",
		"a;b=\"\\\"",
		"   ",
		";q=9999999999999999999999",
		OM ";q=-1",
		OM ";q=1e9",
	};

	for (unsigned int i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		(void)accept_openmetrics(headers[i]);
	CHECK(!accept_openmetrics(OM ";q=-1"));
	CHECK(!accept_openmetrics(OM ";q=x"));
}
