/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* expo sees each of its rules broken, and lets through what is right. */
#include "harness/expo.h"
#include "harness/harness.h"

#define GAUGE "# HELP a_bytes Text.\n# TYPE a_bytes gauge\n"
#define COUNTER "# HELP n_total Text.\n# TYPE n_total counter\n"
#define TIMES "# HELP t_seconds Text.\n# TYPE t_seconds histogram\n"
#define BUCKETS(a, b)                                                                            \
	"t_seconds_bucket{vm=\"x\",le=\"0.5\"} " a "\nt_seconds_bucket{vm=\"x\",le=\"+Inf\"} " b \
	"\n"
#define REST(n) "t_seconds_count{vm=\"x\"} " n "\nt_seconds_sum{vm=\"x\"} 1.5\n"

static void fails(const char *text, const char *with)
{
	char why[EXPO_WHY];

	CHECK(!expo_check(text, false, why));
	CHECK_IN(with, why);
}

TEST("a page that is right is let through, in both formats")
{
	char why[EXPO_WHY] = "";

	if (!expo_check(GAUGE "a_bytes{vm=\"x\"} 1\na_bytes{vm=\"y, \\\"z\\\"\"} 2\n" COUNTER
			      "n_total 3\n" TIMES BUCKETS("1", "2") REST("2"),
			false, why))
		FAIL("%s", why);
	if (!expo_check("# TYPE n counter\n# HELP n Text.\nn_total 3\n"
			"# TYPE s stateset\n# HELP s Text.\ns{s=\"on\"} 1\n"
			"# TYPE i info\n# HELP i Text.\ni_info{v=\"1\"} 1\n"
			"# TYPE a_bytes gauge\n# UNIT a_bytes bytes\n# HELP a_bytes T.\na_bytes 1\n"
			"# EOF\n",
			true, why))
		FAIL("%s", why);
}

TEST("two samples of one series are seen, whatever the order of their labels, and split families")
{
	fails(GAUGE "a_bytes{b=\"1\",c=\"2\"} 1\na_bytes{c=\"2\",b=\"1\"} 2\n",
	      "line 4: one series");
	fails(GAUGE "a_bytes 1\n" COUNTER "n_total 1\na_bytes{b=\"1\"} 1\n", "not of the family");
	fails(GAUGE "a_bytes 1\n" COUNTER "n_total 1\n" GAUGE, "was there before");
	fails(GAUGE "a_bytes 1\n# HELP a_bytes More.\n", "metadata behind samples");
}

TEST("a histogram that is none is seen")
{
	fails(TIMES BUCKETS("3", "2") REST("2"), "not cumulative");
	fails(TIMES BUCKETS("1", "2") REST("3"), "not the last bucket");
	fails(TIMES "t_seconds_bucket{le=\"0.5\"} 1\nt_seconds_count 1\n", "not the last bucket");
	fails(TIMES "t_seconds_bucket{le=\"1\"} 1\nt_seconds_bucket{le=\"0.5\"} 1\n",
	      "out of order");
	fails(TIMES BUCKETS("1", "2") "t_seconds_sum{vm=\"x\"} 1\n", "without +Inf, _count");
	fails(TIMES BUCKETS("1", "2") "t_seconds_count{vm=\"x\"} 2\n" GAUGE "a_bytes 1\n", "_sum");
	fails(TIMES "t_seconds_count 2\n", "no buckets before");
	fails(TIMES "t_seconds_bucket 2\n", "without le");
	fails(GAUGE "a_bytes{le=\"1\"} 2\n", "le without");
}

TEST("names that are not in base units, types and endings that do not fit are seen")
{
	fails("# HELP a_ms T.\n# TYPE a_ms gauge\na_ms 1\n", "base units");
	fails("# HELP a_kilobytes T.\n# TYPE a_kilobytes gauge\na_kilobytes 1\n", "base units");
	fails("# HELP aB T.\n# TYPE aB gauge\naB 1\n", "no name");
	fails("# HELP n T.\n# TYPE n counter\nn 1\n", "not of the family");
	fails("# HELP g_total T.\n# TYPE g_total gauge\ng_total 1\n", "not of the family");
	fails("# HELP i T.\n# TYPE i info\ni_info 1\n", "none of this format");
	fails("# TYPE a gauge\na 1\n", "without HELP");
	fails(COUNTER "n_total -1\n", "below 0");
	fails(GAUGE "a_bytes NaN\n", "not a number");
}

TEST("lines that Prometheus refuses the whole page for are seen")
{
	char why[EXPO_WHY];

	fails(GAUGE "a_bytes 1", "no end");
	fails(GAUGE "a_bytes 1\r\n", "carriage return");
	fails(GAUGE "a_bytes 1 2\n", "no number, or more");
	fails(GAUGE "a_bytes{b=1} 1\n", "without a value in quotes");
	fails(GAUGE "a_bytes{b=\"1} 1\n", "without an end");
	fails("\n", "no blank");
	CHECK(!expo_check("# HELP a T.\n# TYPE a gauge\na 1\n", true, why));
	CHECK_IN("no # EOF", why);
	CHECK(!expo_check("# EOF\na 1\n", true, why));
	CHECK_IN("behind # EOF", why);
	CHECK(!expo_check("# TYPE a gauge\n# UNIT a bytes\n# HELP a T.\na 1\n# EOF\n", true, why));
	CHECK_IN("UNIT", why);
}

TEST("a value is found by its whole series")
{
	CHECK_EQ(expo_value("a 1\na{b=\"1\"} 2\nab 3\n", "a{b=\"1\"}"), 2);
	CHECK(expo_value("ab 3\n", "a") != expo_value("ab 3\n", "a"));
}
